"""Turn the tables of training rows into folders a trainer reads."""

import os
from dataclasses import replace
from pathlib import Path

import polars as pl

from autoif_assets.datasets.atomic import replaced_folder
from autoif_assets.datasets.card import dataset_card, dataset_info
from autoif_assets.datasets.files import ExportedFile, write_file
from autoif_assets.datasets.formats import PREFERENCE, SFT, SPLITS, DatasetKind, Split
from autoif_assets.datasets.split import eval_instructions
from autoif_assets.method.gates import ACCEPTED

_CARD = "README.md"
_INFO = "dataset_info.json"


def write_sft_dataset(
    examples: pl.DataFrame,
    folder: Path,
    eval_share: float,
    seed: int,
    split_with: pl.DataFrame | None = None,
) -> list[ExportedFile]:
    """Write SFT examples as chat messages JSONL, Alpaca JSON and Parquet.

    The files are ``messages/{train,eval}.jsonl``, ``alpaca/{train,eval}.json``,
    ``parquet/{train,eval}.parquet``, LLaMA-Factory's ``dataset_info.json`` and a card
    ``README.md``. ``folder`` changes all at once or, on any failure, not at all. Rows are
    sorted by id and rows of one id are written once (that of the first batch), so the same
    rows in any order give the same bytes.

    Args:
        examples: Rows of the table ``sft_examples``: ``example_id``, ``instruction_id``,
            ``prompt``, ``response``; other columns go to Parquet only. May be empty.
        folder: Replaced as a whole; must hold nothing but an earlier export.
        eval_share: Share of the instructions held out, ``0 <= eval_share < 1``.
        seed: Seed of the split.
        split_with: The table ``preference_pairs`` (``instruction_id`` suffices), so that an
            instruction is on the same side in both exports even where one of them is so small
            that an instruction has to change sides to leave neither side empty.

    Returns:
        The data files, train before eval.

    Raises:
        ValueError: A column or a value is missing, ``eval_share`` is out of range, or
            ``folder`` holds foreign files.
        OSError: The folder cannot be written; the earlier export is unchanged.
    """
    return _write(SFT, examples, folder, eval_share, seed, split_with)


def write_preference_dataset(
    pairs: pl.DataFrame,
    folder: Path,
    eval_share: float,
    seed: int,
    split_with: pl.DataFrame | None = None,
) -> list[ExportedFile]:
    """Write preference pairs as TRL conversational JSONL, LLaMA-Factory ranking and Parquet.

    The files are ``trl/{train,eval}.jsonl``, ``ranking/{train,eval}.json``,
    ``parquet/{train,eval}.parquet``, ``dataset_info.json`` and ``README.md``; all else is as
    in :func:`write_sft_dataset`.

    Args:
        pairs: Rows of the table ``preference_pairs``: ``pair_id``, ``instruction_id``,
            ``prompt``, ``chosen``, ``rejected``; other columns go to Parquet only. Rows whose
            ``status`` is not accepted are left out.
        folder: Another folder than that of the SFT examples.
        eval_share: Share of the instructions held out, ``0 <= eval_share < 1``.
        seed: Seed of the split; that of the SFT examples gives the same split.
        split_with: The table ``sft_examples``.

    Returns:
        The data files, train before eval.

    Raises:
        ValueError: As in :func:`write_sft_dataset`.
        OSError: As in :func:`write_sft_dataset`.
    """
    return _write(PREFERENCE, pairs, folder, eval_share, seed, split_with)


def _write(
    kind: DatasetKind,
    table: pl.DataFrame,
    folder: Path,
    eval_share: float,
    seed: int,
    split_with: pl.DataFrame | None,
) -> list[ExportedFile]:
    rows = _training_rows(kind, table)
    others = () if split_with is None else _accepted(split_with)["instruction_id"]
    held_out = eval_instructions(rows["instruction_id"].unique(), eval_share, seed, others)
    is_eval = pl.col("instruction_id").is_in(list(held_out))
    splits: dict[Split, pl.DataFrame] = {
        "train": rows.filter(~is_eval),
        "eval": rows.filter(is_eval),
    }
    ours = {_CARD, _INFO, *(f.path(split) for f in kind.formats for split in SPLITS)}
    try:
        with replaced_folder(folder, ours.__contains__) as new:
            files = [
                write_file(splits[split], format, split, new)
                for format in kind.formats
                for split in SPLITS
            ]
            _write_text(new / _INFO, dataset_info(kind, files))
            instructions = {
                split: rows["instruction_id"].n_unique() for split, rows in splits.items()
            }
            columns = kind.formats[0].shape(rows.head(0)).columns
            card = dataset_card(kind, files, columns, instructions, eval_share, seed)
            _write_text(new / _CARD, card)
    except OSError as error:
        raise OSError(
            f"The {kind.name} export to {folder} failed ({error}); what was there before is "
            "unchanged. Check the folder's permissions and the free space, then export again."
        ) from error
    return [replace(file, path=folder / file.path.relative_to(new)) for file in files]


def _accepted(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(status=ACCEPTED) if "status" in table.columns else table


def _training_rows(kind: DatasetKind, table: pl.DataFrame) -> pl.DataFrame:
    """The accepted rows, one an id, sorted by it, in columns that matter to a trainer."""
    needed = (kind.id, "instruction_id", *kind.texts)
    if missing := [name for name in needed if name not in table.columns]:
        raise ValueError(
            f"The {kind.name} export needs the columns {', '.join(needed)}, but the table has "
            f"no {' and no '.join(missing)}."
        )
    rows = _accepted(table).drop("status", "reason", strict=False)
    for name in needed:
        if rows[name].has_nulls():
            row = rows.filter(pl.col(name).is_null())[kind.id][0]
            raise ValueError(
                f"Row {kind.id}={row} of the {kind.name} export has no {name}; a trainer cannot "
                "use it, so the table that holds it must reject it."
            )
    order = [kind.id, *(["batch"] if "batch" in rows.columns else [])]
    return rows.sort(order).unique(kind.id, keep="first", maintain_order=True)


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
