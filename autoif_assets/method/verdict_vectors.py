"""Which instructions demand the same, by what their verifiers say of the same texts.

Words do not tell: opposites of an instruction lie closer to it than its paraphrases.
"""

from collections import defaultdict
from functools import reduce
from itertools import combinations
from operator import and_

import polars as pl

MIN_TEXTS = 20
"""Texts that two instructions must both have a verdict on before anything is said of them."""
MIN_OF_EACH = 3
"""Of these so many must obey both, and so many neither: nearly all instructions agree that an
empty text breaks them."""

SAME = {"batch": pl.String, "instruction_id": pl.String, "other_id": pl.String}


def same_verdicts(matrix: pl.DataFrame) -> pl.DataFrame:
    """Return the instructions of a batch that the same probe texts obey.

    Texts count on which both have a verdict. So of three instructions the first and the third may
    differ, where the second has no verdict.

    Args:
        matrix: ``batch``, ``instruction_id``, ``verdicts``, ``known`` of ``verdict_matrix``.
            Instructions of different batches were tried on different texts and are not compared.

    Returns:
        ``SAME``, each two once, sorted.
    """
    vectors: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
    columns = matrix.select("batch", "instruction_id", "verdicts", "known").sort(pl.all())
    for batch, name, verdicts, known in columns.iter_rows():
        # Of no texts there are no digits.
        obeys, is_known = int(verdicts or "0", 2), int(known or "0", 2)
        # Its own texts bound what it has in common with any other.
        if _tells(obeys, is_known):
            vectors[batch].append((name, obeys, is_known))
    pairs = [
        (batch, one, other)
        for batch, every in vectors.items()
        for alike in _candidates(every)
        for (one, obeys, known), (other, others, theirs) in combinations(alike, 2)
        if not (obeys ^ others) & known & theirs and _tells(obeys & theirs, known & theirs)
    ]
    return pl.DataFrame(sorted(pairs), schema=SAME, orient="row")


def _tells(obeys: int, known: int) -> bool:
    """Say whether agreement on the known texts would tell anything."""
    texts, passing = known.bit_count(), (obeys & known).bit_count()
    return texts >= MIN_TEXTS and passing >= MIN_OF_EACH and texts - passing >= MIN_OF_EACH


def _candidates(vectors: list[tuple[str, int, int]]) -> list[list[tuple[str, int, int]]]:
    """Part vectors that differ where all have a verdict, so that few pairs are looked at."""
    everywhere = reduce(and_, (known for _, _, known in vectors))
    groups: defaultdict[int, list[tuple[str, int, int]]] = defaultdict(list)
    for vector in vectors:
        groups[vector[1] & everywhere].append(vector)
    return list(groups.values())
