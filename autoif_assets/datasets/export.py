"""Turn the tables of training rows into folders a trainer reads."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from autoif_assets.datasets.about import About, Counts
from autoif_assets.datasets.atomic import replaced_folder
from autoif_assets.datasets.card import dataset_card, dataset_info
from autoif_assets.datasets.files import ExportedFile, Extra, SplitWriter
from autoif_assets.datasets.formats import SPLITS, DatasetKind, Split
from autoif_assets.datasets.split import DatasetSplit
from autoif_assets.method.gates import ACCEPTED

CARD = "README.md"
INFO = "dataset_info.json"


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        files: The data files, train before eval.
        left_out: How many rows of each side's instructions neither side has, for their query is
            on the other side.
    """

    files: list[ExportedFile]
    left_out: Mapping[Split, int]


def write_dataset(
    kind: DatasetKind,
    parts: Iterable[pl.DataFrame],
    folder: Path,
    split: DatasetSplit,
    extras: Sequence[Extra] = (),
    about: About | None = None,
) -> Export:
    """Write training rows in the formats of their kind.

    Each format of the kind becomes ``<name>/{train,eval}.<suffix>``, beside LLaMA-Factory's
    ``dataset_info.json`` and a card ``README.md``. ``folder`` changes all at once or, on any
    failure, not at all. Rows are sorted by id and rows of one id are written once (that of the
    first batch), so the same rows in any order give the same bytes.

    Args:
        kind: ``SFT``, ``PREFERENCE``, ``KTO`` or ``REWARD``, ``with_contexts()`` where some rows
            have one.
        parts: Rows of the table ``sft_examples``, ``preference_pairs``, ``kto_examples`` or
            ``rl_prompts`` in one frame or several: the id, ``instruction_id``, ``prompt_id``,
            ``context`` and the kind's texts; other columns go to Parquet only. Rows whose
            ``status`` is not accepted are left out. All rows of an id are in one part, and the ids
            of a part come after those of the part before. At least one part; it may be empty.
        folder: Replaced as a whole; must hold nothing but an earlier export of this kind.
        split: Where the rows go; a column ``split`` of theirs says so afterwards.
        extras: Files beside those of the formats; the kind names their paths.
        about: Who made the rows, for the card.

    Raises:
        ValueError: A column or a value is missing, there is a context in a kind without, the
            parts do not ascend, or ``folder`` holds foreign files.
        OSError: The folder cannot be written; the earlier export is unchanged.
    """
    ours = {CARD, INFO, *kind.extras, *(f.path(side) for f in kind.formats for side in SPLITS)}
    try:
        with replaced_folder(folder, ours.__contains__) as new, ExitStack() as open_files:
            writers = {
                side: open_files.enter_context(SplitWriter(kind, side, new)) for side in SPLITS
            }
            known = about or About()
            left_out, counts = dict.fromkeys(SPLITS, 0), Counts(known.benchmarks)
            for rows in _training_rows(kind, parts):
                for side, writer in writers.items():
                    kept, others = split.rows(rows, side)
                    if "split" in kept.columns:
                        kept = kept.with_columns(split=pl.lit(side))
                    writer.write(kept)
                    counts.add(kept, side)
                    left_out[side] += others.height
            # The files of one format side by side, as the card lists them.
            by_side = [writer.finish() for writer in writers.values()]
            files = [file for of_format in zip(*by_side, strict=True) for file in of_format]
            _write_text(new / INFO, dataset_info(kind, files))
            # What was written, not what the split names: not every instruction has a row.
            instructions = {side: len(writer.instructions) for side, writer in writers.items()}
            schema = kind.formats[0].shape(rows.head(0)).schema
            share, seed = split.eval_share, split.seed
            for extra in extras:
                extra.write(new)
            card = dataset_card(
                kind, files, schema, instructions, left_out, share, seed, counts, known, extras
            )
            _write_text(new / CARD, card)
    except OSError as error:
        raise OSError(
            f"The {kind.name} export to {folder} failed ({error}); what was there before is "
            "unchanged. Check the folder's permissions and the free space, then export again."
        ) from error
    files = [replace(file, path=folder / file.path.relative_to(new)) for file in files]
    return Export(files, left_out)


def _training_rows(kind: DatasetKind, parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The accepted rows, one an id, sorted by it, in columns that matter to a trainer."""
    needed = (kind.id, "instruction_id", *kind.texts)
    # Null where the prompt is an instruction alone, and where nothing was said before it.
    columns = (*needed, "prompt_id", "context")
    last = None
    for part in parts:
        if missing := [name for name in columns if name not in part.columns]:
            raise ValueError(
                f"The {kind.name} export needs the columns {', '.join(columns)}, but the table has "
                f"no {' and no '.join(missing)}."
            )
        rows = part.filter(status=ACCEPTED) if "status" in part.columns else part
        rows = rows.drop("status", "reason", strict=False)
        for name in needed:
            if rows[name].has_nulls():
                row = rows.filter(pl.col(name).is_null())[kind.id][0]
                raise ValueError(
                    f"Row {kind.id}={row} of the {kind.name} export has no {name}; a trainer "
                    "cannot use it, so the table that holds it must reject it."
                )
        if not kind.has_contexts and rows["context"].null_count() < rows.height:
            raise ValueError(
                f"Rows of the {kind.name} export have a context, and its files have no place for "
                "it: the table was written while it was exported; export again."
            )
        # The row of the first batch is the one that stays, whatever order the rows came in.
        order = [kind.id, *(["batch"] if "batch" in rows.columns else [])]
        rows = rows.sort(order, maintain_order=True)
        rows = rows.unique(kind.id, keep="first", maintain_order=True)
        if rows.height:
            # An id in two parts would be written twice, and unsorted files would change their
            # bytes with the sizes of the parts.
            if last is not None and rows[kind.id][0] <= last:
                raise ValueError(
                    f"The parts of the {kind.name} export do not ascend: {rows[kind.id][0]} came "
                    f"after {last}. Read them in ranges of {kind.id}."
                )
            last = rows[kind.id][-1]
        yield rows


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        # On disk before the folder is exchanged: a power cut must not leave an empty file.
        file.flush()
        os.fsync(file.fileno())
