"""When exports are made again: after any change of a batch that they may not hold."""

import dagster as dg
import pytest

from autoif_assets.automation.partitions import BATCHES
from autoif_assets.automation.sensors import DATASETS, FOLLOW_BATCHES, FOLLOW_EXPORTS

pytestmark = pytest.mark.slow


@dg.asset(partitions_def=BATCHES)
def verifiers() -> None: ...


@dg.asset(partitions_def=BATCHES)
def examples() -> None: ...


@dg.asset(deps=[verifiers, examples], name=DATASETS[0], automation_condition=FOLLOW_BATCHES)
def dataset() -> None: ...


@dg.asset(deps=[examples, dataset], automation_condition=FOLLOW_EXPORTS)
def report() -> None: ...


DEFS = dg.Definitions([verifiers, examples, dataset, report])


class Daemon:
    """Evaluates the conditions as the daemon does."""

    def __init__(self, instance):
        self.instance, self.cursor = instance, None

    def requests(self) -> list[str]:
        result = dg.evaluate_automation_conditions(DEFS, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        found = (dataset.key, report.key)
        return [key.path[-1] for key in found if result.get_num_requested(key)]

    def made(self, asset, partition=None) -> None:
        event = dg.AssetMaterialization(asset.key, partition=partition)
        self.instance.report_runless_asset_event(event)


@pytest.fixture
def daemon():
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("batch", ["b1", "b2"])
        made = Daemon(instance)
        assert made.requests() == []  # the first time it learns what there is
        yield made


def test_a_batch_that_changed_is_exported_once(daemon):
    daemon.made(examples, "b1")
    assert daemon.requests() == ["sft_dataset"]
    assert daemon.requests() == []
    daemon.made(dataset)
    assert daemon.requests() == ["report"]
    daemon.made(report)
    assert daemon.requests() == []


def test_what_changes_while_an_export_is_made_is_exported_too(daemon):
    """Before, an export that ended between two looks of the daemon hid what came beside it."""
    daemon.made(verifiers, "b1")
    assert daemon.requests() == ["sft_dataset"]
    daemon.made(examples, "b1")  # after the export has read its rows
    daemon.made(dataset)
    assert daemon.requests() == ["sft_dataset", "report"]
    daemon.made(dataset)
    daemon.made(examples, "b2")
    assert daemon.requests() == ["sft_dataset", "report"]


def test_the_report_follows_the_datasets_alone(daemon):
    daemon.made(examples, "b1")
    assert "report" not in daemon.requests()
