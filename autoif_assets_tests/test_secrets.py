"""After batches that go wrong, the key and the headers are nowhere but in the environment."""

import base64
import http.server
import json
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections import Counter
from contextlib import closing, contextmanager, suppress

import duckdb
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.simulator.models import MILD

from .dev.daemon import instance_of
from .environment import paper_environment

pytestmark = pytest.mark.slow

KEY = "sk-Zq7Vd2marker9XwK4tLm"
HEADER = "team-Xw3Pk8canary5TdR1sGh"
MODEL = "autoif-simulator"
NUMBERS = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 3,
    "verifiers_per_instruction": 3,
    "queries_per_instruction": 1,
    "responses_per_prompt": 2,
}
FAULTS = {f"fault_{kind}": 0.1 for kind in ("429", "500", "503", "drop", "half")}


def encoded(text):
    """Return a text as it is and what every Base64 that holds it has in common."""
    forms = [text.encode()]
    for shift in range(3):
        whole = base64.b64encode(b"x" * shift + text.encode())
        # The first and the last characters depend on the neighbours.
        forms.append(whole[4:-4])
    return forms


def found(data, forms):
    return any(form in data for form in forms)


def run(data, base_url, batch):
    """Run `autoif run`; return its exit status and all it printed."""
    environment = paper_environment() | {
        "AUTOIF_DATA": str(data),
        "AUTOIF_BASE_URL": base_url,
        "AUTOIF_MODEL": MODEL,
        "AUTOIF_API_KEY": KEY,
        "AUTOIF_EXTRA_HEADERS": json.dumps({"X-Team": HEADER}),
    }
    overrides = [f"--set={name}={value}" for name, value in NUMBERS.items()]
    result = subprocess.run(
        [sys.executable, "-m", "autoif_assets.cli", "run", "--batch", batch, *overrides],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return result.returncode, result.stdout


class Tattler(http.server.BaseHTTPRequestHandler):
    """Refuses every request and repeats its key and a header, as some proxies do."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        words = f"invalid request with {self.headers['Authorization']}, {self.headers['X-Team']}"
        self.answer(400, {"error": {"message": words}})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        # It lists the model, so that the run begins.
        if self.path == "/v1/models":
            self.answer(200, {"data": [{"id": MODEL}]})
            return
        self.send_error(404, f"not found for {self.headers['Authorization']}")

    def log_message(self, *arguments):
        pass


@contextmanager
def tattling_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tattler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def in_duckdb(path, forms):
    """Return the tables with a row that holds one of the forms."""
    tables = set()
    with duckdb.connect(path, read_only=True) as con:
        for name in [
            row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        ]:
            for form in forms:
                (rows,) = con.execute(
                    f"SELECT count(*) FROM autoif.{name} AS t WHERE contains(t::VARCHAR, ?)",
                    [form.decode()],
                ).fetchone()
                if rows:
                    tables.add(name)
    return tables


def in_sqlite(path, forms):
    """Return the tables with a value, perhaps compressed, that holds one of the forms."""
    tables = set()
    with closing(sqlite3.connect(path)) as con:
        names = con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            for row in con.execute(f'SELECT * FROM "{name}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    if data[:1] == b"x":
                        with suppress(zlib.error):
                            data = zlib.decompress(data)
                    if found(data, forms):
                        tables.add(name)
    return tables


def is_sqlite(path):
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


@pytest.mark.long
def test_the_key_and_the_headers_are_nowhere(tmp_path):
    data = tmp_path / "data"
    printed = b""
    with Simulator(SimulatorSettings(api_key="another")) as simulator:
        status, output = run(data, simulator.base_url, "denied")
        assert status == 2
        assert b"refuse" in output
        printed += output
    with tattling_server() as base_url:
        status, output = run(data, base_url, "told")
        # A server that refuses all makes no batch.
        assert status == 1
        assert b"invalid request with" in b"".join(
            path.read_bytes() for path in data.glob("journals/*/told/*")
        )
        printed += output
    faulty = SimulatorSettings(**MILD, api_key=KEY, retry_after=0.1, latency=0.01, **FAULTS)
    with Simulator(faulty) as simulator:
        status, output = run(data, simulator.base_url, "faulty")
        assert status == 0, output.decode()[-3000:]
        assert sum(simulator.stats()["faults"].values()) > 5
        printed += output

    key, model = encoded(KEY) + encoded(HEADER), encoded(MODEL)
    assert not found(printed, key)
    files = [path for path in data.rglob("*") if path.is_file()]
    assert [path for path in files if found(path.read_bytes(), key)] == []
    databases = [data / "pipeline.duckdb", data / "warehouse.duckdb"]
    stores = [path for path in files if is_sqlite(path)]
    for database in databases:
        assert in_duckdb(database, key) == set()
    for store in stores:
        assert in_sqlite(store, key) == set()
    with instance_of(data / "dagster") as instance:
        runs = instance.get_runs()
        # Where the key is refused no run begins; the exports follow the one batch that was made.
        assert Counter(run.job_name for run in runs) == {"batch": 2, "exports": 1}
        assert not any(text in json.dumps(run.run_config) for run in runs for text in (KEY, HEADER))

    # The search itself finds what is there.
    assert [path for path in files if path.suffix == ".jsonl" and found(path.read_bytes(), model)]
    for database in databases:
        assert in_duckdb(database, model) == {"batches", "llm_calls"}
    assert set.union(*(in_sqlite(store, model) for store in stores)) >= {"event_logs"}
    assert found(base64.b64encode(b"Bearer " + KEY.encode()), key)
    assert found(base64.b64encode(KEY.encode()), key)
