"""The published file in the shell that people have: the ``duckdb`` of the registry."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets.warehouse.views import describe, views

from .samples import sample

RESPONSES = TABLES["responses"]


@pytest.fixture(scope="module")
def shell() -> str:
    beside = Path(sys.executable).with_name("duckdb")
    found = str(beside) if beside.exists() else shutil.which("duckdb")
    if found is None:
        pytest.skip("the duckdb command is not installed (pip install duckdb-cli)")
    return found


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    warehouse = Warehouse(tmp_path_factory.mktemp("data"))
    warehouse.write(RESPONSES.name, sample(RESPONSES, 4, batch="b1"), {"batch": "b1"})
    warehouse.publish()
    return warehouse.published_path


def ask(shell: str, *arguments: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [shell, "-json", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "[]")


@pytest.mark.parametrize("mode", [[], ["-readonly"]])
def test_a_table_is_found_by_its_plain_name(shell, published, mode):
    rows = ask(
        shell, *mode, str(published), "SELECT response, status FROM autoif.responses ORDER BY 1"
    )
    assert [row["response"] for row in rows] == ["0000", "0001", "0002", "0003"]


@pytest.mark.parametrize("name", views())
def test_every_view_answers(shell, published, name):
    ask(shell, "-readonly", str(published), describe(views()[name])[1])


def test_an_open_shell_does_not_block_a_run(shell, published):
    warehouse = Warehouse(published.parent)
    with subprocess.Popen(
        [shell, "-csv", "-noheader", str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdin is not None and session.stdout is not None
        for rows in (4, 4):  # What it opened stays as it was.
            session.stdin.write("SELECT count(*) FROM autoif.responses;\n")
            session.stdin.flush()
            assert session.stdout.readline().strip() == str(rows)
            warehouse.write(RESPONSES.name, sample(RESPONSES, 6, batch="b1"), {"batch": "b1"})
            warehouse.publish()
        session.stdin.close()
    (count,) = ask(shell, str(published), "SELECT count(*) AS n FROM autoif.responses")
    assert count == {"n": 6}
