"""The user's files."""

from typing import Any

import dagster as dg
from pydantic import Field


class Inputs(dg.ConfigurableResource[Any]):
    """The user's files; the packaged ones where none is named."""

    seeds: str | None = Field(default=None, description="TXT, JSONL or CSV of seed instructions.")
    queries: str | None = Field(default=None, description="File or glob of user queries.")
    queries_column: str | None = Field(default=None, description="Text column of Parquet queries.")
