"""The verifiers of an export, by instruction."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from autoif_assets.rewards.errors import RewardDataError
from autoif_assets.sandbox import needs_query

VERIFIERS = "verifiers.jsonl"
CARD = "README.md"
_NAMED = re.compile(r"^verifiers_sha256: ([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verifier:
    """One function that checks answers.

    Attributes:
        id: Its content id.
        instruction_id: What it checks.
        source: Python that defines `evaluate`.
        asks: Whether it must be given the query, too.
    """

    id: str
    instruction_id: str
    source: str
    asks: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction that answers can be checked against.

    Attributes:
        id: Its content id.
        text: As prompts have it.
        category: Of the constraint, if known.
        verifiers: The best audited first.
        cases: Inputs with what is expected of them.
    """

    id: str
    text: str
    category: str | None
    verifiers: tuple[Verifier, ...]
    cases: tuple[Mapping[str, Any], ...]


class Bank(Mapping[str, Instruction]):
    """The instructions of a `verifiers.jsonl`, by id.

    Attributes:
        path: The file.
        sha256: Of its content.
        limits: What the verifiers were tried with: the largest of what the lines state.
        modules: What they may import beside the standard library, as the export states it.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.limits: dict[str, float] = {}
        self.modules: list[str] = []
        self._instructions: dict[str, Instruction] = {}
        self._verifiers: set[str] = set()
        # Not splitlines: other ends of lines than \n may be in the texts.
        for number, line in enumerate(data.split(b"\n"), start=1):
            if line.strip():
                self._add(number, line)
        if not self._instructions:
            raise RewardDataError(
                f"{path} holds no verifier. Make a batch with `autoif run` and export it again."
            )

    @classmethod
    def read(cls, path: str | Path, sha256: str | None = None) -> Self:
        """Read a file of verifiers, or that of an export's folder.

        Args:
            path: `verifiers.jsonl` or the folder that has it.
            sha256: What its checksum must be; None: what the card beside it says, if one does.

        Raises:
            RewardDataError: It is not there, is another file than the card names, or is none.
        """
        file = Path(path)
        if file.is_dir():
            file = file / VERIFIERS
        try:
            data = file.read_bytes()
        except OSError as error:
            raise RewardDataError(
                f"{file} cannot be read ({error.strerror}). Name the folder exports/reward of a "
                "data folder, or the verifiers.jsonl in it."
            ) from None
        wanted, where = sha256, "what was asked for"
        if wanted is None and file.name == VERIFIERS:
            wanted, where = _checksum(file.with_name(CARD)), f"{file.with_name(CARD)} says"
        found = hashlib.sha256(data).hexdigest()
        if wanted is not None and found != wanted:
            raise RewardDataError(
                f"{file} is another file than {where}: its SHA-256 is {found}, not {wanted}. The "
                "rewards would be those of other verifiers; take card and file from one export."
            )
        return cls(file, data)

    def _add(self, number: int, line: bytes) -> None:
        try:
            entry = json.loads(line)
            id, text = str(entry["instruction_id"]), str(entry["instruction"])
            verifiers = tuple(
                Verifier(str(one["verifier_id"]), id, source, needs_query(source))
                for one in entry["verifiers"]
                if isinstance(source := one["source"], str)
            )
            cases, limits = tuple(entry.get("cases") or ()), dict(entry.get("limits") or {})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RewardDataError(
                f"{self.path}, line {number} is no instruction with verifiers "
                f"({type(error).__name__}: {error}). Export the data again."
            ) from None
        # Answers are remembered by the verifier's id.
        names = [one.id for one in verifiers]
        repeated = len(set(names)) < len(names) or not self._verifiers.isdisjoint(names)
        self._verifiers.update(names)
        if not verifiers or id in self._instructions or repeated:
            wrong = "repeats a verifier" if repeated else "repeats an instruction"
            wrong = wrong if verifiers else "has no verifier"
            raise RewardDataError(
                f"{self.path}, line {number} {wrong}: {id}. Export the data again."
            )
        self.modules += [str(one) for one in limits.pop("modules", ()) if one not in self.modules]
        for name, value in limits.items():
            if isinstance(value, int | float):
                self.limits[name] = max(value, self.limits.get(name, value))
        self._instructions[id] = Instruction(id, text, entry.get("category"), verifiers, cases)

    def known(self, ids: Sequence[str]) -> Sequence[Instruction]:
        """Return the instructions of some ids.

        Raises:
            RewardDataError: There is no id, or none of that name.
        """
        if isinstance(ids, str) or not ids:
            raise RewardDataError(
                f"instruction_ids is {ids!r}; expected a list of at least one id, as the prompts "
                "of the export have it."
            )
        try:
            return [self._instructions[id] for id in ids]
        except (KeyError, TypeError):
            known = self._instructions
            unknown = next(id for id in ids if not isinstance(id, str) or id not in known)
            raise RewardDataError(
                f"There is no instruction {unknown!r} among the {len(self)} of {self.path}. "
                "Prompts and verifiers must be of one export."
            ) from None

    def __getitem__(self, id: str) -> Instruction:
        return self._instructions[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._instructions)

    def __len__(self) -> int:
        return len(self._instructions)


def _checksum(card: Path) -> str | None:
    """Return the checksum that a card names; None where there is no card, or it names none."""
    try:
        found = _NAMED.search(card.read_text("utf-8", errors="replace"))
    except OSError:
        return None
    return found[1] if found else None
