"""Probe texts: what verifiers are tried on beyond the cases they came with.

Cases of one author share the author's mistakes. A text that was written to obey an instruction, or
to break it, or for another instruction, was written by nobody who knew the functions.
"""

import polars as pl

from autoif_assets.method.completions import unusable
from autoif_assets.method.gates import ACCEPTED, accepted, decide
from autoif_assets.method.ids import content_id, id_series
from autoif_assets.method.prompts import NEAR_MISS, RESPONSE
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.responses import answer_prompts
from autoif_assets.method.text import trimmed

OBEYING, BREAKING, CASE, EDGE = "obeying", "breaking", "case", "edge"
OWN = (OBEYING, BREAKING)
OTHER = "other"
"""Kinds of probe texts: written to obey or to break an instruction, a case's input, what no model
wrote, and, to one instruction, a text of another."""

PROBE_SCHEMA = {
    "input_id": pl.String,
    "instruction_id": pl.String,
    "kind": pl.String,
    "input": pl.String,
}

# What responses may hold that those who write a verifier do not think of.
EDGE_TEXTS = (
    "",
    " \n\t \n",
    "One line.\r\nAnother line.\r\n\r\nA third.\r\n",
    "# A title\n\n- **bold** and `code`\n1. one\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n",
    "“Curly quotes,” she said, ‘and an ellipsis…’ — with a dash.",
    "<think>\nThe user wants an answer.\n</think>\n\nHere it is.",
    "Grüße, señora! 你好，世界。 Привет \U0001f600",
)
# Every function is tried on so many texts of other instructions; the verifiers in use on all.
SHARED = 60


def probe_prompts(prompts: pl.DataFrame, recipe: Recipe) -> dict[str, pl.DataFrame]:
    """Return what asks for texts that obey an instruction, and for texts that break it.

    Both are asked as responses and near misses are, so that what was paid for is a response where
    its prompt is one.

    Args:
        prompts: Of each instruction one, from ``queries.probe_queries``.
        recipe: ``obeying_probes_per_instruction`` and ``breaking_probes_per_instruction``, of
            which none is asked where it is 0; ``language`` and ``prompts``.

    Returns:
        By kind ``prompt_id``, ``instruction_id``, ``context``, ``prompt``, ``kind``.
    """
    counts = {
        OBEYING: recipe.obeying_probes_per_instruction,
        BREAKING: recipe.breaking_probes_per_instruction,
    }
    return {
        kind: answer_prompts(prompt, prompts.filter(counts[kind] > 0), recipe).with_columns(
            kind=pl.lit(kind)
        )
        for kind, prompt in ((OBEYING, RESPONSE), (BREAKING, NEAR_MISS))
    }


def parse_probes(completions: pl.DataFrame) -> pl.DataFrame:
    """Read the texts that were written for one instruction each.

    Args:
        completions: Completion frame with ``instruction_id``, ``prompt_id`` and ``kind``.

    Returns:
        ``probe_id``, ``instruction_id``, ``kind``, ``input``, ``sample``, ``finish_reason``,
        ``call_id``, ``status``, ``reason``. Reasons: those of an unusable completion and
        ``duplicate``.
    """
    text = completions.select(trimmed(pl.col("raw"))).to_series()
    named = completions.with_columns(
        probe_id=id_series("probe", completions["instruction_id"], text), input=text
    )
    rules = unusable()
    whole = ~pl.any_horizontal(rules.values())
    repeated = ~pl.when(whole).then("probe_id").is_first_distinct()
    return decide(named, {**rules, "duplicate": repeated}).select(
        *("probe_id", "instruction_id", "kind", "input"),
        *("sample", "finish_reason", "call_id", "status", "reason"),
    )


def probe_texts(written: pl.DataFrame, cases: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return all probe texts of a batch, and which of them every instruction is tried on.

    Args:
        written: From ``parse_probes``.
        cases: ``case_id``, ``instruction_id``, ``input`` of the accepted ``test_cases`` that need
            no query.
        recipe: ``probe_texts_per_batch``, ``seed``.

    Returns:
        ``probe_texts`` without ``batch``: the columns of ``parse_probes`` and ``place``, the
        number of the text among those of the batch that all instructions are tried on, null for
        those left out. Edge texts belong to no instruction and come first.
    """
    edges = pl.DataFrame(
        {
            "probe_id": [content_id("probe", "", text) for text in EDGE_TEXTS],
            "kind": EDGE,
            "input": EDGE_TEXTS,
        }
    )
    of_cases = cases.select("instruction_id", "input", probe_id="case_id", kind=pl.lit(CASE))
    known = decide(pl.concat([edges, of_cases], how="diagonal"), {})
    if written.is_empty() or not recipe.probe_texts_per_batch:
        known = known.clear()
    every = pl.concat([known, written], how="diagonal_relaxed").select(written.columns)
    usable = accepted(every).unique("input", keep="first", maintain_order=True)
    order = [
        (kind != EDGE, content_id("place", str(recipe.seed), probe_id))
        for probe_id, kind in usable.select("probe_id", "kind").iter_rows()
    ]
    first = sorted(range(len(order)), key=order.__getitem__)[: recipe.probe_texts_per_batch]
    places = usable[first].select("probe_id", place=pl.int_range(pl.len(), dtype=pl.Int64))
    placed = every.join(places, on="probe_id", how="left", maintain_order="left").with_columns(
        # A text that was written again has the id of the first.
        place=pl.when(pl.col("status") == ACCEPTED).then("place")
    )
    # A case is in its own table; here it is one of the texts that all are tried on.
    kept = placed.filter((pl.col("kind") != CASE) | pl.col("place").is_not_null())
    return kept.with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64))


def tried_on(probes: pl.DataFrame, instructions: pl.DataFrame) -> pl.DataFrame:
    """Return the texts that the candidates of each instruction are tried on beside their cases.

    Those written for it, the edge texts, and some of the others', the same for all. A text that
    was written for several instructions is to each of them its own.

    Args:
        probes: Accepted ``probe_texts``.
        instructions: ``instruction_id``.

    Returns:
        ``PROBE_SCHEMA``, one row for each text and instruction.
    """
    kind, other = pl.col("kind"), pl.lit(OTHER)
    others = probes.filter(pl.col("place").is_not_null() & (kind != EDGE)).sort("place")
    common = pl.concat([probes.filter(kind == EDGE), others.head(SHARED)])
    own = probes.filter(kind.is_in(OWN))
    ids = instructions.select("instruction_id").unique(maintain_order=True)
    everywhere = ids.join(
        # Whose text it is counts no more: to this instruction it is another's.
        common.select("probe_id", "input", kind=pl.when(kind == EDGE).then(kind).otherwise(other)),
        how="cross",
    )
    return (
        pl.concat([own.join(ids, on="instruction_id", how="semi"), everywhere], how="diagonal")
        .unique(["instruction_id", "input"], keep="first", maintain_order=True)
        .select(input_id="probe_id", instruction_id="instruction_id", kind="kind", input="input")
        .cast(PROBE_SCHEMA)  # type: ignore[arg-type]
    )
