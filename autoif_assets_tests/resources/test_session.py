"""What a session reads of a model's answers, and what it may lose."""

import polars as pl
import pytest

from autoif_assets.endpoint import EndpointSettings, Features
from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.guard import UnreadableRows
from autoif_assets.resources.session import Session


def whole_numbers(completions):
    read = completions.filter(pl.col("error").is_null())
    numbers = [int(raw) for raw in read["raw"]]
    return read.select(pl.lit(None, pl.String).alias("reason"), pl.Series("number", numbers))


def test_answers_are_read_with_the_share_that_may_fail():
    rows = [{"call_id": f"c{n}", "sample": 0, "raw": raw} for n, raw in enumerate("12345xxxxx")]
    completions = pl.DataFrame(rows, schema=COMPLETION_SCHEMA)

    def read(**settings):
        settings = EndpointSettings(**settings)
        session = Session(None, None, None, settings, "model", Features(), {})
        return session.read(whole_numbers, completions)

    with pytest.raises(UnreadableRows, match=r"more than 20% .*AUTOIF_MAX_FAILED_SHARE"):
        read()
    assert read(max_failed_share=0.5)["number"].to_list() == [1, 2, 3, 4, 5]
