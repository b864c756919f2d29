"""What describes an export: the dataset card and LLaMA-Factory's list of its files.

Neither holds a path of this machine or the time of the export, so the same rows of the same batches
give the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from autoif_assets.datasets.about import About, Counts, of_title, sections, table, warning
from autoif_assets.datasets.files import ExportedFile, Extra
from autoif_assets.datasets.formats import NO_NUMBER, SPLITS, DatasetKind, Format, Split
from autoif_assets.datasets.front_matter import front_matter, splits_with_rows

_COLUMNS = {
    "batch": "batch that made the row (the first, if several made the same one)",
    "example_id": "content id of the example",
    "pair_id": "content id of the pair",
    "prompt_id": "content id of the prompt; null where the prompt is an instruction alone",
    "instruction_id": "content id of the instruction",
    "query_id": "content id of the user query",
    "response_id": "content id of the response",
    "level": "`query` or `instruction`: where the pair comes from",
    "pass_rate": "share of the verifiers' verdicts on the response that are pass",
    "score": "quality of the response from 0 to 10, by the supervision model",
    "chosen_id": "content id of the chosen response or test case",
    "rejected_id": "content id of the rejected response or test case",
    "chosen_pass_rate": "share of the verifiers' verdicts on chosen that are pass",
    "rejected_pass_rate": "share of the verifiers' verdicts on rejected that are pass",
    "chosen_score": "quality of chosen from 0 to 10, where it was scored",
    "rejected_score": "quality of rejected from 0 to 10, where it was scored",
    "chosen_length": "characters of chosen",
    "rejected_length": "characters of rejected",
    "failed_verifiers": "ids of the verifiers that said no to rejected",
    "margin": "chosen_pass_rate - rejected_pass_rate",
    "constrains_length": "whether the instruction is about length; if not, lengths were evened out",
    "origin": "`sampled` responses, `near_miss` (asked to break the instruction), `further` (one "
    "more sample, where all failed) or `test_case`",
    "completion": "the answer, as a list of one message",
    "label": "whether the answer is a good one",
    "messages": "the user's prompt and the assistant's response",
    "prompt": "the user's message, as a list of one message",
    "chosen": "the preferred answer, as a list of one message",
    "rejected": "the dispreferred answer, as a list of one message",
    "instruction_ids": "content ids of the instructions whose verifiers reward answers",
    "instructions": "the texts of the instructions",
    "query": "the user query alone; null where the prompt is an instruction alone",
    "category": "category of the constraint; null where none is known",
    "recipe": "hash of the recipe and prompts that the batch was made by",
    "models": "names of the models of the batch, by role",
    "base_rates": "for each of the ids: share of other texts that follow the instruction",
}

# And where something was said before some of the prompts.
_IN_CONTEXTS = {
    "messages": "the conversation up to the user's prompt, and the assistant's response",
    "prompt": "the conversation up to the user's message, as a list of messages",
}


def dataset_info(kind: DatasetKind, files: Sequence[ExportedFile]) -> str:
    """LLaMA-Factory's ``dataset_info.json`` for the files it can read.

    The Alpaca-style files are ``autoif_<kind>_<split>``, others ``autoif_<kind>_<format>_<split>``.
    Files without rows are left out: the `datasets` library refuses to load them.
    """
    entries = {
        _llama_factory_name(kind, format, split): {
            "file_name": format.path(split),
            **format.llama_factory,
        }
        for format in kind.formats
        for split in splits_with_rows(format.name, files)
        if format.llama_factory is not None
    }
    return json.dumps(entries, indent=2) + "\n"


def dataset_card(
    kind: DatasetKind,
    files: Sequence[ExportedFile],
    schema: Mapping[str, Any],
    instructions: Mapping[Split, int],
    left_out: Mapping[Split, int],
    eval_share: float,
    seed: int,
    counts: Counts,
    about: About,
    extras: Sequence[Extra] = (),
) -> str:
    """The folder's ``README.md``, with the front matter the Hugging Face hub reads.

    Args:
        kind: What the dataset is.
        files: All its data files.
        schema: Columns of its Parquet files, and their types.
        instructions: Distinct instructions of each split.
        left_out: Rows of each side's instructions that neither split has.
        eval_share: As asked for.
        seed: Seed of the split.
        counts: What was written.
        about: Who made it; only batches that are in it are told.
        extras: Its other files.
    """
    about = about.of(counts.batches)
    parts = [
        front_matter(kind, files, schema, about, extras),
        f"# {kind.title}{of_title(about)}",
        *filter(None, [warning(about)]),
        f"{kind.made} Made with the AutoIF method (arXiv 2406.13542).",
        "Rows are sorted by id, and rows of one id are one row.",
        f"## Splits\n\n{_split_table(kind, files, instructions, left_out)}",
        f"Split by instruction: none is in both, nor what demands the same in other words, and no "
        f"user query is (target share of eval: {eval_share}, seed: {seed})."
        f"{_why_left_out(left_out)}",
        f"## Files\n\n{_file_table(kind, files, extras)}",
        f"## Columns of the Parquet files\n\n{_column_table(kind, list(schema))}",
        *sections(about, counts, left_out),
    ]
    parts += filter(None, (_usage(kind, files), kind.usage))
    return "\n\n".join(parts) + "\n"


def _llama_factory_name(kind: DatasetKind, format: Format, split: Split) -> str:
    # The Alpaca-style file has the short name: it is the one LLaMA-Factory's own data uses.
    style = "" if format.suffix == "json" else f"_{format.name}"
    return f"autoif_{kind.name}{style}_{split}"


def _rows(kind: DatasetKind, files: Sequence[ExportedFile]) -> dict[Split, int]:
    """Count the rows of each split by the format that the hub loads, which holds them all."""
    return {file.split: file.rows for file in files if file.format == kind.formats[0].name}


def _split_table(
    kind: DatasetKind,
    files: Sequence[ExportedFile],
    instructions: Mapping[Split, int],
    left_out: Mapping[Split, int],
) -> str:
    counts = (_rows(kind, files), instructions, left_out)
    return table(
        ("split", "rows", "instructions", "rows left out"),
        [(split, *(str(count[split]) for count in counts)) for split in SPLITS],
    )


def _why_left_out(left_out: Mapping[Split, int]) -> str:
    if not any(left_out.values()):
        return ""
    return (
        " Rows are left out whose instruction is of one split and whose query is of the other: "
        "before queries were divided, too, the instructions of both were asked with them."
    )


def _file_table(kind: DatasetKind, files: Sequence[ExportedFile], extras: Sequence[Extra]) -> str:
    formats = {format.name: format for format in kind.formats}
    return table(
        ("file", "content", "rows", "bytes", "SHA-256"),
        [
            (
                f"`{formats[file.format].path(file.split)}`",
                formats[file.format].description,
                str(file.rows),
                str(file.bytes),
                f"`{file.sha256}`",
            )
            for file in files
        ]
        + [
            (
                f"`{extra.path}`",
                extra.description,
                "",
                str(len(extra.data)),
                f"`{extra.sha256}`",
            )
            for extra in extras
        ],
    )


def _column_table(kind: DatasetKind, columns: Sequence[str]) -> str:
    told = {**_COLUMNS, **(_IN_CONTEXTS if kind.has_contexts else {}), **kind.told}
    columns_told = table(
        ("column", "content"),
        [(f"`{name}`", told.get(name, "as in the table")) for name in columns],
    )
    return (
        f"{columns_told}\n\nJSON lines have in `metadata` what they have no column for. There a "
        f"missing text is empty and a missing number {NO_NUMBER}, for readers of JSON take the "
        "types from the first values."
    )


def _usage(kind: DatasetKind, files: Sequence[ExportedFile]) -> str:
    format = next((format for format in kind.formats if format.suffix == "json"), None)
    if format is None:
        return ""
    names = {
        split: _llama_factory_name(kind, format, split)
        for split in splits_with_rows(format.name, files)
    }
    if "train" not in names:
        return ""
    lines = [
        "## Loading\n",
        "```python",
        "from datasets import load_dataset\n",
        'rows = load_dataset("PATH_OF_THIS_FOLDER", split="train")',
        "```\n",
        "LLaMA-Factory:\n",
        "```yaml",
        "dataset_dir: PATH_OF_THIS_FOLDER",
        f"dataset: {names['train']}",
    ]
    if "eval" in names:
        lines.append(f"eval_dataset: {names['eval']}")
    return "\n".join([*lines, "```"])
