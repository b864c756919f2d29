"""How long the queries of the docs take on a lake of many batches, beside a file of the same rows.

    python -m autoif_assets_tests.benchmarks.lake_queries --data data [--batches 1000] [--rows 40]

``--data`` holds the demo's batch, the head of whose tables is taken as that of each batch. Each
table is written at once, as the nightly maintenance of a lake leaves it. The queries take turns; of
each the median counts. It needs the extra ``lake`` and PostgreSQL.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse import TABLES, LakeWarehouse, Warehouse
from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.documents import blocks
from autoif_assets_tests.postgres import postgres

DEMO = "demo"
ROUNDS = 3
_CHUNK = 50  # batches that are written at a time


def names(batches: int) -> list[str]:
    """Return the keys of the batches; that of the demo, which queries name, is one of them."""
    return [DEMO, *(f"batch-{i:04}" for i in range(1, batches))]


def fill(warehouse: Warehouse, source: Warehouse, batches: int, rows: int) -> int:
    """Write the tables of all batches; return the rows."""
    written = 0
    for table in TABLES.values():
        head = source.read(table.name)
        keys = pl.DataFrame({"batch": names(batches)})
        others = [name for name in table.partitions if name != "batch"]
        if "batch" in table.partitions:
            head = head.filter(batch=DEMO).head(rows)
            slices = head.select(others).unique().join(keys, how="cross") if others else keys
            frames = repeated(head, keys)
        else:
            head = head.head(rows)
            slices = head.select(others).unique()
            frames = iter([head])
        if head.height:
            written += warehouse.write_frames(table.name, frames, partitions=slices.to_dicts())
    return written


def repeated(head: pl.DataFrame, keys: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows under the name of each batch."""
    for some in keys.iter_slices(_CHUNK):
        yield head.drop("batch").join(some, how="cross").select(head.columns)


def seconds(con: duckdb.DuckDBPyConnection, query: str) -> float:
    """Return how long a query takes until its last row is there."""
    began = time.perf_counter()
    con.execute(query).fetchall()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the demo's batch")
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=40, help="of a batch in a table, at most")
    args = parse(parser)
    queries = blocks("sql")
    with (
        postgres() as server,
        tempfile.TemporaryDirectory() as folder,
        recording("lake_queries", args) as add,
    ):
        server.prepare()
        stores: dict[str, Warehouse] = {
            "file": Warehouse(Path(folder) / "file"),
            "lake": LakeWarehouse(server.made(Path(folder) / "lake"), Path(folder)),
        }
        source = Warehouse(args.data)
        rows = {
            name: fill(store, source, args.batches, args.rows) for name, store in stores.items()
        }
        assert rows["file"] == rows["lake"]
        stores["file"].publish()
        readers = {name: store.reader() for name, store in stores.items()}
        took = {(name, block): [] for block in queries for name in stores}
        for _ in range(ROUNDS):
            for name, block in took:
                query = block.text.replace("'b1'", f"'{DEMO}'")
                took[name, block].append(seconds(readers[name], query))
        middle = {key: statistics.median(found) for key, found in took.items()}
        documents = {block.document: [] for block in queries} | {"all": queries}
        for block in queries:
            documents[block.document].append(block)
        for document, here in documents.items():
            file, lake = ([middle[name, block] for block in here] for name in stores)
            add(
                {
                    "queries of": document,
                    "queries": len(here),
                    "rows of all tables": rows["file"],
                    "file ms": round(1000 * sum(file)),
                    "lake ms": round(1000 * sum(lake)),
                    "lake / file": round(sum(lake) / sum(file), 2),
                    "slowest query, ms": round(1000 * max(file)),
                    "on the lake": round(1000 * lake[file.index(max(file))]),
                }
            )


if __name__ == "__main__":
    main()
