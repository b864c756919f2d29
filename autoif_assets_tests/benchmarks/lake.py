"""Partition writes a second on a lake, beside the local file and Dagster's own IO manager.

``python -m autoif_assets_tests.benchmarks.lake`` starts a PostgreSQL of its own and writes
partitions of 1,000 rows from 1, 4 and 8 processes at once, new ones and then the same again. It
needs the extra ``lake`` and PostgreSQL; the stock manager is measured where it can be imported
(``pip install --no-deps dagster-duckdb-polars``). All variants take turns in the same run.
"""

import argparse
import multiprocessing as mp
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse import LakeWarehouse
from autoif_assets.warehouse.lake_connection import LakePlace
from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.benchmarks.warehouse_writes import ROWS, TABLE, VARIANTS
from autoif_assets_tests.postgres import postgres
from autoif_assets_tests.warehouse.samples import sample

_KINDS = ("new", "overwritten")


def _variants(place: LakePlace) -> dict[str, Callable[[Path, pl.DataFrame, str], None]]:
    def lake_write(folder: Path, frame: pl.DataFrame, batch: str) -> None:
        LakeWarehouse(place, folder).write(TABLE.name, frame, {"batch": batch})

    local = {"local": VARIANTS["warehouse"]}
    return {"lake": lake_write} | local | {n: w for n, w in VARIANTS.items() if n == "stock"}


def writer(place: LakePlace, folder: Path, name: str, writes: int, start: Barrier) -> None:
    """Write this writer's partitions, and write them again, whenever all writers are ready."""
    frames = {b: sample(TABLE, ROWS, batch=b) for b in (f"{name}-{i}" for i in range(writes))}
    variants = _variants(place)
    for write in variants.values():
        write(folder, sample(TABLE, ROWS, batch=name), name)
    for write in variants.values():
        for _ in _KINDS:
            start.wait()
            for batch, frame in frames.items():
                write(folder, frame, batch)
            start.wait()


def measure(place: LakePlace, writers: int, writes: int) -> dict[str, dict[str, float]]:
    """Return the partitions written a second, by variant and kind."""
    context = mp.get_context("spawn")
    rates: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        barrier = context.Barrier(writers + 1, timeout=600)
        processes = [
            context.Process(target=writer, args=(place, Path(folder), f"w{i}", writes, barrier))
            for i in range(writers)
        ]
        for process in processes:
            process.start()
        for name in _variants(place):
            for kind in _KINDS:
                barrier.wait()
                begun = time.perf_counter()
                barrier.wait()
                rate = writers * writes / (time.perf_counter() - begun)
                rates.setdefault(name, {})[kind] = rate
        for process in processes:
            process.join()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=12, help="partitions a writer")
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 4, 8])
    args = parse(parser)
    print(f"DuckDB {duckdb.__version__}, {ROWS:,} rows a partition")
    with (
        postgres() as server,
        tempfile.TemporaryDirectory() as files,
        recording("lake", args) as add,
    ):
        server.prepare()
        for writers in args.writers:
            place = server.made(Path(files) / str(writers))
            for name, found in measure(place, writers, args.writes).items():
                rates = {f"{kind}/s": round(rate, 1) for kind, rate in found.items()}
                add({"writers": writers, "by": name, **rates})


if __name__ == "__main__":
    main()
