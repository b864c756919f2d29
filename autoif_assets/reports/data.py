"""What the report shows: totals and a handful of rows, however large the tables are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from autoif_assets.reports.coverage import COVERAGE
from autoif_assets.reports.examples import EXAMPLES, MAX_CHARS
from autoif_assets.reports.trust import Trust, gather_trust

# Rows of the page's tables; the page says where there are more.
MAX_CATEGORIES = 40
MAX_CALLS = 40
_MAX_BATCHES = 30
_MAX_GALLERY = 12

_FUNNEL = """
SELECT stage, status, split_part(reason, ':', 1) AS reason, CAST(sum(rows) AS BIGINT) AS rows
FROM autoif.funnel
GROUP BY position, stage, status, split_part(reason, ':', 1)
ORDER BY position, status, rows DESC, reason
"""

LEFT_OUT = "left out of "
"""What stands before the split of rows whose query is on its other side: no file has them."""

# A row that several batches made is one row of the dataset.
_DATASETS = f"""
SELECT dataset,
    CASE
        WHEN split IS NULL THEN 'not exported yet'
        WHEN query_of IS NOT NULL THEN '{LEFT_OUT}' || split
        ELSE split
    END AS split,
    count(DISTINCT id) AS rows, count(DISTINCT instruction_id) AS instructions
FROM (
    SELECT 'sft' AS dataset, example_id AS id, prompt_id, instruction_id, batch
    FROM autoif.sft_examples WHERE status = 'accepted'
    UNION ALL
    SELECT 'preference', pair_id, prompt_id, instruction_id, batch
    FROM autoif.preference_pairs WHERE status = 'accepted'
    UNION ALL
    SELECT 'kto', example_id, prompt_id, instruction_id, batch FROM autoif.kto_examples
    UNION ALL
    SELECT 'reward', prompt_id, prompt_id, instruction_id, batch
    FROM autoif.rl_prompts WHERE status = 'accepted'
)
ANTI JOIN (FROM autoif.batches WHERE excluded) USING (batch)
LEFT JOIN autoif.dataset_splits USING (dataset, instruction_id)
LEFT JOIN autoif.dataset_left_out USING (dataset, prompt_id)
GROUP BY ALL
ORDER BY dataset DESC, split DESC
"""

# One more than the page shows tells it that there are more.
_CATEGORIES = f"""
SELECT left(category, 100) AS category, CAST(sum(seeds) AS BIGINT) AS seeds,
    CAST(sum(instructions) AS BIGINT) AS instructions, CAST(sum(verified) AS BIGINT) AS verified,
    CAST(sum(examples) AS BIGINT) AS examples, CAST(sum(pairs) AS BIGINT) AS pairs
FROM (
    SELECT category, 1 AS seeds, 0 AS instructions, 0 AS verified, 0 AS examples, 0 AS pairs
    FROM autoif.seed_instructions WHERE status = 'accepted'
    UNION ALL
    SELECT i.category, 0, 1, coalesce(verified, 0), coalesce(examples, 0), coalesce(pairs, 0)
    FROM (FROM autoif.augmented_instructions WHERE status = 'accepted') i
    LEFT JOIN (
        SELECT batch, instruction_id, 1 AS verified
        FROM autoif.verified_instructions WHERE status = 'accepted'
    ) USING (batch, instruction_id)
    LEFT JOIN (
        SELECT batch, instruction_id, count(*) AS examples
        FROM autoif.sft_examples WHERE status = 'accepted' GROUP BY ALL
    ) USING (batch, instruction_id)
    LEFT JOIN (
        SELECT batch, instruction_id, count(*) AS pairs
        FROM autoif.preference_pairs WHERE status = 'accepted' GROUP BY ALL
    ) USING (batch, instruction_id)
)
GROUP BY ALL
ORDER BY examples DESC, verified DESC, instructions DESC, category NULLS LAST
LIMIT {MAX_CATEGORIES + 1}
"""

# Bin 0 is exactly none, 11 exactly all, and 1 to 10 end at 10 %, 20 %, ... between: none and all
# are what the rules for rejected and chosen responses ask about.
_PASS_RATES = """
SELECT CAST(CASE pass_rate WHEN 0 THEN 0 WHEN 1 THEN 11 ELSE ceil(round(10 * pass_rate, 6)) END
    AS BIGINT) AS bin, status, count(*) AS rows
FROM autoif.response_verdicts
GROUP BY ALL
ORDER BY ALL
"""

_SCORES = """
SELECT CAST(floor(score) AS BIGINT) AS bin, status, count(*) AS rows
FROM autoif.response_scores
GROUP BY ALL
ORDER BY ALL
"""

# A verifier of each category comes before the second of any; one an instruction at most.
_GALLERY = f"""
WITH wanted AS (
    SELECT batch, category, arg_min(verifier_id, md5(verifier_id)) AS verifier_id,
        row_number() OVER (PARTITION BY category ORDER BY md5(batch || instruction_id)) AS place
    FROM autoif.verifier_gallery
    WHERE instruction_status = 'accepted'
    GROUP BY batch, category, instruction_id
    ORDER BY place, md5(batch || instruction_id)
    LIMIT {_MAX_GALLERY}
)
SELECT left(instruction, {MAX_CHARS}) AS instruction, left(category, 100) AS category,
    left(source, {MAX_CHARS}) AS source, length(source) AS source_length, accuracy, cases,
    left(back_translation, {MAX_CHARS}) AS back_translation, nli_label
FROM autoif.verifier_gallery SEMI JOIN wanted USING (batch, verifier_id)
ORDER BY category NULLS LAST, instruction, verifier_id
"""

_SPENT = """
CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(refused) AS BIGINT) AS refused,
    CAST(sum(prompt_tokens) AS BIGINT) AS prompt_tokens,
    CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
    CAST(sum(completion_tokens) AS BIGINT) AS completion_tokens,
    sum(cost) AS cost, sum(seconds) AS seconds,
    min(started_at) AS started_at, max(finished_at) AS finished_at"""

_TOTALS = f"""
SELECT coalesce(calls, 0) AS calls, coalesce(refused, 0) AS refused,
    coalesce(prompt_tokens, 0) AS prompt_tokens, coalesce(cached_tokens, 0) AS cached_tokens,
    coalesce(completion_tokens, 0) AS completion_tokens, coalesce(cost, 0) AS cost,
    started_at, finished_at, models,
    (SELECT count(DISTINCT batch) FROM autoif.augmented_instructions) AS batches
FROM (SELECT {_SPENT}, count(DISTINCT model) AS models FROM autoif.cost)
"""

# A policy's every iteration is a model of its own: there may be many.
_CALLS = f"""
SELECT * FROM (
    SELECT asset, model, {_SPENT}
    FROM autoif.cost
    GROUP BY asset, model
    ORDER BY seconds DESC, asset, model LIMIT {MAX_CALLS + 1}
)
ORDER BY started_at, asset, model
"""

_BATCHES = f"""
SELECT * FROM (
    SELECT batch, {_SPENT} FROM autoif.cost GROUP BY batch
    ORDER BY started_at DESC, batch DESC LIMIT {_MAX_BATCHES}
)
LEFT JOIN (
    SELECT batch, count(*) AS examples FROM autoif.sft_examples
    WHERE status = 'accepted' GROUP BY batch
) USING (batch)
LEFT JOIN (
    SELECT batch, count(*) AS pairs
    FROM autoif.preference_pairs WHERE status = 'accepted' GROUP BY batch
) USING (batch)
ORDER BY started_at DESC, batch DESC
"""


@dataclass(frozen=True)
class Stage:
    """A stage of the method.

    Attributes:
        name: Its table.
        description: One sentence: what a row is.
        section: The paper's section.
        is_gate: Whether the table holds all its candidates with a status and a reason.
    """

    name: str
    description: str
    section: str
    is_gate: bool


@dataclass(frozen=True)
class ReportData:
    """All that the page is made of; the frames are the results of the queries named alike.

    Attributes:
        stages: In the order of the flow, also those whose table is empty.
        funnel: ``stage, status, reason, rows`` over all batches.
        examples: By stage, ``status, reason, about, text, other, note`` and the lengths
            ``about_length, text_length, other_length`` of the texts before they were cut.
        datasets: ``dataset, split, rows, instructions``; see `rows_by_dataset`.
        categories: ``category, seeds, instructions, verified, examples, pairs``.
        coverage: ``category, language, base_rate, instructions``.
        pass_rates: ``bin, status, rows``.
        scores: ``bin, status, rows``.
        trust: What is known of the verifiers in use.
        gallery: ``instruction, category, source, source_length, accuracy, cases,
            back_translation, nli_label``.
        totals: One row: all model calls, and how many ``models`` and ``batches`` there are.
        calls: Model calls by ``asset, model``, those that took the most time.
        batches: The latest batches, newest first.
    """

    stages: Sequence[Stage]
    funnel: pl.DataFrame
    examples: dict[str, pl.DataFrame]
    datasets: pl.DataFrame
    categories: pl.DataFrame
    coverage: pl.DataFrame
    pass_rates: pl.DataFrame
    scores: pl.DataFrame
    trust: Trust
    gallery: pl.DataFrame
    totals: pl.DataFrame
    calls: pl.DataFrame
    batches: pl.DataFrame


def gather(query: Callable[[str], pl.DataFrame], stages: Sequence[Stage]) -> ReportData:
    """Ask a database for what the report shows.

    Args:
        query: Returns the result of a SELECT over the tables and views of schema ``autoif``.
        stages: In the order of the flow; those that have examples show some.
    """
    return ReportData(
        stages=stages,
        funnel=query(_FUNNEL),
        examples={
            stage.name: query(EXAMPLES[stage.name].sql)
            for stage in stages
            if stage.name in EXAMPLES
        },
        datasets=query(_DATASETS),
        categories=query(_CATEGORIES),
        coverage=query(COVERAGE),
        pass_rates=query(_PASS_RATES),
        scores=query(_SCORES),
        trust=gather_trust(query),
        gallery=query(_GALLERY),
        totals=query(_TOTALS),
        calls=query(_CALLS),
        batches=query(_BATCHES),
    )


def rows_by_dataset(datasets: pl.DataFrame) -> dict[str, int]:
    """Return how many rows each dataset has, exported or not yet; those left out do not count."""
    there = datasets.filter(~pl.col("split").str.starts_with(LEFT_OUT))
    return dict(there.group_by("dataset").agg(pl.sum("rows")).iter_rows())
