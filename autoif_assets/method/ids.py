"""Content ids: the same content has one id everywhere, so reruns and joins need no batch."""

import hashlib
import json
import re
import unicodedata
from itertools import groupby

import polars as pl

_SPACE = re.compile(r"\s+")
# Composing costs the square of a run of marks; in no language one letter has so many.
_MARKS = 30
_SHORT = 1000


def normalise(text: str) -> str:
    """Fold what does not change a text's meaning: Unicode NFC, runs of white space, the ends."""
    if len(text) <= _SHORT or _most_marks(text) <= _MARKS:
        text = unicodedata.normalize("NFC", text)
    return _SPACE.sub(" ", text).strip()


def _most_marks(text: str) -> int:
    """Return how many combining marks follow one another at most."""
    if text.isascii():
        return 0
    runs = groupby(text, lambda char: unicodedata.combining(char) > 0)
    return max((sum(1 for _ in run) for marks, run in runs if marks), default=0)


def content_id(kind: str, *parts: str) -> str:
    """Return 16 hex digits of BLAKE2b over ``kind`` and ``parts``.

    Args:
        kind: What is named, such as ``"instruction"``; equal parts of two kinds differ in id.
        parts: Ids of the parents and the content. Callers normalise prose first; code and
            responses go in as they are, since white space matters in them. Lone surrogates
            are allowed.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in (kind, *parts):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def id_series(kind: str, *parts: pl.Series) -> pl.Series:
    """Return the content id of each row; null where a part is null."""
    return pl.Series(
        [
            None if None in row else content_id(kind, *row)
            for row in zip(*(part.to_list() for part in parts), strict=True)
        ],
        dtype=pl.String,
    )


def derived_seed(*parts: str) -> int:
    """Return a reproducible seed in ``[0, 2**31)`` for sampling and shuffling."""
    return int(content_id("seed", *parts), 16) % 2**31


def canonical_json(value: object) -> str:
    """Write JSON so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
