"""Batches by a backfill while people read, and one whose server dies, which repairs complete."""

import json
from dataclasses import replace

import dagster as dg
import duckdb
import pytest

from .conftest import BATCHES, PATIENCE_S, SHELL, TABLES, rows_by_batch
from .daemon import all_made, statuses, wait_for

LATE, OWN = "late", "own"


def most_at_once(runs):
    """How many runs were under way in the same moment."""
    return max(
        sum(other["startTime"] <= run["startTime"] < other["endTime"] for other in runs)
        for run in runs
    )


def test_a_backfill_makes_every_batch_beside_others(backfill):
    assert backfill.ended["status"] == "COMPLETED_SUCCESS", backfill.ended
    runs = backfill.ended["runs"]
    assert [run["status"] for run in runs] == ["SUCCESS"] * len(BATCHES)
    assert most_at_once(runs) >= 4
    with duckdb.connect(backfill.reader.path, read_only=True) as con:
        made, different = con.execute(
            "SELECT count(*), count(DISTINCT instruction_id) FROM autoif.augmented_instructions"
            " WHERE status = 'accepted'"
        ).fetchone()
    assert made == different > len(BATCHES)


def test_who_reads_meanwhile_sees_whole_batches(backfill):
    reader = backfill.reader
    print(f"{reader.reads} reads while {len(BATCHES)} batches were made")
    assert reader.failures == []
    # It looked while some were there and others were not.
    assert reader.batches & set(range(1, len(BATCHES)))
    with duckdb.connect(reader.path, read_only=True) as con:
        for table in TABLES:
            final = rows_by_batch(con, table)
            assert final.keys() >= set(BATCHES)
            if table != "llm_calls":  # filled asset by asset
                torn = {b: reader.seen[table, b] - {final[b]} for b in BATCHES}
                assert not any(torn.values()), torn


@pytest.mark.skipif(SHELL is None, reason="the duckdb shell (duckdb-cli) is not installed")
def test_a_shell_that_was_open_meanwhile_still_reads(backfill):
    assert backfill.said == ("open,true\nstill,true\n", 0)


def made(instance, batches):
    """When each asset of the batches was last made, as the number of its event."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return {
        (key.to_user_string(), batch): event
        for key in instance.all_asset_keys()
        for batch, event in instance.get_latest_storage_id_by_partition(key, kind).items()
        if batch in batches
    }


def journals(folder, batches):
    return {
        path: path.read_bytes() for batch in batches for path in folder.glob(f"*/{batch}/*.jsonl")
    }


@pytest.mark.usefixtures("backfill")
def test_what_failed_is_completed_and_nothing_else_touched(dev):
    # Of a shell with other numbers than the daemon's: it remade such a batch once, and 858
    # examples became 4.
    numbers = json.loads(dev.environment["AUTOIF_OVERRIDES"]) | {"responses_per_prompt": 3}
    others = replace(dev, environment=dev.environment | {"AUTOIF_OVERRIDES": json.dumps(numbers)})
    others.autoif("run", "--batch", OWN)
    with dev.instance() as instance:
        before = made(instance, (*BATCHES, OWN)), journals(dev.data / "journals", BATCHES)
        served = dev.simulator.stats()["completions"]
        dev.autoif("batch", "add", LATE)
        dev.launch(LATE)
        # The server dies when it has begun.
        assert wait_for(lambda: dev.simulator.stats()["completions"] > served + 5, PATIENCE_S)
        dev.simulator.stop()
        try:
            failed = dg.DagsterRunStatus.FAILURE
            assert wait_for(lambda: failed in statuses(instance, [LATE])[LATE], PATIENCE_S, 1)
        finally:
            dev.simulator.start()
        begun = made(instance, [LATE])
        assert any(asset == "augmented_instructions" for asset, _ in begun)
        dev.switch("repair_batches", on=True)
        try:
            assert wait_for(lambda: all_made(instance, [LATE]), PATIENCE_S, 1), statuses(
                instance, [LATE]
            )
        finally:
            dev.switch("repair_batches", on=False)
        assert begun.items() <= made(instance, [LATE]).items()
        after = made(instance, (*BATCHES, OWN)), journals(dev.data / "journals", BATCHES)
        assert after == before
        assert {len(runs) for runs in statuses(instance, BATCHES).values()} == {1}
    listed = dev.autoif("batch", "list").splitlines()
    assert {f"{batch}: complete" for batch in (*BATCHES, LATE, OWN)} <= set(listed)
