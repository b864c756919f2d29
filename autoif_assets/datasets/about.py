"""What a card tells beside the files: who made the rows, by what, and how far that holds."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from autoif_assets.datasets.formats import SPLITS, Split
from autoif_assets.method.text import word_runs

# Texts of people and models in a table of Markdown: one line, no further column.
_CELL = str.maketrans({"|": "\\|", "\n": " ", "\r": " ", "`": "'"})
_MOST_BATCHES = 50  # listed one by one
_RUN_WORDS = 8  # that two prompts have in common, in a row
_CITED = """@article{dong2024selfplay,
  title   = {Self-play with Execution Feedback: Improving Instruction-following Capabilities of
             Large Language Models},
  author  = {Dong, Guanting and Lu, Keming and Li, Chengpeng and Xia, Tingyu and Yu, Bowen and
             Zhou, Chang and Zhou, Jingren},
  journal = {arXiv preprint arXiv:2406.13542},
  year    = {2024}
}"""


@dataclass(frozen=True)
class AboutBatch:
    """What is known of a batch.

    Attributes:
        batch: Its key.
        made: The day (UTC) of its first run; null: not known.
        recipe: Name of its recipe; null: not known.
        recipe_hash: Of all that is pinned of it.
        differing: The recipe's numbers that are not the named recipe's own, each in a few words.
        models: By role.
        language: That new instructions and responses were asked for in; null: that of the inputs.
        simulated: Whether a role is the built-in simulator.
        labelled: Of the verifiers in use that people's labels speak of: how many there are, how
            many agree with all labels, texts with a label, and on how many of these they agree.
    """

    batch: str
    made: str | None = None
    recipe: str | None = None
    recipe_hash: str | None = None
    differing: Sequence[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None
    simulated: bool = False
    labelled: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Benchmark:
    """Prompts that models are evaluated with, to count what is like them.

    Attributes:
        name: What the card calls it.
        prompts: Its texts.
    """

    name: str
    prompts: Sequence[str]

    def runs(self) -> pl.Series:
        """Return the runs of words that the prompts hold."""
        texts = pl.DataFrame({"text": self.prompts}, schema={"text": pl.String})
        runs = texts.select(word_runs(pl.col("text"), _RUN_WORDS)).to_series().explode()
        return runs.filter(runs != "").unique()


@dataclass(frozen=True)
class About:
    """What is known of all batches, and what a person has stated.

    Attributes:
        batches: Those that may be in the export.
        version: What exported it, with its commit where that is known.
        licence: As the hub calls it, or in words; null: not stated.
        languages: Codes such as ``de``; empty: those of the recipes.
        benchmarks: What prompts are compared with.
    """

    batches: Sequence[AboutBatch] = ()
    version: str = ""
    licence: str | None = None
    languages: Sequence[str] = ()
    benchmarks: Sequence[Benchmark] = ()

    def of(self, keys: set[str]) -> "About":
        """Return what is known of some batches alone."""
        kept = [batch for batch in self.batches if batch.batch in keys]
        return replace(self, batches=kept)

    @property
    def simulated(self) -> list[str]:
        """The batches that the simulator made."""
        return [batch.batch for batch in self.batches if batch.simulated]

    @property
    def recipe_hash(self) -> str | None:
        """Hash of the recipe of all batches; of several, of all these; null: none is known."""
        known = sorted({batch.recipe_hash for batch in self.batches if batch.recipe_hash})
        return "-".join(known) if len(known) < 2 else f"{len(known)}-recipes-{_digest(known)}"


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=6).hexdigest()


class Counts:
    """How many rows of which kind were written, and what both splits and benchmarks hold."""

    def __init__(self, benchmarks: Sequence[Benchmark] = ()) -> None:
        self._benchmarks = [(one, one.runs()) for one in benchmarks]
        self._alike: Counter[tuple[str, Split]] = Counter()
        self.batches: set[str] = set()
        self._rows: Counter[tuple[str, int, Split]] = Counter()
        self._seen: dict[str, dict[Split, set[str]]] = {
            name: {split: set() for split in SPLITS} for name in ("instruction_id", "query_id")
        }

    def add(self, rows: pl.DataFrame, split: Split) -> None:
        """Count rows of a split."""
        several = "instruction_ids" if "instruction_ids" in rows.columns else "instructions"
        # Not a selection: of constants alone it has one row, whatever the rows.
        kinds = rows.with_columns(
            category=pl.col("category") if "category" in rows.columns else pl.lit(None, pl.String),
            k=pl.col(several).list.len() if several in rows.columns else pl.lit(1),
        )
        for category, k, number in kinds.group_by("category", "k").len().iter_rows():
            self._rows[category or "none", k, split] += number
        if "batch" in rows.columns:
            self.batches.update(rows["batch"].unique())
        for name, sides in self._seen.items():
            if name in rows.columns:
                sides[split].update(rows[name].drop_nulls().unique())
        if self._benchmarks:
            prompts = rows.select("prompt").with_row_index("row")
            runs = prompts.select("row", run=word_runs(pl.col("prompt"), _RUN_WORDS)).explode("run")
            for one, known in self._benchmarks:
                shared = runs.filter(pl.col("run").is_in(known.implode()))
                self._alike[one.name, split] += shared["row"].n_unique()

    def alike(self) -> list[tuple[str, ...]]:
        """Return rows of a table: benchmark, its prompts, rows of each split that are like one."""
        return [
            (
                cell(one.name),
                str(len(one.prompts)),
                *(str(self._alike[one.name, s]) for s in SPLITS),
            )
            for one, _ in self._benchmarks
        ]

    def in_both(self) -> dict[str, int]:
        """Return how many instructions and queries are in both splits."""
        return {name: len(sides["train"] & sides["eval"]) for name, sides in self._seen.items()}

    def by_kind(self) -> list[tuple[str, ...]]:
        """Return rows of a table: category, number of instructions of a prompt, rows of a split."""
        kinds = sorted({(category, k) for category, k, _ in self._rows})
        return [
            (cell(category), str(k), *(str(self._rows[category, k, split]) for split in SPLITS))
            for category, k in kinds
        ]


def cell(text: str) -> str:
    """Return a text as a cell of a table."""
    return text.translate(_CELL)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def warning(about: About) -> str:
    """Return the first line of a card of what a simulator made; empty where it made nothing."""
    if not about.simulated:
        return ""
    if len(about.simulated) == len(about.batches):
        return (
            "**Made with a simulator: no language model wrote these rows. They show the machinery "
            "and are not for training.**"
        )
    named = ", ".join(f"`{cell(batch)}`" for batch in about.simulated)
    return (
        f"**Partly made with a simulator: no language model wrote the rows of {named}, which are "
        "not for training. `autoif batch exclude` leaves a batch out.**"
    )


def of_title(about: About) -> str:
    """Return what the title of a card says of a simulator."""
    if not about.simulated:
        return ""
    whole = len(about.simulated) == len(about.batches)
    return " (made with a simulator)" if whole else " (partly made with a simulator)"


def sections(about: About, counts: Counts, left_out: Mapping[Split, int]) -> list[str]:
    """Return the sections of a card on who made the rows and how far they can be trusted."""
    return [
        f"## Made by\n\n{_made_by(about)}",
        f"## Counts\n\n{table(('category', 'k', *SPLITS), counts.by_kind())}\n\n"
        "k is the number of instructions in a prompt.",
        f"## Contamination\n\n{_contamination(counts, left_out)}",
        f"## Trust in the verifiers\n\n{_trust(about)}",
        f"## Licence and languages\n\nLicence: {about.licence or 'not stated'}. "
        f"Languages: {_languages(about)}.",
        f"## Citation\n\n```bibtex\n{_CITED}\n```",
    ]


def _made_by(about: About) -> str:
    parts = [f"Exported by autoif-assets {about.version}."] if about.version else []
    tables = (
        (("role", "models"), _models(about)),
        (("recipe", "hash", "numbers that differ from it"), _recipes(about)),
        (("batch", "first run", "recipe", "made by"), _batches(about)),
    )
    parts += [table(head, rows) for head, rows in tables if rows]
    if len(about.batches) > _MOST_BATCHES:
        parts.append(f"And {len(about.batches) - _MOST_BATCHES} more batches.")
    return "\n\n".join(parts) or "Nothing is known of the batches."


def _models(about: About) -> list[tuple[str, ...]]:
    models: dict[str, list[str]] = {}
    for batch in about.batches:
        for role, model in batch.models.items():
            if model and model not in models.setdefault(role, []):
                models[role].append(model)
    return [(role, ", ".join(f"`{cell(one)}`" for one in of)) for role, of in models.items()]


def _recipes(about: About) -> list[tuple[str, ...]]:
    recipes = {batch.recipe_hash: batch for batch in about.batches if batch.recipe_hash}
    return [
        (
            f"`{batch.recipe}`",
            f"`{digest}`",
            "; ".join(f"`{cell(text)}`" for text in batch.differing) or "none",
        )
        for digest, batch in recipes.items()
    ]


def _batches(about: About) -> list[tuple[str, ...]]:
    return [
        (
            f"`{cell(batch.batch)}`",
            batch.made or "not known",
            f"`{batch.recipe_hash}`" if batch.recipe_hash else "not known",
            "a simulator" if batch.simulated else "models",
        )
        for batch in about.batches[:_MOST_BATCHES]
    ]


def _contamination(counts: Counts, left_out: Mapping[Split, int]) -> str:
    both = counts.in_both()
    rows = [
        ("instructions in both splits", str(both["instruction_id"])),
        ("queries in both splits", str(both["query_id"])),
        ("rows left out, whose query is on the other side", str(sum(left_out.values()))),
    ]
    told = table(("what", "count"), rows)
    if not (alike := counts.alike()):
        return f"{told}\n\nNothing was compared with benchmarks (`AUTOIF_BENCHMARKS`)."
    return (
        f"{told}\n\n{table(('benchmark', 'prompts', *SPLITS), alike)}\n\n"
        f"Rows whose prompt has {_RUN_WORDS} words in a row in common with one of the benchmark's, "
        "or is a shorter one of them; case and punctuation do not count."
    )


def _trust(about: About) -> str:
    verifiers, right, texts, agreed = (
        sum(batch.labelled[i] for batch in about.batches) for i in range(4)
    )
    if not texts:
        return "No labelled responses were handed in, so that nothing is known beside the gates."
    return (
        f"People's labels speak of {verifiers} verifiers in use: {right} ({right / verifiers:.0%}) "
        f"agree with every label, and on {agreed} of {texts} labelled responses "
        f"({agreed / texts:.0%}) a verifier says what the label says."
    )


def _languages(about: About) -> str:
    asked = list(dict.fromkeys(batch.language for batch in about.batches if batch.language))
    return ", ".join([*about.languages] or asked) or "not stated (those of the seeds and queries)"
