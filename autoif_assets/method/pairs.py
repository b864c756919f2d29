"""Preference pairs of test cases and of responses: drawn, told apart, and their bias [3.4]."""

from collections.abc import Iterable, Sequence

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.ids import content_id, id_series
from autoif_assets.method.lengths import balanced, constrains_length, follows_length
from autoif_assets.method.likelihoods import likelihood_rank
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.resampling import FURTHER, NEAR
from autoif_assets.method.text import degenerate, similarity
from autoif_assets.method.training import with_prompts, with_texts

PAIR_COLUMNS = (
    *("chosen", "rejected", "chosen_id", "rejected_id", "chosen_pass_rate", "rejected_pass_rate"),
    *("chosen_score", "rejected_score", "chosen_length", "rejected_length", "failed_verifiers"),
    *("margin", "constrains_length", "origin"),
)
_AT_A_TIME = 4096  # rows whose texts are compared at once
_SIDE = ("text", "id", "pass_rate", "score", "length", "origin")


def instruction_pairs(
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    recipe: Recipe,
    batch: str,
    *,
    even_lengths: bool = True,
) -> pl.DataFrame:
    """Pair test cases of an instruction: one most functions pass, one none passes.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``category`` of the accepted
            ``verified_instructions``.
        verifiers: Accepted ``verifiers``; only their outcomes count.
        cases: Accepted ``verifier_cases`` with ``outcomes``.
        recipe: ``chosen_pass_rate`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.
        even_lengths: As of ``draw_pairs``.

    Returns:
        ``instruction_preference_pairs`` without ``batch``.
    """
    tallies = _case_tallies(cases, verifiers)
    verdicts = pl.col("passed") + pl.col("failed")
    # As for responses: half or more of the verifiers silent is no evidence in either direction.
    candidates = (
        tallies.filter(verdicts * 2 > pl.col("functions"))
        .join(
            length_constraints(instructions), on="instruction_id", how="left", maintain_order="left"
        )
        .select(
            "instruction_id",
            "text",
            "failed_verifiers",
            "constrains_length",
            candidate_id="case_id",
            pass_rate=pl.col("passed") / verdicts,
            score=pl.lit(None, dtype=pl.Float64),
            origin=pl.lit("test_case"),
            is_negative=pl.col("passed") == 0,
            is_positive=pl.lit(True),
        )
    )
    return (
        draw_pairs(candidates, "instruction_id", recipe, batch, even_lengths=even_lengths)
        .join(
            instructions.select("instruction_id", prompt="instruction"),
            on="instruction_id",
            maintain_order="left",
        )
        .select("pair_id", "instruction_id", "prompt", *PAIR_COLUMNS)
    )


def _case_tallies(cases: pl.DataFrame, verifiers: pl.DataFrame) -> pl.DataFrame:
    """Count what the surviving verifiers said of each case that holds any text."""
    failed = pl.col("outcome") == "fail"
    return (
        cases.select("case_id", "instruction_id", text="input", outcome="outcomes")
        .explode("outcome")
        .unnest("outcome")
        .join(verifiers.select("verifier_id"), on="verifier_id", how="semi")
        .group_by("case_id", "instruction_id", "text", maintain_order=True)
        .agg(
            passed=(pl.col("outcome") == "pass").sum(),
            failed=failed.sum(),
            failed_verifiers=pl.col("verifier_id").filter(failed).sort(),
            functions=pl.len(),
        )
        .filter(pl.col("text").str.strip_chars() != "")
    )


def query_pairs(
    instructions: pl.DataFrame,
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    assessed: pl.DataFrame,
    likelihoods: pl.DataFrame,
    recipe: Recipe,
    batch: str,
    *,
    even_lengths: bool = True,
) -> pl.DataFrame:
    """Pair responses to a prompt: one that passed and scored well, one that passes no verifier.

    A response that obeys the instruction and ignores the query must not be preferred, so chosen
    ones have a good score.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``category``.
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``context``, ``prompt``.
        responses: ``response_id``, ``response`` of all accepted responses.
        assessed: What ``resampling.verdicts_with_scores`` says of them, with ``outcomes``.
        likelihoods: ``response_id``, ``mean_logprob``.
        recipe: ``chosen_pass_rate``, ``pair_order`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.
        even_lengths: As of ``draw_pairs``.

    Returns:
        ``query_preference_pairs`` without ``batch``.
    """
    wanted = assessed.filter(pl.col("is_positive") | pl.col("is_negative"))
    rows = with_texts(wanted, filtered_queries, augmented_queries, responses)
    candidates = rows.join(
        length_constraints(instructions), on="instruction_id", how="left", maintain_order="left"
    ).select(
        *("prompt_id", "instruction_id", "pass_rate", "score", "origin", "constrains_length"),
        *("is_negative", "is_positive"),
        candidate_id="response_id",
        text="response",
        failed_verifiers=failed_verifiers(),
    )
    if recipe.pair_order == "likelihood":
        candidates = likelihood_rank(candidates, likelihoods)
    pairs = draw_pairs(candidates, "prompt_id", recipe, batch, even_lengths=even_lengths)
    return with_prompts(pairs, filtered_queries, augmented_queries).select(
        "pair_id", "prompt_id", "instruction_id", "query_id", "context", "prompt", *PAIR_COLUMNS
    )


def length_constraints(instructions: pl.DataFrame) -> pl.DataFrame:
    """Return ``instruction_id`` and ``constrains_length``, null where words do not tell."""
    return instructions.select(
        "instruction_id",
        constrains_length=constrains_length(pl.col("instruction"), pl.col("category")),
    )


def failed_verifiers() -> pl.Expr:
    """Return from ``outcomes`` the ids of the verifiers that said no, sorted."""
    verdict = pl.element().struct
    failed = pl.element().filter(verdict.field("outcome") == "fail").struct.field("verifier_id")
    return pl.col("outcomes").list.eval(failed).list.sort()


def draw_pairs(
    candidates: pl.DataFrame,
    group: str,
    recipe: Recipe,
    batch: str,
    *,
    even_lengths: bool = True,
) -> pl.DataFrame:
    """Draw up to ``chosen_per_prompt`` x ``rejected_per_prompt`` pairs of each group.

    Where that is more than ``pairs_per_prompt``, fewer are taken on the side that has more. Each
    one taken on one side makes a pair with each one on the other. Which are taken evens out the
    lengths over the groups of an instruction; where it constrains length, or ways to take them are
    equally good, it is the first ones of a random order. Where candidates have ranks, it is those
    that rank first, whatever their lengths.

    Args:
        candidates: ``group``, ``instruction_id``, ``candidate_id``, ``text``, ``pass_rate``,
            ``score``, ``failed_verifiers``, ``origin``, ``constrains_length`` (null: measured by
            which lengths may be chosen and which rejected), ``is_positive`` (may be chosen if its
            pass rate suffices), ``is_negative`` (may be rejected), perhaps
            ``rank``: lower ones are drawn first, those without one last.
        group: Name of the column within which pairs are made; all of a group are of one
            instruction.
        recipe: The bounds and counts.
        batch: Key of the batch. The random order is that of a hash of batch, recipe seed and id:
            reproducible, and independent of the order of the rows.
        even_lengths: False draws as if every instruction constrained length, to compare with.

    Returns:
        ``group``, ``pair_id`` and ``PAIR_COLUMNS``.
    """
    ranked = "rank" in candidates.columns
    drawn = _in_order(candidates, group, recipe, batch)
    # A chosen response may need a higher pass rate than an accepted one [3.4].
    enough = recipe.bound("chosen_pass_rate").accepts(pl.col("pass_rate"))
    positives = drawn.filter(pl.col("is_positive") & enough & ~pl.col("is_negative"))
    negatives = drawn.filter("is_negative")
    positives = _with_measured_lengths(positives, negatives)
    # Where candidates have ranks, the first ones are taken whatever their lengths.
    places = _places(positives, negatives, group, recipe, even_lengths and not ranked)
    chosen = _side("chosen", positives, places, group, "constrains_length")
    rejected = _side("rejected", negatives, places, group, "failed_verifiers")
    pairs = chosen.join(rejected, on=group, maintain_order="left_right")
    return pairs.select(
        group,
        "constrains_length",
        *(c for c in pairs.columns if c in PAIR_COLUMNS and c != "constrains_length"),
        pair_id=id_series("pair", pairs["chosen_id"], pairs["rejected_id"]),
        margin=pl.col("chosen_pass_rate") - pl.col("rejected_pass_rate"),
        origin=_pair_origin(),
    )


def _with_measured_lengths(positives: pl.DataFrame, negatives: pl.DataFrame) -> pl.DataFrame:
    """Fill ``constrains_length`` where words do not tell it."""
    if not positives["constrains_length"].has_nulls():
        return positives
    measured = follows_length(positives, negatives)
    return (
        positives.join(measured, on="instruction_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce("constrains_length", "follows_length"))
        .drop("follows_length")
    )


def _in_order(candidates: pl.DataFrame, group: str, recipe: Recipe, batch: str) -> pl.DataFrame:
    """Put candidates in the order they are drawn in; add ``length`` and call their id ``id``."""
    # A hash, not a shuffle: the order of two candidates is the same whatever others there are.
    order = pl.Series(
        [content_id("draw", batch, str(recipe.seed), key) for key in candidates["candidate_id"]],
        dtype=pl.String,
    )
    by_rank = [pl.col("rank").fill_null(float("inf"))] if "rank" in candidates.columns else []
    return (
        candidates.with_columns(_order=order)
        .sort(group, *by_rank, "_order")
        .rename({"candidate_id": "id"})
        .with_columns(length=pl.col("text").str.len_chars().cast(pl.Int64))
    )


def _side(
    name: str, rows: pl.DataFrame, places: pl.DataFrame, group: str, *more: str
) -> pl.DataFrame:
    """Return the rows that are taken on one side, under the names they have in a pair."""
    return (
        rows.with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64).over(group))
        .join(
            places.select(group, place=name).explode("place"),
            on=[group, "place"],
            how="semi",
            maintain_order="left",
        )
        .select(
            group,
            *(pl.col(c).alias(name if c == "text" else f"{name}_{c}") for c in _SIDE),
            *more,
        )
    )


def _pair_origin() -> pl.Expr:
    """Return where a pair comes from: the rarer source of its two sides."""
    chosen, rejected = pl.col("chosen_origin"), pl.col("rejected_origin")
    # Only a rejected one is a near miss; either may be a further sample.
    return pl.when(rejected.is_in([NEAR, FURTHER])).then(rejected).otherwise(chosen)


def _places(
    positives: pl.DataFrame,
    negatives: pl.DataFrame,
    group: str,
    recipe: Recipe,
    even_lengths: bool,
) -> pl.DataFrame:
    """Return ``group`` and the places of the ones taken on each side, ``chosen``, ``rejected``."""

    def lengths(name: str, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.group_by(group, maintain_order=True).agg(pl.col("length").alias(name))

    free = positives.group_by(group).agg(
        pl.col("instruction_id").first().alias("_instruction"),
        free=~pl.col("constrains_length").any() & pl.lit(even_lengths),
    )
    groups = (
        lengths("chosen", positives)
        .join(lengths("rejected", negatives), on=group, maintain_order="left")
        .join(free, on=group, maintain_order="left")
    )
    taken: list[tuple[str, Sequence[int], Sequence[int]]] = []
    to_balance: dict[str, list[tuple[str, list[int], list[int], tuple[int, int]]]] = {}
    for key, chosen, rejected, instruction, is_free in groups.iter_rows():
        sizes = _sizes(len(chosen), len(rejected), recipe)
        if is_free:
            to_balance.setdefault(instruction, []).append((key, chosen, rejected, sizes))
        else:
            taken.append((key, *map(range, sizes)))
    for prompts in to_balance.values():
        taken += balanced(prompts)
    return pl.DataFrame(
        [(key, list(first), list(second)) for key, first, second in taken],
        schema={group: pl.String, "chosen": pl.List(pl.Int64), "rejected": pl.List(pl.Int64)},
        orient="row",
    )


def _sizes(chosen: int, rejected: int, recipe: Recipe) -> tuple[int, int]:
    chosen = min(chosen, recipe.chosen_per_prompt)
    rejected = min(rejected, recipe.rejected_per_prompt)
    while chosen * rejected > recipe.pairs_per_prompt:
        if chosen > rejected:
            chosen -= 1
        else:
            rejected -= 1
    return chosen, rejected


def gather_pairs(levels: Sequence[tuple[str, pl.DataFrame]], recipe: Recipe) -> pl.DataFrame:
    """Put the pairs of all levels into one table.

    Args:
        levels: ``("instruction", frame)`` and ``("query", frame)``.
        recipe: What ``tell_apart`` needs.

    Returns:
        ``preference_pairs`` without ``batch``; reasons as of ``tell_apart``.
    """
    # An instruction alone is no augmented query, and nothing was said before it.
    lacking = {name: pl.lit(None, dtype=pl.String) for name in ("prompt_id", "context")}
    frames = [
        frame.with_columns(
            level=pl.lit(level), **{n: v for n, v in lacking.items() if n not in frame.columns}
        ).select(
            *("pair_id", "level", "prompt_id", "instruction_id", "context", "prompt"),
            *PAIR_COLUMNS,
        )
        for level, frame in levels
    ]
    return tell_apart(pl.concat(frames), recipe)


def tell_apart(pairs: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Reject pairs that teach nothing: texts too much alike, or a rejected one that is no answer.

    Args:
        pairs: ``chosen``, ``rejected``, ``rejected_score`` and other columns.
        recipe: ``near_identical``, ``reject_degenerate``, ``min_rejected_score``.

    Returns:
        ``pairs`` with ``status`` and ``reason``: ``identical`` (both texts are the same but for
        white space), ``near_identical`` (they share most of their runs of three words: DPO on
        such pairs makes the chosen text less likely, arXiv 2402.13228), ``empty`` (a side has no
        text), ``degenerate`` (rejected is noise, and chosen is not: what asks for symbols gets
        some), ``low_rejected_score`` (rejected has a score, which is below the bound).
    """

    def folded(name: str) -> pl.Expr:
        return pl.col(name).str.replace_all(r"\s+", " ").str.strip_chars()

    # Runs of words take many times the memory of the texts, so a few rows at a time.
    found = [_texts_told(part, recipe) for part in pairs.iter_slices(_AT_A_TIME)]
    return decide(
        pairs.hstack(pl.concat(found or [_texts_told(pairs, recipe)])),
        {
            "empty": (folded("chosen") == "") | (folded("rejected") == ""),
            "identical": folded("chosen") == folded("rejected"),
            "near_identical": recipe.bound("near_identical").accepts(pl.col("_alike")),
            "degenerate": pl.col("_noise"),
            "low_rejected_score": ~recipe.bound("min_rejected_score").accepts(
                pl.col("rejected_score")
            ),
        },
    ).drop("_alike", "_noise")


def _texts_told(pairs: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return how much alike the two texts of each pair are, and whether rejected alone is noise."""
    alike = pairs.select(_alike=similarity(pl.col("chosen"), pl.col("rejected")))
    if not recipe.reject_degenerate:
        return alike.with_columns(_noise=pl.lit(False))
    noise = pairs.select(_noise=degenerate(pl.col("rejected"))).with_row_index("row")
    # Few are noise: of these only is chosen looked at.
    beside = pairs.hstack(noise).filter("_noise")
    both = beside.filter(degenerate(pl.col("chosen")))["row"]
    return alike.with_columns(noise["_noise"] & ~noise["row"].is_in(both.implode()))


BIAS_SCHEMA = {
    "pairs": pl.Int64,
    "length_pairs": pl.Int64,
    "length": pl.Int64,
    "score_pairs": pl.Int64,
    "score": pl.Float64,
}


def tally_bias(pairs: pl.DataFrame) -> pl.DataFrame:
    """Add up how much longer and better scored chosen is than rejected.

    Returns:
        One row of ``BIAS_SCHEMA``: how many pairs there are, and the number and sum of the
        differences of length (in characters, where the instruction does not constrain it) and of
        score (where both have one). The rows of several parts may be put together.
    """
    length = (pl.col("chosen_length") - pl.col("rejected_length")).filter(
        ~pl.col("constrains_length")
    )
    score = pl.col("chosen_score") - pl.col("rejected_score")
    return pairs.select(
        pairs=pl.len(),
        length_pairs=length.count(),
        length=length.sum(),
        score_pairs=score.count(),
        score=score.sum(),
    ).cast(BIAS_SCHEMA)  # type: ignore[arg-type]


def mean_bias(tallies: Iterable[pl.DataFrame]) -> dict[str, float]:
    """Return the mean differences, ``length_bias`` and ``score_bias``, of what there is of them."""
    sums = pl.concat([pl.DataFrame(schema=BIAS_SCHEMA), *tallies]).sum().row(0, named=True)
    return {
        f"{name}_bias": round(sums[name] / sums[f"{name}_pairs"], 3)
        for name in ("length", "score")
        if sums[f"{name}_pairs"]
    }
