"""What the Launchpad begins with, and what runs without a configuration of their own are given."""

import dagster as dg
import pytest

from autoif_assets.automation import jobs
from autoif_assets.definitions import defs
from autoif_assets.method.recipe import make_recipe
from autoif_assets.warehouse import TABLES, Batch, Warehouse, save_batch
from autoif_assets_tests.warehouse.samples import sample

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    return Warehouse(tmp_path)


def pinned(batch, **numbers):
    return Batch(batch, recipe="paper", numbers=make_recipe("paper", numbers).model_dump())


def made(warehouse, batch):
    """Pin a batch, and give it a row."""
    save_batch(warehouse, batch)
    rows = sample(TABLES["responses"], 1, batch=batch.batch)
    warehouse.write("responses", rows, {"batch": batch.batch})


def begins_with(job: str, key: str) -> dict:
    return defs.resolve_job_def(job).get_run_config_for_partition_key(key)


def test_a_pinned_batch_begins_with_its_recipe_and_the_numbers_that_differ(warehouse):
    made(warehouse, pinned("b1", responses_per_prompt=5))
    config = {"name": "paper", "overrides": {"responses_per_prompt": 5}}
    given = {"resources": {"recipe": {"config": config}}}
    assert begins_with("batch", "b1") == given
    # Whoever launches a policy's round asks for the recipe of its batch.
    assert begins_with("online", "b1|sft-0") == given


def test_the_settings_are_told_apart_from_what_is_pinned(warehouse, monkeypatch):
    made(warehouse, pinned("b1"))
    monkeypatch.setenv("AUTOIF_OVERRIDES", '{"responses_per_prompt": 3}')
    (recipe,) = begins_with("batch", "b1")["resources"].values()
    assert recipe["config"]["overrides"] == {"responses_per_prompt": 8}


def test_a_new_batch_begins_with_nothing(warehouse):
    assert begins_with("batch", "b1") == {}  # There are no tables.
    assert not warehouse.exists
    made(warehouse, pinned("b1"))
    assert begins_with("batch", "b2") == {}
    made(warehouse, Batch("b3"))  # not pinned
    assert begins_with("batch", "b3") == {}
    # What its first run pinned was perhaps a mistake, which the settings have no more.
    save_batch(warehouse, pinned("b4", responses_per_prompt=5))
    assert begins_with("batch", "b4") == {}


def test_what_cannot_be_read_now_keeps_nobody_from_a_run(warehouse, monkeypatch):
    made(warehouse, Batch("b1", recipe="of another version", numbers={}))
    assert begins_with("batch", "b1") == {}
    made(warehouse, pinned("b1"))
    assert begins_with("batch", "b1") != {}
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.1)
    with warehouse.transaction("a long write"):
        assert begins_with("batch", "b1") == {}


def test_a_run_of_a_schedule_or_backfill_asks_for_what_is_pinned(warehouse):
    """Dagster gives such a run the configuration of its partition."""
    made(warehouse, pinned("b1", responses_per_prompt=5))
    request = dg.RunRequest(partition_key="b1")
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("batch", ["b1"])
        asked = request.with_resolved_tags_and_config(
            defs.resolve_job_def("batch"), [], dynamic_partitions_store=instance
        )
    assert asked.run_config == begins_with("batch", "b1")
