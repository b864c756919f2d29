"""Which storage the settings name, what is wrong with them, and a whole run on a lake."""

import importlib.util

import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.resources.storage import exported
from autoif_assets.warehouse import (
    TABLES,
    LakeWarehouse,
    Warehouse,
    WarehouseError,
    empty_frame,
    lake_place,
    polars_schema,
)
from autoif_assets.warehouse.lake_connection import LakePlace

from .environment import clear
from .warehouse.samples import sample

QUERIES = TABLES["augmented_queries"]


@pytest.mark.parametrize(
    ("storage", "catalog", "data", "said"),
    [
        ("swamp", None, None, "AUTOIF_STORAGE is 'swamp'; write local or lake"),
        ("lake", "dbname=x", None, "lake, but AUTOIF_LAKE_DATA say nothing"),
        ("lake", "", "", "AUTOIF_LAKE_CATALOG and AUTOIF_LAKE_DATA say nothing"),
        ("lake", "dbname=x", "tables", "the whole path of a folder"),
        ("lake", "dbname=x password=y", "/x", "holds a password"),
        ("lake", "postgresql://me:secret@db/x", "/x", "holds a password"),
    ],
)
def test_what_is_wrong_with_the_storage_is_told(storage, catalog, data, said):
    with pytest.raises(WarehouseError, match=said) as caught:
        lake_place(storage, catalog, data)
    assert "secret" not in str(caught.value)


def test_a_catalog_without_a_password_is_a_place():
    place = lake_place("lake", "postgresql://me@db:5432/x", "s3://bucket/x/")
    assert place == LakePlace("postgresql://me@db:5432/x", "s3://bucket/x/")
    assert place.folder == "s3://bucket/x/"
    assert lake_place("local", "dbname=x", "s3://bucket") is None


def test_a_password_is_refused_and_not_shown(tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    monkeypatch.setenv("AUTOIF_LAKE_CATALOG", "host=x password=of-the-test")
    done = CliRunner().invoke(main, ["settings"])
    assert done.exit_code == 2
    assert "AUTOIF_LAKE_CATALOG" in done.output
    assert "PGPASSWORD" in done.output
    assert "of-the-test" not in done.output


@pytest.mark.skipif(importlib.util.find_spec("psycopg") is not None, reason="the extra is there")
def test_a_lake_without_the_extra_says_what_to_install(tmp_path):
    lake = LakeWarehouse(LakePlace("dbname=x", str(tmp_path)), tmp_path)
    with pytest.raises(WarehouseError, match="needs the extra of that name"):
        lake.write(QUERIES.name, empty_frame(QUERIES), {"batch": "b1"})


def test_the_tables_are_asked_on_the_command_line(tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    warehouse = Warehouse(tmp_path)

    def asked(*words):
        return CliRunner().invoke(main, ["sql", *words])

    assert "There are no tables" in asked("SELECT 1").output
    warehouse.write(QUERIES.name, sample(QUERIES, 3, batch="b1"), {"batch": "b1"})
    warehouse.publish()
    query = "SELECT batch, count(*) AS n, [1] AS l FROM autoif.augmented_queries GROUP BY batch"
    assert asked(query, "--format", "csv").output == "batch,n,l\nb1,3,[1]\n"
    assert asked(query, "--format", "jsonl").output == '{"batch":"b1","n":3,"l":[1]}\n'
    assert "b1" in asked(query).output
    refused = asked("SELECT nothing")
    assert (refused.exit_code, "Binder Error" in refused.output) == (2, True)
    assert "only a lake" in asked(query, "--at", "2026-01-31").output
    assert "is no time" in asked(query, "--at", "yesterday").output
    assert "in no lake" in CliRunner().invoke(main, ["lake", "maintain"]).output


@pytest.mark.lake
@pytest.mark.long
def test_a_run_on_a_lake_makes_the_rows_of_a_run_on_a_file(catalogs, made, tmp_path, monkeypatch):
    from .assets.pipeline import COST, KEY, differing, exports, run_batch, tables

    monkeypatch.setenv("AUTOIF_API_KEY", KEY)
    place, data = catalogs.empty(tmp_path / "files"), tmp_path / "data"
    named = {"storage": "lake", "lake_catalog": place.catalog, "lake_data": place.data}
    resources = {"warehouse": {"data_dir": str(data), **named}}
    result = run_batch(data, made.simulator.base_url, resources=resources)
    assert result.success
    lake = LakeWarehouse(place, data)
    found = {
        name: lake.read(name, columns=[c for c in polars_schema(table) if c not in COST])
        for name, table in TABLES.items()
    }
    assert differing(found, tables(made.data)) == []
    assert exports(data) == exports(made.data)
    # Another machine has nothing of its own, and finds all of it in the lake's storage.
    other = LakeWarehouse(place, tmp_path / "other")
    for name in ("sft", "preference", "kto", "reward"):
        exported(other, name)
    assert exports(other.data_dir) == exports(made.data)
    assert other.objects.keys("reports") == ["reports/report.html"]
    # Whole journals of each asset that asked, no segments; this machine asks nothing again.
    asked = lake.query("SELECT DISTINCT asset FROM autoif.llm_calls")["asset"]
    journals = [key.split("/") for key in other.objects.keys("journals")]
    assert {asset for _, asset, _, _ in journals} == set(asked)
    assert all(name.count(".") == 2 for *_, name in journals)
    requests = made.simulator.stats()["received"]
    resources["warehouse"]["data_dir"] = str(other.data_dir)
    assert run_batch(other.data_dir, made.simulator.base_url, resources=resources).success
    assert made.simulator.stats()["received"] == requests
    assert not list(data.glob("*.duckdb"))
