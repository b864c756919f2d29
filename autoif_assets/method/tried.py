"""What verifiers of a batch are tried on, and what they said of it: the matter of all audits."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import polars as pl

from autoif_assets.method.gates import accepted
from autoif_assets.method.probes import PROBE_SCHEMA, tried_on
from autoif_assets.method.verifiers import OUTCOME_SCHEMA, authors, functions_of

ANSWER_SCHEMA = {"instruction_id": pl.String, "input_id": pl.String, "obeys": pl.Boolean}


@dataclass(frozen=True)
class Tried:
    """Verifier functions, the texts they were tried on, and what they said.

    Attributes:
        functions: As of ``verifiers.functions_of``.
        cases: Accepted ``test_cases``: ``case_id``, ``instruction_id``, ``input``, ``query``,
            ``expected``, ``origin``.
        authors: ``verifier_id``, ``input_id``: cases that came with a function, or that it quotes.
        probes: ``PROBE_SCHEMA``, one row for each text and instruction.
        answers: ``ANSWER_SCHEMA``: what the auditor said.
        outcomes: ``OUTCOME_SCHEMA``; input ids are those of cases and of probes.
    """

    functions: pl.DataFrame
    cases: pl.DataFrame
    authors: pl.DataFrame
    probes: pl.DataFrame
    answers: pl.DataFrame
    outcomes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OUTCOME_SCHEMA))

    @classmethod
    def of(
        cls,
        candidates: pl.DataFrame,
        cases: pl.DataFrame,
        repairs: pl.DataFrame | None = None,
        probes: pl.DataFrame | None = None,
        answers: pl.DataFrame | None = None,
        quoted_texts: Callable[[str], Collection[str]] = lambda source: (),
    ) -> "Tried":
        """Put together what the functions of a batch are tried on.

        Args:
            candidates: All ``verifier_candidates``; what became of rejected ones counts, too.
            cases: All ``test_cases``.
            repairs: All ``verifier_repairs``.
            probes: Accepted ``probe_texts``.
            answers: ``ANSWER_SCHEMA``.
            quoted_texts: Returns the texts that stand in a source as they are.
        """
        functions = functions_of(candidates, repairs)
        shown = ["case_id", "instruction_id", "input", "query", "expected", "origin"]
        own = authors(candidates, cases)
        known = accepted(cases).select(shown)
        return cls(
            functions,
            known,
            pl.concat([own, _quoted(functions, known, quoted_texts)]).unique(maintain_order=True),
            pl.DataFrame(schema=PROBE_SCHEMA) if probes is None else tried_on(probes, functions),
            pl.DataFrame(schema=ANSWER_SCHEMA) if answers is None else answers,
        )

    def texts(self) -> pl.DataFrame:
        """Return what is to be executed.

        Returns:
            ``input_id``, ``instruction_id``, ``input``, ``query`` and ``kind``, null for cases.
        """
        cases = self.cases.select("instruction_id", "input", "query", input_id="case_id")
        probes = self.probes.select("instruction_id", "input", "input_id", "kind")
        every = pl.concat([cases, probes], how="diagonal")
        return every.unique(["instruction_id", "input_id"], keep="first", maintain_order=True)


def _quoted(
    functions: pl.DataFrame, cases: pl.DataFrame, quoted_texts: Callable[[str], Collection[str]]
) -> pl.DataFrame:
    """Return ``verifier_id``, ``input_id``: cases whose text stands in the function itself."""
    texts = [
        (verifier_id, instruction_id, text)
        for verifier_id, instruction_id, source in functions.select(
            "verifier_id", "instruction_id", "source"
        ).iter_rows()
        for text in sorted(quoted_texts(source))
    ]
    schema = dict.fromkeys(("verifier_id", "instruction_id", "input"), pl.String)
    return (
        pl.DataFrame(texts, schema=schema, orient="row")
        .join(cases, on=["instruction_id", "input"])
        .select("verifier_id", input_id="case_id")
    )
