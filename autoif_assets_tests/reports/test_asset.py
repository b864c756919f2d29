"""The asset: a page beside the exports, of what the database holds."""

import threading

import dagster as dg
import pytest

from autoif_assets.assets.reports import report
from autoif_assets.automation.sensors import DATASETS
from autoif_assets.reports import write_page
from autoif_assets.resources import WarehouseResource
from autoif_assets.warehouse import TABLES

from .warehouses import Page, filled

pytestmark = pytest.mark.slow


def materialize(folder):
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [report],
            instance=instance,
            resources={"warehouse": WarehouseResource(data_dir=str(folder))},
        )
    (event,) = result.asset_materializations_for_node("report")
    return {name: value.value for name, value in event.metadata.items()}


@pytest.mark.parametrize("make", [lambda folder: None, filled], ids=["no database", "rows"])
def test_the_page_is_written_beside_the_exports_and_linked(tmp_path, make):
    make(tmp_path)
    metadata = materialize(tmp_path)
    path = tmp_path / "exports" / "report.html"
    assert metadata["path"] == str(path)
    assert metadata["url"] == "http://127.0.0.1:3001/report.html"
    assert metadata["bytes"] == path.stat().st_size
    found = Page(path.read_text("utf-8"))
    assert ("All tables are empty" in found.text) == (metadata["sft_examples"] == 0)


def test_the_metadata_counts_the_rows_of_the_datasets(tmp_path):
    filled(tmp_path)
    metadata = materialize(tmp_path)
    assert (metadata["batches"], metadata["sft_examples"]) == (1, 2)
    assert metadata["preference_pairs"] == 2


def test_the_same_tables_make_the_same_bytes(tmp_path):
    filled(tmp_path, count=50)
    path = tmp_path / "exports" / "report.html"
    materialize(tmp_path)
    first = path.read_bytes()
    materialize(tmp_path)
    assert path.read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_the_report_follows_every_stage_and_all_exports():
    stages = {table.name for table in TABLES.values() if table.is_stage}
    (spec,) = report.specs
    wanted = stages | {*DATASETS, "policy_responses"}
    wanted |= {"verifier_repairs", "auditor_answers"}
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == wanted
    assert (spec.group_name, spec.partitions_def, spec.kinds) == ("exports", None, {"html"})


def test_a_page_takes_the_place_of_the_last_and_of_what_a_killed_one_left(tmp_path):
    path = tmp_path / "new" / "page.html"
    write_page("é" * 1000, path)
    path.with_name(".page.html.new").write_text("half" * 1000, "utf-8")
    write_page("second", path)
    assert path.read_text("utf-8") == "second"
    assert not path.with_name(".page.html.new").exists()


def test_pages_written_at_once_are_whole(tmp_path):
    path = tmp_path / "page.html"
    pages = [letter * 200_000 for letter in "abcd"]
    threads = [threading.Thread(target=write_page, args=(page, path)) for page in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text("utf-8") in pages
