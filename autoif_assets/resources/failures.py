"""Failures that people read in Dagster's pages and on terminals: the reason, and first of all."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from autoif_assets.display import displayed


def failure(
    why: str | Exception, metadata: Mapping[str, Any] | None = None, *, allow_retries: bool = False
) -> dg.Failure:
    """Return what an asset stops with when something other than its code is wrong.

    Args:
        why: What was wrong, where, and what to do.
        metadata: What Dagster shows beside it.
        allow_retries: Whether the same may work a moment later; a mistake stays one.
    """
    # A server's own words are in it.
    return dg.Failure(displayed(str(why)), metadata, allow_retries=allow_retries)
