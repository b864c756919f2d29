"""Data folders that earlier code made open, are migrated and rerun without a model call."""

import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import pytest

from .compatibility.make import ARCHIVES, BATCHES, ROUNDS, environment
from .dev.daemon import AUTOIF

pytestmark = pytest.mark.slow
_ROUNDS, _SPLITS = "online_preference_pairs", "dataset_splits"
_TABLES = """SELECT table_name, list(column_name ORDER BY ordinal_position)
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'autoif' AND table_type = 'BASE TABLE' AND table_name <> 'migrations'
GROUP BY table_name ORDER BY table_name"""


@pytest.fixture
def refusing():
    """The URL of a server that answers nothing, and the list of what it was asked."""
    asked = []

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.requestline)
            # No fault that passes: the client would try again for a long time.
            self.send_error(400)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
        server.shutdown()
        thread.join()


def columns(path):
    """Return the columns of each table, all but the record of migrations."""
    with duckdb.connect(path, read_only=True) as con:
        return dict(con.execute(_TABLES).fetchall())


def rows(path, wanted):
    """Return the rows of each table in an order of their own, of the wanted columns."""
    with duckdb.connect(path, read_only=True) as con:
        return {
            table: con.execute(
                f"SELECT {', '.join(names)} FROM autoif.{table} ORDER BY ALL"
            ).fetchall()
            for table, names in wanted.items()
        }


@pytest.mark.long
@pytest.mark.parametrize("archive", sorted(ARCHIVES.glob("*.tar.xz")), ids=lambda path: path.name)
def test_an_old_folder_reruns_without_a_model_call(archive, tmp_path, refusing):
    base_url, asked = refusing
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    data = tmp_path / "data"
    published = data / "warehouse.duckdb"
    wanted = columns(published)
    before = rows(published, wanted)
    assert {batch for (batch,) in rows(published, {"responses": ["batch"]})["responses"]} == set(
        BATCHES
    )

    def autoif(*words):
        done = subprocess.run(
            [*AUTOIF, *words],
            cwd=tmp_path,
            env=environment(data, base_url),
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked == [], words
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    # As it is, before anything was made again: the repair schedule asks the same.
    listed = autoif("batch", "list").splitlines()
    assert [line.partition(":")[0] for line in listed] == list(BATCHES)
    assert not [line for line in listed if "(missing)" in line]
    for words in ROUNDS:
        autoif(*words)

    after = rows(published, wanted)
    # A round follows the recipe of its batch now, which asked for pairs of SPIN, too.
    assert [row for row in before[_ROUNDS] if row not in after[_ROUNDS]] == []
    # There were no exports for RL.
    assert [row for row in before[_SPLITS] if row not in after[_SPLITS]] == []
    added = [row for row in after[_SPLITS] if row not in before[_SPLITS]]
    assert {dict(zip(wanted[_SPLITS], row, strict=True))["dataset"] for row in added} == {"reward"}
    changed = {table for table in wanted if after[table] != before[table]}
    assert changed <= {_ROUNDS, _SPLITS}
    listed = autoif("batch", "list").splitlines()
    assert sorted(listed) == sorted(f"{batch}: complete" for batch in BATCHES)
    # Its calls told the models, its last run and the run since what it was made by.
    shown = autoif("batch", "show", "second")
    assert "supervision  autoif-simulator" in shown
    assert "  near_misses_per_prompt = 4" in shown
    assert "remark       made before recipes were pinned" in shown
