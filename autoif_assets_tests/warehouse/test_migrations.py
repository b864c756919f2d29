"""The numbered files make the declared tables, and a file of any version opens."""

import duckdb
import pytest

from autoif_assets.warehouse import TABLES, Warehouse, WrongVersion
from autoif_assets.warehouse import migrations as module
from autoif_assets.warehouse.migrations import Migration, all_migrations, migrate
from autoif_assets.warehouse.schema import create_table

from .samples import sample

pytestmark = pytest.mark.slow

QUERIES = TABLES["augmented_queries"]


def columns(con: duckdb.DuckDBPyConnection) -> set[tuple]:
    return set(
        con.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE schema_name = 'autoif' AND table_name IN "
            "(SELECT table_name FROM duckdb_tables()) AND table_name <> 'migrations'"
        ).fetchall()
    )


def test_the_files_make_the_declared_tables(tmp_path):
    migrated, declared = duckdb.connect(), duckdb.connect()
    migrate(migrated, tmp_path, print)
    declared.execute("CREATE SCHEMA autoif")
    declared.execute("\n".join(create_table(table) for table in TABLES.values()))
    assert columns(migrated) == columns(declared)


def test_numbers_run_from_one_without_gaps():
    numbers = [migration.number for migration in all_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


VALUES = {
    "VARCHAR": "'v'",
    "BOOLEAN": "true",
    "BIGINT": "7",
    "DOUBLE": "0.5",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ '2024-01-01 12:00:00+00'",
    "VARCHAR[]": "['a', 'b']",
    "DOUBLE[]": "[0.25, NULL]",
    'STRUCT("role" VARCHAR, model VARCHAR, base_url VARCHAR, settings VARCHAR)[]': (
        "[{'role': 'judge', 'model': 'm', 'base_url': 'u', 'settings': '{}'}]"
    ),
    "STRUCT(verifier_id VARCHAR, outcome VARCHAR)[]": (
        "[{'verifier_id': 'v1', 'outcome': 'pass'}]"
    ),
}


@pytest.mark.parametrize("version", [migration.number for migration in all_migrations()])
def test_a_file_of_an_earlier_version_is_upgraded_with_its_rows(tmp_path, monkeypatch, version):
    monkeypatch.setattr(module, "all_migrations", lambda: all_migrations()[:version])
    monkeypatch.setattr(module, "definitions", lambda: "SELECT 1")
    con = duckdb.connect(tmp_path / "pipeline.duckdb")
    migrate(con, tmp_path, print)
    before: dict[str, dict[str, str]] = {}
    for table, column, dtype, _ in columns(con):
        before.setdefault(table, {})[column] = VALUES[dtype]
    for table, row in before.items():
        con.execute(
            f"INSERT INTO autoif.{table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        )
    con.close()
    monkeypatch.undo()
    warehouse = Warehouse(tmp_path)
    assert before
    for table, row in before.items():
        assert warehouse.read(table).height == 1
        kept = " AND ".join(f'"{column}" = {value}' for column, value in row.items())
        assert warehouse.query(f"SELECT count(*) FROM autoif.{table} WHERE {kept}").item() == 1


OLD = """
INSERT INTO autoif.verifier_candidates BY NAME
SELECT batch, 'i' AS instruction_id, sample, id AS verifier_id, 'c' AS call_id, status, reason
FROM (VALUES
    ('b1', 0, 'v', 'accepted', NULL), ('b1', 1, 'v', 'rejected', 'duplicate'),
    ('b1', 2, 'v', 'rejected', 'forbidden_import'), ('b1', 3, 'w', 'accepted', NULL),
    ('b1', 4, NULL, 'rejected', 'no_function'), ('b2', 0, 'v', 'accepted', NULL)
) AS t(batch, sample, id, status, reason);
INSERT INTO autoif.verifiers BY NAME
SELECT batch, id AS verifier_id, 'i' AS instruction_id, 'def ' || id AS source, 3 AS cases,
    2 AS agreed, accuracy, status, reason
FROM (VALUES
    ('b1', 'v', 0.9, 'accepted', NULL), ('b1', 'w', 0.2, 'rejected', 'low_agreement'),
    ('b2', 'v', 1.0, 'accepted', NULL)
) AS t(batch, id, accuracy, status, reason);
INSERT INTO autoif.back_translations BY NAME
SELECT 'b1' AS batch, 'v' AS verifier_id, 'i' AS instruction_id, 'c' AS call_id,
    'contradiction' AS nli_label, 'rejected' AS status, 'contradiction' AS reason
"""


def test_what_was_in_use_before_there_were_audits_is_in_use(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "all_migrations", lambda: all_migrations()[:9])
        patch.setattr(module, "definitions", lambda: "SELECT 1")
        with duckdb.connect(tmp_path / "pipeline.duckdb") as con:
            migrate(con, tmp_path, print)
            con.execute(OLD)
    warehouse = Warehouse(tmp_path)
    audits = warehouse.read("verifier_audits").sort("batch")
    known = ("batch", "verifier_id", "source", "samples", "accuracy", "nli_label", "status")
    # The paper rejects the instruction of a contradiction, and keeps the verifier.
    assert audits.select(known).rows() == [
        ("b1", "v", "def v", 2, 0.9, "contradiction", "accepted"),
        ("b2", "v", "def v", 1, 1.0, None, "accepted"),
    ]
    assert audits.select("mutants", "told_apart", "fragile_probes", "answers").rows() == [
        *((0, 0, 0, 0), (0, 0, 0, 0)),
    ]
    assert audits["reason"].null_count() == audits["sibling_agreement"].null_count() == 2
    verifiers = warehouse.read("verifiers").sort("batch", "verifier_id")
    assert verifiers.select("origin", "parent_id", "samples").rows() == [
        ("sampled", None, 2),
        ("sampled", None, 1),
        ("sampled", None, 1),
    ]
    # A batch that is made anew brings its own.
    warehouse.write("verifier_audits", audits.filter(batch="b1").clear(), {"batch": "b1"})
    Warehouse(tmp_path).migrate()
    assert Warehouse(tmp_path).read("verifier_audits")["batch"].to_list() == ["b2"]


def test_each_migration_runs_once_and_is_recorded(tmp_path, monkeypatch):
    warehouse = Warehouse(tmp_path)
    warehouse.write(QUERIES.name, sample(QUERIES, 2, batch="b1"), {"batch": "b1"})
    added = Migration(
        len(all_migrations()) + 1,
        "9999_note",
        "ALTER TABLE autoif.seed_queries ADD COLUMN note VARCHAR",
    )
    monkeypatch.setattr(module, "all_migrations", lambda: (*all_migrations(), added))
    said = []
    upgraded = Warehouse(tmp_path, log=said.append)
    for _ in range(2):
        assert upgraded.read(QUERIES.name).height == 2
    assert [line for line in said if "Upgrading" in line] == said
    assert len(said) == 1
    record = upgraded.query("SELECT number, name FROM autoif.migrations ORDER BY number")
    assert record["number"].to_list() == list(range(added.number + 1))


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    warehouse = Warehouse(tmp_path)
    warehouse.migrate()
    broken = Migration(
        len(all_migrations()) + 1,
        "9999_broken",
        "ALTER TABLE autoif.seed_queries ADD COLUMN note VARCHAR; DROP TABLE autoif.nothing",
    )
    with monkeypatch.context() as patch, pytest.raises(duckdb.CatalogException):
        patch.setattr(module, "all_migrations", lambda: (*all_migrations(), broken))
        warehouse.migrate()
    assert "note" not in warehouse.query("FROM autoif.seed_queries").columns


def test_a_newer_file_is_refused(tmp_path, monkeypatch):
    newer = Migration(len(all_migrations()) + 1, "9999_newer", "SELECT 1")
    with monkeypatch.context() as patch:
        patch.setattr(module, "all_migrations", lambda: (*all_migrations(), newer))
        Warehouse(tmp_path).migrate()
    with pytest.raises(WrongVersion, match=f"version {newer.number}.*Upgrade autoif_assets"):
        Warehouse(tmp_path).read(QUERIES.name)


def test_a_file_of_an_edited_migration_is_refused(tmp_path, monkeypatch):
    first, *others = all_migrations()
    edited = Migration(first.number, first.name, first.sql + "\nSELECT 1;")
    with monkeypatch.context() as patch:
        patch.setattr(module, "all_migrations", lambda: (edited, *others))
        Warehouse(tmp_path).migrate()
    with pytest.raises(WrongVersion, match="development version"):
        Warehouse(tmp_path).read(QUERIES.name)


def test_views_are_made_anew_when_their_text_changes(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            module,
            "definitions",
            lambda: (
                "CREATE VIEW autoif.bygone AS SELECT 1 AS a;"
                "CREATE MACRO autoif.passed(x) AS TABLE SELECT x AS a"
            ),
        )
        Warehouse(tmp_path).migrate()
        assert Warehouse(tmp_path).query("FROM autoif.passed(2)").rows() == [(2,)]
    names = Warehouse(tmp_path).query(
        "SELECT view_name AS name FROM duckdb_views() WHERE schema_name = 'autoif' UNION ALL "
        "SELECT function_name FROM duckdb_functions() WHERE schema_name = 'autoif'"
    )["name"]
    assert {"bygone", "passed"}.isdisjoint(names)
    assert {"funnel", "lineage"} <= set(names)


def test_another_database_is_not_touched(tmp_path):
    con = duckdb.connect(tmp_path / "pipeline.duckdb")
    con.execute("CREATE TABLE mine AS SELECT 1 AS a")
    con.close()
    Warehouse(tmp_path).migrate()
    assert Warehouse(tmp_path).query("FROM main.mine").rows() == [(1,)]


def test_comments_tell_what_columns_mean(tmp_path):
    warehouse = Warehouse(tmp_path)
    warehouse.migrate()
    found = warehouse.query(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ? "
        "AND schema_name = 'autoif'",
        [QUERIES.name],
    )
    assert dict(found.rows()) == {c.name: c.description for c in QUERIES.columns}
