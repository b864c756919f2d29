"""How likely the supervision model finds responses: mean log-probability and IFD.

IFD, the instruction-following difficulty of Li et al. (arXiv 2308.12032), is the loss of a
response given its prompt over its loss without one: near 1 the prompt helps the model little, so
there is much to learn; above 1 it misleads. The mean log-probability given the prompt ranks
responses as RRHF does (Yuan et al., arXiv 2304.05302).

The paper selects by neither; a recipe may select SFT examples by IFD, and put pairs in the order
of the likelihoods.
"""

import json
import math

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.recipe import Recipe

ROLE = "likelihood"


def likelihood_texts(
    responses: pl.DataFrame,
    assessed: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    """Return what to put to the model: every response twice, given its prompt and alone.

    Args:
        responses: ``response_id``, ``response`` of all accepted responses.
        assessed: What ``resampling.verdicts_with_scores`` says of them, with ``instruction_id``.
        augmented_queries: ``prompt_id``, ``context``, ``prompt``.
        recipe: ``likelihood_of``: ``kept`` are the responses that passed and scored well,
            ``judged`` those and the ones that may be negatives.

    Returns:
        ``response_id``, ``prompt_id``, ``instruction_id``, ``kept``, ``alone``, ``context`` and
        ``prompt`` (null and empty where alone) and ``scored``, the response.
    """
    kept = pl.col("is_positive")
    wanted = {"none": pl.lit(False), "kept": kept, "judged": kept | pl.col("is_negative")}
    rows = (
        assessed.filter(wanted[recipe.likelihood_of])
        .select("response_id", "prompt_id", "instruction_id", kept=kept)
        .join(
            responses.select("response_id", scored="response"),
            on="response_id",
            maintain_order="left",
        )
        .join(
            augmented_queries.select("prompt_id", "context", "prompt"),
            on="prompt_id",
            maintain_order="left",
        )
    )
    nothing = {"context": pl.lit(None, dtype=pl.String), "prompt": pl.lit("")}
    return pl.concat(
        [
            rows.with_columns(alone=pl.lit(False)),
            rows.with_columns(alone=pl.lit(True), **nothing),
        ]
    )


def parse_likelihoods(readings: pl.DataFrame) -> pl.DataFrame:
    """Turn the two readings of each response into ``response_likelihoods`` without ``batch``.

    Both means are taken over the same tokens: those at the end of the reading with the prompt
    that are, one for one, the end of the reading without. So the prompt and the chat template
    stay outside, and so does the first token where nothing came before it alone.

    Args:
        readings: ``response_id``, ``prompt_id``, ``instruction_id``, ``kept``, ``alone`` beside
            ``COMPLETION_SCHEMA``; ``raw`` is JSON, ``[token id, log-probability]`` a token.

    Reasons: ``call_refused``, ``unaligned`` (the readings share less than nine tenths of the
    response's tokens: the chat template changes the text), ``too_short`` (no token but the
    first), ``no_ifd`` (certain without a prompt).
    """
    keys = ["response_id", "prompt_id", "instruction_id", "kept"]
    columns = ["call_id", "raw", "error"]
    given = readings.filter(~pl.col("alone")).select(*keys, *columns)
    alone = readings.filter("alone").select(
        "response_id", *(pl.col(name).alias(f"{name}_alone") for name in columns)
    )
    pairs = given.join(alone, on="response_id", maintain_order="left")
    measures = pl.DataFrame(
        [_measure(*texts) for texts in pairs.select("raw", "raw_alone").iter_rows()],
        schema={
            "of": pl.Int64,
            "tokens": pl.Int64,
            "mean_logprob": pl.Float64,
            "mean_logprob_alone": pl.Float64,
        },
        orient="row",
    )
    alone_loss = pl.col("mean_logprob_alone")
    frame = pairs.hstack(measures).with_columns(
        ifd=pl.when(alone_loss < 0).then(pl.col("mean_logprob") / alone_loss),
        detail=pl.coalesce("error", "error_alone"),
    )
    return decide(
        frame,
        {
            "call_refused": pl.col("detail").is_not_null() | pl.col("of").is_null(),
            "too_short": pl.col("of") == 0,
            "unaligned": pl.col("tokens") * 10 < pl.col("of") * 9,
            "no_ifd": pl.col("ifd").is_null(),
        },
    ).select(
        *keys,
        "tokens",
        "mean_logprob",
        "mean_logprob_alone",
        "ifd",
        "call_id",
        "call_id_alone",
        "status",
        "reason",
        "detail",
    )


def _measure(
    given: str | None, alone: str | None
) -> tuple[int | None, int | None, float | None, float | None]:
    """Return the tokens of the response, how many of them both share, and their two means."""
    if given is None or alone is None:
        return None, None, None, None
    try:
        first, second = _reading(given), _reading(alone)
    except (ValueError, TypeError, RecursionError):
        return None, None, None, None
    shared = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one[0] != other[0]:
            break
        shared += 1
    if not shared:
        return len(second), 0, None, None
    mean, mean_alone = (sum(p for _, p in side[-shared:]) / shared for side in (first, second))
    return len(second), shared, mean, mean_alone


def _reading(raw: str) -> list[tuple[int, float]]:
    """Read what a call of `ROLE` brought; a journal may hold what this version would not write."""
    tokens = [(int(token), float(logprob)) for token, logprob in json.loads(raw)]
    if not all(math.isfinite(logprob) for _, logprob in tokens):
        raise ValueError
    return tokens


def ifd_rules(likelihoods: pl.DataFrame, recipe: Recipe) -> dict[str, pl.Expr]:
    """Return the rules that reject SFT examples by their ``ifd``.

    Quantiles are those of the batch's candidates, over all instructions, so that the parts an
    asset works in do not matter.

    Args:
        likelihoods: ``kept``, ``ifd`` of all ``response_likelihoods`` of the batch.
        recipe: ``ifd_min_quantile``, ``ifd_max_quantile`` and ``ifd_below``.

    Returns:
        Rules over a column ``ifd``: ``no_ifd``, ``ifd_not_below`` (the prompt misleads the model
        more than it helps), ``low_ifd``, ``high_ifd``; none where nothing is selected.
    """
    if not selects_by_ifd(recipe):
        return {}
    candidates = likelihoods.filter("kept")["ifd"].drop_nulls()
    if recipe.ifd_below is not None:
        candidates = candidates.filter(candidates < recipe.ifd_below)
    low = candidates.quantile(recipe.ifd_min_quantile, "linear")
    high = candidates.quantile(recipe.ifd_max_quantile, "linear")
    ifd = pl.col("ifd")
    return {
        "no_ifd": ifd.is_null(),
        "ifd_not_below": ifd >= pl.lit(recipe.ifd_below, dtype=pl.Float64),
        "low_ifd": ifd < pl.lit(low, dtype=pl.Float64),
        "high_ifd": ifd > pl.lit(high, dtype=pl.Float64),
    }


def selects_by_ifd(recipe: Recipe) -> bool:
    """Whether the recipe keeps SFT examples by their IFD."""
    bounds = (recipe.ifd_min_quantile, recipe.ifd_max_quantile, recipe.ifd_below)
    return bounds != (0, 1, None)


def likelihood_rank(candidates: pl.DataFrame, likelihoods: pl.DataFrame) -> pl.DataFrame:
    """Add ``rank`` to candidates of pairs: 1 is the most likely response of its prompt.

    On both sides the most likely are to come first: of those that pass the ones the model stands
    by, of those that fail the ones it is most prone to.

    Args:
        candidates: ``prompt_id``, ``candidate_id``.
        likelihoods: ``response_id``, ``mean_logprob``.
    """
    return (
        candidates.join(
            likelihoods.select(candidate_id="response_id", _mean="mean_logprob"),
            on="candidate_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(rank=pl.col("_mean").rank("min", descending=True).over("prompt_id"))
        .drop("_mean")
    )
