"""Partition writes a second, beside the least code that could do them safely.

``python -m autoif_assets_tests.benchmarks.warehouse_writes`` overwrites partitions of 1,000 rows
from 1 and from 4 processes at once: with the warehouse; with a lock, a connection, one transaction
and nothing else; and with Dagster's own IO manager, where it can be imported:

    pip install --no-deps --target FOLDER dagster-duckdb-polars
    PYTHONPATH=FOLDER python -m autoif_assets_tests.benchmarks.warehouse_writes

They take turns within the same processes, so that a busy machine slows all; the ratios to the bare
writes are the result.
"""

import argparse
import fcntl
import importlib.util
import multiprocessing as mp
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.warehouse.samples import sample

TABLE = TABLES["augmented_queries"]
ROWS = 1_000
CONFIG = {"storage_compatibility_version": "v1.5.0"}


def bare_write(folder: Path, frame: pl.DataFrame, batch: str) -> None:
    """Replace a partition: no checks, no declared tables, nothing said, waits for ever."""
    with (folder / "bare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        con = duckdb.connect(folder / "bare.duckdb", config=CONFIG)
        con.register("rows", frame.to_arrow())
        con.begin()
        con.execute("CREATE TABLE IF NOT EXISTS t AS SELECT * FROM rows LIMIT 0").fetchall()
        con.execute("DELETE FROM t WHERE batch = ?", [batch]).fetchall()
        con.execute("INSERT INTO t BY NAME SELECT * FROM rows").fetchall()
        con.commit()
        con.close()


def warehouse_write(folder: Path, frame: pl.DataFrame, batch: str) -> None:
    Warehouse(folder).write(TABLE.name, frame, {"batch": batch})


def stock_write(folder: Path, frame: pl.DataFrame, batch: str) -> None:
    """As a Dagster step does; it waits for other processes by trying again, ever less often."""
    import dagster as dg
    from dagster_duckdb_polars import DuckDBPolarsIOManager

    manager = DuckDBPolarsIOManager(database=str(folder / "stock.duckdb"), schema="autoif")
    with dg.build_output_context(
        asset_key=[TABLE.name],
        partition_key=batch,
        asset_partitions_def=dg.StaticPartitionsDefinition([batch]),
        definition_metadata={"partition_expr": "batch"},
        resource_config={"database": manager.database, "connection_config": {}, "schema": "autoif"},
    ) as context:
        manager.create_io_manager(None).handle_output(context, frame)


VARIANTS: dict[str, Callable[[Path, pl.DataFrame, str], None]] = {
    "bare": bare_write,
    "warehouse": warehouse_write,
}
if importlib.util.find_spec("dagster_duckdb_polars"):
    VARIANTS["stock"] = stock_write


def writer(folder: Path, name: str, writes: int, rounds: int, start: Barrier) -> None:
    """Overwrite this writer's partitions whenever all writers are ready."""
    frames = {b: sample(TABLE, ROWS, batch=b) for b in (f"{name}-{i}" for i in range(4))}
    for write in VARIANTS.values():
        write(folder, frames[f"{name}-0"], f"{name}-0")
    for _ in range(rounds):
        for write in VARIANTS.values():
            start.wait()
            for i in range(writes):
                batch = f"{name}-{i % 4}"
                write(folder, frames[batch], batch)
            start.wait()


def measure(writers: int, writes: int, rounds: int) -> dict[str, list[float]]:
    """Return the partitions written a second, for each variant and round."""
    context = mp.get_context("spawn")
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        barrier = context.Barrier(writers + 1, timeout=600)
        processes = [
            context.Process(target=writer, args=(Path(folder), f"w{i}", writes, rounds, barrier))
            for i in range(writers)
        ]
        for process in processes:
            process.start()
        for _ in range(rounds):
            for name in VARIANTS:
                barrier.wait()
                begun = time.perf_counter()
                barrier.wait()
                rates[name].append(writers * writes / (time.perf_counter() - begun))
        for process in processes:
            process.join()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=12, help="a writer, variant and round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parse(parser)
    print(f"DuckDB {duckdb.__version__}, {ROWS:,} rows a partition")
    with recording("warehouse_writes", args) as add:
        for writers in (1, 4):
            rates = measure(writers, args.writes, args.rounds)
            for name, found in rates.items():
                ratios = [rate / bare for rate, bare in zip(found, rates["bare"], strict=True)]
                add(
                    {
                        "writers": writers,
                        "by": name,
                        "partitions/s": round(statistics.median(found), 1),
                        "of bare": round(statistics.median(ratios), 2),
                        "lowest": round(min(ratios), 2),
                        "highest": round(max(ratios), 2),
                    }
                )


if __name__ == "__main__":
    main()
