"""Several machines on one: PostgreSQL, S3, Redis, and Dagster's processes with folders apart."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import dagster as dg

from autoif_assets.warehouse.lake import LakeWarehouse
from autoif_assets.warehouse.lake_connection import LakePlace
from autoif_assets_tests.dev.daemon import (
    READY_S,
    SELECTOR,
    free_port,
    graphql,
    instance_of,
    wait_for,
)
from autoif_assets_tests.environment import paper_environment
from autoif_assets_tests.postgres import Postgres

DEPLOY = Path(__file__).parents[2] / "deploy"
_BIN = Path(sys.executable).parent


@dataclass
class Machine:
    """A machine: a home and a data folder that no other one has, and what runs on it."""

    folder: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, *command: str | Path) -> None:
        """Start a program; what it says is in ``log``."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End all that runs on it."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, number)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass
class Cluster:
    """What the machines share, and the machines.

    Attributes:
        place: The lake.
        port: Port of the webserver.
        control: The machine of the webserver and the daemon.
        workers: The machines that make batches, by name.
    """

    place: LakePlace
    port: int
    control: Machine
    workers: dict[str, Machine]

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        return graphql(self.port, query, **variables)

    def autoif(self, *arguments: str) -> str:
        """Run a command on the machine of the daemon; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "autoif_assets.cli", *arguments],
            env=self.control.environment,
            cwd=self.control.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def instance(self) -> dg.DagsterInstance:
        return instance_of(self.control.folder / "dagster")

    def lake(self, folder: Path) -> LakeWarehouse:
        return LakeWarehouse(self.place, folder)


@contextmanager
def cluster(folder: Path, postgres: Postgres, workers: int, **settings: str) -> Iterator[Cluster]:
    """Run a cluster as deploy/ describes it.

    Args:
        folder: Where the machines' folders are.
        postgres: Where Dagster's state and the lake's catalog are.
        workers: How many machines make batches.
        settings: Variables of all machines.
    """
    place = postgres.empty("s3://lake/autoif")
    postgres.execute("CREATE DATABASE dagster")
    redis, s3, port = free_port(), free_port(), free_port()
    shared = {
        "DAGSTER_POSTGRES_URL": f"postgresql://autoif@/dagster?host={postgres.folder}",
        "DAGSTER_CELERY_BROKER": f"redis://127.0.0.1:{redis}/0",
        "AUTOIF_STORAGE": "lake",
        "AUTOIF_LAKE_CATALOG": place.catalog,
        "AUTOIF_LAKE_DATA": place.data,
        "AWS_ACCESS_KEY_ID": "of-the-test",
        "AWS_SECRET_ACCESS_KEY": "of-the-test",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_REGION": "us-east-1",
    }
    # For this process, which reads the lake, too.
    os.environ.update({name: value for name, value in shared.items() if "AUTOIF" not in name})
    with ExitStack() as stack:

        def machine(name: str) -> Machine:
            one = Machine(folder / name, {})
            home = one.folder / "dagster"
            home.mkdir(parents=True)
            for file in ("dagster.yaml", "worker.yaml"):
                shutil.copy(DEPLOY / file, home)
            own = {"DAGSTER_HOME": home, "AUTOIF_DATA": one.data, "HOME": one.folder}
            own_words = {variable: str(value) for variable, value in own.items()}
            path = os.pathsep.join([str(_BIN), os.environ["PATH"]])
            one.environment = paper_environment(**shared, **settings, **own_words, PATH=path)
            stack.callback(one.stop)
            return one

        services = machine("services")
        services.start("redis-server", "--port", str(redis), "--save", "", "--bind", "127.0.0.1")
        services.start(_BIN / "moto_server", "-H", "127.0.0.1", "-p", str(s3))
        assert wait_for(lambda: _answers(f"http://127.0.0.1:{s3}/"), READY_S, 0.2)
        import boto3

        boto3.client("s3").create_bucket(Bucket="lake")
        control = machine("control")
        made = Cluster(place, port, control, {})
        # First, so that the others find the tables of Dagster and of the lake.
        with made.instance() as instance:
            instance.get_runs(limit=1)
        made.lake(folder / "first").migrate()
        definitions = ("-m", "autoif_assets.definitions")
        control.start(_BIN / "dagster-daemon", "run", *definitions)
        control.start(
            *(_BIN / "dagster-webserver", *definitions, "-h", "127.0.0.1", "-p", str(port))
        )
        for number in range(workers):
            name = f"worker{number}"
            made.workers[name] = worker = machine(name)
            worker.start(
                *(_BIN / "dagster-celery", "worker", "start", "-A", "dagster_celery.app"),
                *("-y", worker.folder / "dagster" / "worker.yaml", "-n", name),
            )

        def ready() -> Any:
            try:
                return made.ask(SELECTOR)["repositoriesOrError"]["nodes"]
            except (URLError, ConnectionError, TimeoutError):
                return None

        assert wait_for(ready, READY_S, 0.5), (control.folder / "log").read_text()
        yield made


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def journaled(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a machine's own journals, not of those that it fetched."""
    lines = []
    for path in sorted(folder.rglob("*.jsonl")):
        if path.name.startswith("~"):
            continue
        for line in path.read_text("utf-8").splitlines():
            try:
                lines.append({**json.loads(line), "asset": path.parts[-3], "batch": path.parts[-2]})
            except ValueError:
                continue  # torn by a kill
    return lines
