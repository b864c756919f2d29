"""The schedule `repair_batches` under the real daemon: it completes what failed, and no more."""

import json
import subprocess

import dagster as dg
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.daemon import (
    AUTOIF,
    all_made,
    autoif_dev,
    clean_environment,
    statuses,
    wait_for,
)

GOOD, LATE = ["b1", "b2", "b3", "b4"], ["b5", "b6"]
SMALL = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 2,
}
_DONE_S = 600


def autoif(environment, *arguments):
    done = subprocess.run([*AUTOIF, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


@pytest.mark.slow
def test_what_failed_is_completed_and_nothing_else_touched(tmp_path):
    with Simulator(SimulatorSettings()) as simulator:
        environment = clean_environment(
            AUTOIF_DATA=str(tmp_path),
            AUTOIF_BASE_URL=simulator.base_url,
            AUTOIF_MODEL="autoif-simulator",
            AUTOIF_OVERRIDES=json.dumps(SMALL),
            AUTOIF_REPAIR_CRON="* * * * *",
            AUTOIF_MAX_OUTAGE="1",
        )
        autoif(environment, "batch", "add", *GOOD)
        with (
            autoif_dev(environment),
            dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance,
        ):
            assert wait_for(lambda: all_made(instance, GOOD), _DONE_S, 1), statuses(instance, GOOD)
            before = made(instance, GOOD), journals(tmp_path / "journals", GOOD)
            served = simulator.stats()["completions"]
            autoif(environment, "batch", "add", *LATE)
            # The server dies when they have begun.
            assert wait_for(lambda: simulator.stats()["completions"] > served + 5, _DONE_S)
            simulator.stop()
            assert wait_for(
                lambda: all(
                    dg.DagsterRunStatus.FAILURE in runs
                    for runs in statuses(instance, LATE).values()
                ),
                _DONE_S,
                1,
            )
            begun = made(instance, LATE)
            assert any(asset == "augmented_instructions" for asset, _ in begun)
            simulator.start()
            assert wait_for(lambda: all_made(instance, LATE), _DONE_S, 1), statuses(instance, LATE)
            assert begun.items() <= made(instance, LATE).items()
            assert (made(instance, GOOD), journals(tmp_path / "journals", GOOD)) == before
            assert {len(runs) for runs in statuses(instance, GOOD).values()} == {1}
    assert autoif(environment, "batch", "list").splitlines() == [
        f"{batch}: complete" for batch in GOOD + LATE
    ]
