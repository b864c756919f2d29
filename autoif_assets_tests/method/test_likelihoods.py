"""Means over the tokens of the response, whatever stands before them."""

import json

import polars as pl
import pytest

from autoif_assets.method.likelihoods import parse_likelihoods

from .frames import completions


def readings(given, alone):
    ids = {"response_id": "r", "prompt_id": "p", "instruction_id": "i", "kept": True}
    rows = [
        {**ids, "alone": side, "raw": None if raw is None else json.dumps(raw)}
        for side, raw in ((False, given), (True, alone))
    ]
    kinds = dict.fromkeys(("response_id", "prompt_id", "instruction_id"), pl.String)
    return completions(*rows, **kinds, kept=pl.Boolean, alone=pl.Boolean)


def test_both_means_are_over_the_same_tokens():
    given = [[9, -5.0], [8, -5.0], [1, -0.3], [2, -0.2], [3, -0.1]]
    alone = [[2, -0.8], [3, -0.4]]  # the first token has no log-probability alone
    row = parse_likelihoods(readings(given, alone)).row(0, named=True)
    assert (row["tokens"], row["status"]) == (2, "accepted")
    assert row["mean_logprob"] == pytest.approx(-0.15)
    assert row["mean_logprob_alone"] == pytest.approx(-0.6)
    assert row["ifd"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("given", "alone", "reason"),
    [
        ([[9, -1.0], [1, -1.0]], [[2, -1.0]], "unaligned"),
        ([[9, -1.0]], [], "too_short"),
        ([[9, -1.0], [1, -1.0]], [[1, 0.0]], "no_ifd"),
        (None, [[1, -1.0]], "call_refused"),
    ],
)
def test_what_cannot_be_measured_is_kept_with_a_reason(given, alone, reason):
    row = parse_likelihoods(readings(given, alone)).row(0, named=True)
    assert (row["status"], row["reason"], row["ifd"]) == ("rejected", reason, None)
