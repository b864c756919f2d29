"""The user's files."""

from typing import Any

import dagster as dg
from pydantic import Field


class Inputs(dg.ConfigurableResource[Any]):
    """The user's files; the packaged ones where none is named."""

    seeds: str | None = Field(
        default=None,
        description="Seed instructions: files, globs or hf:// datasets, separated by commas.",
    )
    queries: str | None = Field(
        default=None,
        description="User queries: files, globs or hf:// datasets, separated by commas; behind a "
        "colon the column of one.",
    )
    queries_column: str | None = Field(
        default=None, description="Column of the queries, in the files that have it."
    )
    labelled: str | None = Field(
        default=None,
        description="Labelled responses (instruction, response, follows), 20 or more, with which "
        "verifiers and gates are compared: files, globs or hf:// datasets, separated by commas.",
    )
