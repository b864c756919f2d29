"""What every test may use, how many examples properties are tried on, and who runs beside whom."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from autoif_assets_tests.assets.pipeline import Batch
    from autoif_assets_tests.postgres import Postgres

# No test is about how long it takes: the machine may be busy. With --hypothesis-profile=thorough
# properties are tried on as many examples as Hypothesis would.
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None)
settings.load_profile("quick")

# Fixtures that take long to make, longest first. Whoever uses one is slow by that.
_SHARED = ("dev", "made", "demo_folder")
_LONG = {"dev", "demo_folder"}

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _environment() -> Iterator[None]:
    """Take back what commands that ran in this process set for the processes they start."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="module", autouse=True)
def environment_of_file() -> Iterator[None]:
    """Give the fixtures of each file an environment, and what is loaded by it, of their own."""
    # A command that ran before this file has loaded it with the settings of its environment.
    sys.modules.pop("autoif_assets.definitions", None)
    yield from _environment()


@pytest.fixture(autouse=True)
def environment_of_test() -> Iterator[None]:
    """Give each test an environment of its own."""
    yield from _environment()


@pytest.fixture(scope="session", autouse=True)
def new_databases(tmp_path_factory) -> Iterator[None]:
    """Copy new databases of this process, which are made with a comment on each column."""
    # The environments of trainers have no tables.
    if importlib.util.find_spec("duckdb") is None:
        yield
        return
    from autoif_assets_tests.new_databases import copying

    with copying(tmp_path_factory.mktemp("new")):
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with recorded model output and real queries; skips where it is absent."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("the recorded data folder ../shared/data is not beside this checkout")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def catalogs() -> Iterator["Postgres"]:
    """A PostgreSQL server for lakes; skips where it, or the extra, is not installed."""
    pytest.importorskip("duckdb_extension_ducklake", reason="the extra lake is not installed")
    from autoif_assets_tests.postgres import binaries, postgres

    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (the package postgresql)")
    with postgres() as server:
        server.prepare()
        yield server


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Iterator["Batch"]:
    """The batch ``b1``, which many tests look at; nobody may change its folder."""
    # Here, for most tests need no Dagster.
    from autoif_assets_tests.assets.pipeline import making

    with making(tmp_path_factory.mktemp("made") / "data") as batch:
        yield batch


@pytest.fixture(scope="module")
def remembering_sandbox() -> Iterator[None]:
    """Execute verifiers once whose batches are made in this process, over all files."""
    from autoif_assets_tests.remembering import remembering

    with remembering():
        yield


@pytest.fixture
def copied(made, tmp_path, monkeypatch) -> "Batch":
    """The batch ``b1`` in a folder that a test may change, and the key of its server."""
    monkeypatch.setenv("AUTOIF_API_KEY", made.simulator.settings.api_key)
    shutil.copytree(made.data, tmp_path / "data")
    return replace(made, data=tmp_path / "data")


# Before pytest deselects by marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: run side by side, none is left for the end alone."""
    places = {}
    for item in items:
        shared = [n for n in _SHARED if n in getattr(item, "fixturenames", ())]
        if _LONG & set(shared):
            item.add_marker(pytest.mark.long)
        if shared or item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
        slow = item.get_closest_marker("slow") is not None
        place = _SHARED.index(shared[0]) if shared else len(_SHARED) + (not slow)
        places[item.path] = min(place, places.get(item.path, place))
    items.sort(key=lambda item: places[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a process whole files, and all that share one `autoif dev`."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "dev" if "/dev/" in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log)
