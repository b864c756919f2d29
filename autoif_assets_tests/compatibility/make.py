"""Makes a small data folder with the code of any commit, for later code to open.

A folder is added when a commit is about to change how data is stored or what is in a call's id:

    git worktree add ../before COMMIT
    python -m autoif_assets_tests.compatibility.make ../before /srv/autoif COMMIT
    git worktree remove ../before

The archive is ``COMMIT.tar.xz`` beside this file; `test_compatibility` takes all that are there.
Dagster's history tells the absolute path of the folder, so that path is to be one that says nothing
of the machine. All else comes from the checkout: its command line, its simulator, its seeds.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from autoif_assets_tests.dev.daemon import AUTOIF
from autoif_assets_tests.environment import clean_environment

ARCHIVES = Path(__file__).parent
OVERRIDES = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
}
# As little data as gives rows to every table that a batch fills.
_ALL_TABLES = (
    "near_misses_per_prompt=4",
    "further_responses_per_prompt=8",
    "score_failing=true",
    "likelihood_of=kept",
    "spin_pairs=true",
)
BATCHES = ("first", "second")
ROUNDS = (
    ("run", "--batch", "first"),
    ("run", "--batch", "second", *(word for each in _ALL_TABLES for word in ("--set", each))),
    ("policy", "add", "sft-0", "--model", "autoif-simulator"),
    ("policy", "run", "sft-0", "--batch", "second"),
)
"""What is run, as a user types it; the same again must find all there."""


def environment(data: Path, base_url: str) -> dict[str, str]:
    """Return the environment in which the commands above make or find the same calls."""
    return clean_environment(
        AUTOIF_DATA=str(data),
        AUTOIF_BASE_URL=base_url,
        AUTOIF_MODEL="autoif-simulator",
        AUTOIF_OVERRIDES=json.dumps(OVERRIDES),
    )


def make(checkout: Path, place: Path, archive: Path) -> None:
    """Make the folder ``place/data`` with the code of a checkout and pack it.

    Args:
        checkout: Root of a checkout of the commit.
        place: A folder that does not exist yet; removed at the end.
        archive: What to write.
    """
    place.mkdir(parents=True)
    code = {"PYTHONPATH": str(checkout.resolve())}
    with _simulator(place, clean_environment(**code)) as base_url:
        for words in ROUNDS:
            subprocess.run(
                [*AUTOIF, *words],
                cwd=place,
                env=environment(place / "data", base_url) | code,
                check=True,
            )
    _forget_host(place / "data" / "dagster" / "history" / "runs.db")
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        packed.add(place / "data", "data", filter=_packed)
    shutil.rmtree(place)


@contextmanager
def _simulator(place: Path, code: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(
        [*AUTOIF, "simulate", "--port", "0"], cwd=place, env=code, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        process.wait()


def _forget_host(runs: Path) -> None:
    """Have the history say that the runs were made on another host, of no name."""
    with closing(sqlite3.connect(runs)) as db, db:
        (host,) = db.execute(
            "SELECT DISTINCT value FROM run_tags WHERE key = 'autoif/host'"
        ).fetchone()
        db.execute("UPDATE run_tags SET value = 'host' WHERE key = 'autoif/host'")
        tag = '"autoif/host": "{}"'
        db.execute(
            "UPDATE runs SET run_body = replace(run_body, ?, ?)",
            (tag.format(host), tag.format("host")),
        )


def _packed(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # The link to the checkout's settings is made anew; what was printed is of no use.
    if item.name.endswith("/dagster.yaml") or "/compute_logs" in item.name:
        return None
    item.uid = item.gid = 0
    item.uname = item.gname = ""
    return item


if __name__ == "__main__":
    checkout, place, commit = sys.argv[1:]
    make(Path(checkout), Path(place), ARCHIVES / f"{commit}.tar.xz")
