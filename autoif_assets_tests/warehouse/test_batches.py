"""What a batch is pinned to, and the seeds and queries that are kept for it."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from autoif_assets.warehouse import (
    TABLES,
    Batch,
    Role,
    changed_seeds,
    content_hash,
    excluded_batches,
    find_batch,
    keep_inputs,
    paid_calls,
    pinned_inputs,
    remove_batch,
    rows_of_batch,
    save_batch,
)

from .backends import BACKENDS, new_warehouse
from .samples import sample

SEEDS, QUERIES = "seed_instructions", "seed_queries"


@pytest.fixture(params=BACKENDS)
def warehouse(request, tmp_path):
    return new_warehouse(request, tmp_path)


def seeds(*texts, source="seeds.txt", verifier=None, cases=None):
    return pl.DataFrame(
        {
            "instruction_id": [f"id-{text}" for text in texts],
            "instruction": list(texts),
            "category": ["length" for _ in texts],
            "verifier": pl.Series([verifier for _ in texts], dtype=pl.String),
            "cases": pl.Series([cases for _ in texts], dtype=pl.String),
            "source": [source for _ in texts],
            "line": list(range(1, len(texts) + 1)),
            "status": ["accepted" for _ in texts],
            "reason": pl.Series([None for _ in texts], dtype=pl.String),
        }
    )


def test_a_batch_is_read_as_it_was_saved(warehouse):
    saved = Batch(
        "b1",
        recipe="paper",
        numbers={"responses_per_prompt": 4, "min_score": ">= 8", "seeds_per_batch": None},
        roles=(Role("supervision", "m", "http://h/v1", '{"temperature": 0.5}'), Role("nli", "n")),
        prompts_hash="p",
        seeds_hash="s",
        queries_hash="q",
        created_at=datetime(2026, 5, 4, tzinfo=UTC),
        asked_by="schedule nightly_batch",
        simulated=False,
    )
    save_batch(warehouse, saved)
    assert find_batch(warehouse, "b1") == saved
    assert saved.pinned
    save_batch(warehouse, replace(saved, excluded=True))
    save_batch(warehouse, Batch("b2"))
    assert excluded_batches(warehouse) == ["b1"]
    assert not find_batch(warehouse, "b2").pinned
    numbers = warehouse.query("SELECT numbers ->> '$.responses_per_prompt' FROM autoif.batches")
    assert numbers.to_series().to_list() == ["4", None]


def test_discarding_and_removing_take_the_rows_of_that_batch_only(warehouse):
    for batch in ("b1", "b2"):
        for name in ("responses", "sft_examples"):
            frame = sample(TABLES[name], 3, batch=batch)
            warehouse.write(name, frame, {"batch": batch})
        calls = sample(TABLES["llm_calls"], 3, batch=batch, asset="responses")
        warehouse.write("llm_calls", calls, {"batch": batch, "asset": "responses"})
        save_batch(warehouse, Batch(batch))
    whole = {"responses": 3, "sft_examples": 3}
    assert rows_of_batch(warehouse, "b1") == whole
    # Of three samples one has no completions.
    assert paid_calls(warehouse, "b1") == (2, 0.75)
    save_batch(warehouse, Batch("b1", recipe="paper"), discard=True)
    assert rows_of_batch(warehouse, "b1") == {}
    assert paid_calls(warehouse, "b1")[0] == 2
    remove_batch(warehouse, "b1")
    assert paid_calls(warehouse, "b1")[0] == 0
    assert find_batch(warehouse, "b1") is None
    assert rows_of_batch(warehouse, "b2") == whole
    assert find_batch(warehouse, "b2") is not None


def test_where_and_in_which_order_seeds_are_read_does_not_count():
    one = content_hash(SEEDS, seeds("a", "b"))
    assert content_hash(SEEDS, seeds("b", "a", source="/elsewhere/seeds.txt")) == one
    assert content_hash(SEEDS, seeds("a", "b", "c")) != one
    other = seeds("a", "b").with_columns(category=pl.Series(["length", "format"]))
    assert content_hash(SEEDS, other) != one
    rejected = seeds("a", "b", "c").with_columns(
        status=pl.Series(["accepted", "accepted", "rejected"])
    )
    assert content_hash(SEEDS, rejected) == one


def queries(*contexts):
    texts = [f"Why {number}?" for number in range(len(contexts))]
    return pl.DataFrame(
        {
            "query_id": [f"id-{text}" for text in texts],
            "query": texts,
            "context": pl.Series(contexts, dtype=pl.String),
            "source": ["q.json" for _ in texts],
            "line": list(range(1, len(texts) + 1)),
            "status": ["accepted" for _ in texts],
            "reason": pl.Series([None for _ in texts], dtype=pl.String),
        }
    )


def test_contexts_are_content_and_their_absence_is_none():
    # Computed before queries had a context.
    assert content_hash(QUERIES, queries(None, None)) == "0a5178170dedd6e2"
    found = [queries(None, None), queries("[1]", None), queries("[2]", None), queries("[1]", "[1]")]
    assert len({content_hash(QUERIES, one) for one in found}) == 4


def test_what_people_hand_in_is_content_and_its_absence_is_none():
    # Computed before seeds came with verifiers and cases.
    assert content_hash(SEEDS, seeds("a", "b")) == "477823b78a9a966f"
    of_checks = [{}, {"verifier": "[1]"}, {"verifier": "[2]"}, {"cases": "[1]"}]
    hashes = {content_hash(SEEDS, seeds("a", **given)) for given in of_checks}
    assert len(hashes) == 4


def test_what_people_handed_in_outlives_its_file(warehouse):
    first = seeds("a", verifier="[1]", cases="[2]")
    digest = content_hash(SEEDS, first)
    warehouse.write(SEEDS, first)
    save_batch(warehouse, Batch("b1", seeds_hash=digest))
    keep_inputs(warehouse, SEEDS, seeds("a"))
    warehouse.write(SEEDS, seeds("a"))
    wanted = ["instruction_id", "instruction", "category", "verifier", "cases"]
    kept = pinned_inputs(warehouse, SEEDS, seeds("a").select(wanted), digest)
    assert kept.equals(first.select(wanted))


def test_the_queries_of_a_batch_outlive_their_file_with_what_was_said_before(warehouse):
    first = queries("[1]", None)
    digest = content_hash(QUERIES, first)
    warehouse.write(QUERIES, first)
    save_batch(warehouse, Batch("b1", queries_hash=digest))
    keep_inputs(warehouse, QUERIES, queries(None, None))
    warehouse.write(QUERIES, queries(None, None))
    wanted = ["query_id", "query", "context"]
    kept = pinned_inputs(warehouse, QUERIES, queries(None, None).select(wanted), digest)
    assert kept.sort("query_id").equals(first.select(wanted))


def test_the_seeds_of_a_batch_outlive_their_file(warehouse):
    first, second = seeds("a", "b"), seeds("a", "c")
    digest = content_hash(SEEDS, first)
    warehouse.write(SEEDS, first)
    save_batch(warehouse, Batch("b1", seeds_hash=digest))
    now = first.select("instruction_id", "instruction", "category", "verifier", "cases")
    assert pinned_inputs(warehouse, SEEDS, now, digest) is now
    keep_inputs(warehouse, SEEDS, first)
    assert warehouse.read("input_sets").is_empty()  # nothing is replaced
    keep_inputs(warehouse, SEEDS, second)
    warehouse.write(SEEDS, second)
    # Of these no batch was made.
    keep_inputs(warehouse, SEEDS, seeds("d"))
    later = second.select(now.columns)
    kept = pinned_inputs(warehouse, SEEDS, later, digest)
    assert kept.sort("instruction_id").equals(now.sort("instruction_id"))
    assert pinned_inputs(warehouse, SEEDS, later, None) is later
    assert pinned_inputs(warehouse, SEEDS, later, "unknown") is None


def test_a_batch_is_stale_by_a_changed_check_of_a_seed_it_carries(warehouse):
    carried = sample(TABLES["augmented_instructions"], 1, batch="b1").with_columns(
        instruction_id=pl.lit("id-a"),
        category=pl.lit("length"),
        origin=pl.lit("seed"),
        status=pl.lit("accepted"),
    )
    first, other = seeds("a", verifier="[1]"), seeds("a", verifier="[2]")
    warehouse.write("augmented_instructions", carried, {"batch": "b1"})
    warehouse.write(SEEDS, first)
    save_batch(warehouse, Batch("b1", seeds_hash=content_hash(SEEDS, first)))
    assert changed_seeds(warehouse) == {}
    for now, stale in ((other, {"b1": 1}), (seeds("a", "b"), {"b1": 1}), (first, {})):
        keep_inputs(warehouse, SEEDS, now)
        warehouse.write(SEEDS, now)
        assert changed_seeds(warehouse) == stale


def test_a_batch_is_stale_by_a_seed_it_carries_and_not_by_one_more(warehouse):
    carried = sample(TABLES["augmented_instructions"], 2, batch="b1").with_columns(
        instruction_id=pl.Series(["id-a", "id-b"]),
        category=pl.lit("length"),
        origin=pl.lit("seed"),
        status=pl.lit("accepted"),
    )
    warehouse.write("augmented_instructions", carried, {"batch": "b1"})
    assert changed_seeds(warehouse) == {}
    warehouse.write(SEEDS, seeds("a", "b", "c"))
    assert changed_seeds(warehouse) == {}
    warehouse.write(SEEDS, seeds("b", "c"))
    assert changed_seeds(warehouse) == {"b1": 1}
