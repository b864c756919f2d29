"""Seed instructions from the packaged file or a user's own."""

from pathlib import Path

import polars as pl

from autoif_assets.inputs.files import fail, find_files, packaged, sniff
from autoif_assets.inputs.records import INSTRUCTIONS, read_records, record_keys
from autoif_assets.inputs.tables import read_csv, read_lines
from autoif_assets.method.seeds import select_instructions


def read_seed_instructions(path: str | None) -> pl.DataFrame:
    """Read seed instructions and judge each of them.

    Files: text (an instruction per line), JSONL or CSV with the columns ``instruction`` and, if
    wanted, ``category``.

    Args:
        path: A path, a glob, or several separated by commas; None or blank: the packaged file.

    Returns:
        All records with the columns of table ``seed_instructions``.

    Raises:
        InputError: A file cannot be used, or no instruction is left.
    """
    spec = (path or "").strip()
    if spec:
        frames = [_read(str(file), file) for file in find_files(spec)]
    else:
        frames = [_read(*packaged("seed_instructions.jsonl"))]
    instructions = select_instructions(pl.concat(frames))
    if not (instructions["status"] == "accepted").any():
        fail(spec, f"none of {instructions.height} records has an instruction")
    return instructions


def _read(source: str, path: Path) -> pl.DataFrame:
    format = sniff(path)
    if format == "text":
        frame = read_lines(path)
    elif format == "csv":
        frame = read_csv(path, INSTRUCTIONS.key)
    elif format == "json":
        keys = record_keys(path, format)
        if INSTRUCTIONS.key not in keys:
            fail(path, f'record 1 has: {", ".join(keys) or "no keys"}; expected "instruction"')
        frame = read_records(path, format, INSTRUCTIONS)
    else:
        fail(path, "seed instructions are read from TXT, JSONL or CSV files")
    return frame.select(pl.lit(source).alias("source"), "line", "text", "category")
