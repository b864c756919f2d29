"""How many more batches a dataset of a wanted size needs."""

import math
from collections.abc import Sequence


def batches_missing(wanted: int, yields: Sequence[int], unmade: int) -> int:
    """Return how many batches to add, at the mean yield of those already made.

    Args:
        wanted: Examples wanted in all.
        yields: Examples of each batch that has been made; 0 counts.
        unmade: Batches that are registered and not made yet; they count with the mean yield.

    Raises:
        ValueError: No batch has been made, or none has yielded anything, so nothing is known.
    """
    have = sum(yields)
    if have >= wanted:
        return 0
    if not have:
        raise ValueError(
            "No batch has yielded an example yet, so nothing says how many are needed. Make one "
            "first, with `autoif run`, and look at its funnel."
        )
    mean = have / len(yields)
    return max(0, math.ceil((wanted - have) / mean) - unmade)
