"""The YAML at the top of a card, as the Hugging Face hub and `datasets` read it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import yaml

from autoif_assets.datasets.about import About, of_title
from autoif_assets.datasets.files import ExportedFile, Extra
from autoif_assets.datasets.formats import DatasetKind, Split

# Upper bounds of the hub's size categories, in rows.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
# How the hub writes licences that it knows, and what it has no name for.
_LICENCE = re.compile(r"[a-z0-9]+([.\-][a-z0-9]+)*")
# Names that recipes have for languages, and the hub's.
_CODES = {
    "arabic": "ar",
    "chinese": "zh",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "greek": "el",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "norwegian": "no",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "thai": "th",
    "turkish": "tr",
    "ukrainian": "uk",
    "vietnamese": "vi",
}
_TYPES = (
    (pl.String, "string"),
    (pl.Boolean, "bool"),
    (pl.Float64, "float64"),
    (pl.Int64, "int64"),
    (pl.Int32, "int32"),
    (pl.UInt32, "uint32"),
    (pl.Null, "null"),
)


def front_matter(
    kind: DatasetKind,
    files: Sequence[ExportedFile],
    schema: Mapping[str, Any],
    about: About,
    extras: Sequence[Extra],
) -> str:
    """Return the front matter, its lines of ``---`` included.

    Args:
        kind: What the dataset is.
        files: All its data files. Of the format that the hub loads, the splits that have rows are
            offered; both, if none has.
        schema: Columns of the file that the hub loads, and their types.
        about: Who made the rows.
        extras: Other files, of which some are named by their checksum.
    """
    format = kind.formats[0]
    loaded = [file for file in files if file.format == format.name]
    offered = splits_with_rows(format.name, files) or [file.split for file in loaded]
    said: dict[str, Any] = {"pretty_name": f"{kind.title}{of_title(about)}"}
    if languages := _languages(about):
        said["language"] = languages
    said |= _licence(about.licence)
    said["task_categories"] = ["text-generation"]
    simulated = ["simulated"] if about.simulated else []
    said["tags"] = ["autoif", "instruction-following", kind.name, "synthetic", *simulated]
    total = sum(file.rows for file in loaded)
    said["size_categories"] = [next((name for end, name in _SIZES if total < end), "n>10M")]
    # One configuration only: `datasets` reads all of a folder's with the reader of the first.
    places = [{"split": split, "path": format.path(split)} for split in offered]
    # `datasets` keeps what it has read of a folder under what the card says, not under its files:
    # without a word of these a folder that changed, or another one, gives the old rows.
    content = hashlib.sha256("".join(file.sha256 for file in loaded).encode()).hexdigest()
    said["configs"] = [
        {"config_name": "default", "description": f"content {content[:16]}", "data_files": places}
    ]
    said["dataset_info"] = {"features": [_feature(name, of) for name, of in schema.items()]}
    if about.recipe_hash:
        said["autoif_recipe"] = about.recipe_hash
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=10_000)
    named = "".join(f"{extra.named}: {extra.sha256}\n" for extra in extras if extra.named)
    return f"---\n{text}{named}---"


def splits_with_rows(format: str, files: Sequence[ExportedFile]) -> list[Split]:
    """Return the splits of a format that have rows: `datasets` makes none without."""
    return [file.split for file in files if file.format == format and file.rows]


def _languages(about: About) -> list[str]:
    if about.languages:
        return list(about.languages)
    asked = [_CODES.get(batch.language.lower()) for batch in about.batches if batch.language]
    return list(dict.fromkeys(code for code in asked if code))


def _licence(stated: str | None) -> dict[str, str]:
    if stated is None:
        return {}
    if _LICENCE.fullmatch(stated):
        return {"license": stated}
    return {"license": "other", "license_name": stated}


def _feature(name: str, type_: Any) -> dict[str, Any]:
    """Return a column as `datasets` declares it."""
    return {"name": name, **_typed(type_)}


def _typed(type_: Any) -> dict[str, Any]:
    if isinstance(type_, pl.List):
        inner = _typed(type_.inner)
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    if isinstance(type_, pl.Struct):
        fields = type_.to_schema().items()
        return {"struct": [_feature(name, inner) for name, inner in fields]}
    return {"dtype": next((name for one, name in _TYPES if type_ == one), str(type_).lower())}
