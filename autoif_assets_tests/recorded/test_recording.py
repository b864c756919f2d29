"""The recorded batch of a real model, read by the functions of the assets."""

import sys
from dataclasses import replace

import polars as pl
import pytest

from autoif_assets.method.back_translation import verify_instructions
from autoif_assets.method.cross_validation import cross_validate
from autoif_assets.method.gates import accepted
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.tried import Tried
from autoif_assets_tests.recorded.recording import (
    REAL,
    judged_verifiers,
    outcomes_of,
    read_recording,
    unpack,
)
from autoif_assets_tests.recorded.reference import REFERENCES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
PAPER = make_recipe("paper")
RATES = {"base_rate": pl.Float64, "own_rate": pl.Float64}


@pytest.fixture(scope="module")
def recording(shared_data, tmp_path_factory):
    if not (shared_data / REAL).is_file():
        pytest.skip("the recorded batch is not in ../shared/data")
    return read_recording(unpack(shared_data / REAL, tmp_path_factory.mktemp("real")), PAPER)


@pytest.fixture(scope="module")
def judged(recording):
    return judged_verifiers(accepted(recording.candidates), recording.instructions)


def reasons(frame):
    return dict(frame.group_by(pl.col("reason").fill_null("accepted")).len().iter_rows())


def test_all_of_the_batch_is_read(recording):
    assert recording.instructions.height == 20
    assert set(recording.instructions["instruction"]) <= set(REFERENCES)
    assert recording.instructions["category"].null_count() == 0
    assert reasons(recording.candidates) == {
        "accepted": 95, "duplicate": 14, "syntax_error": 10, "truncated": 1,
    }  # fmt: skip
    assert reasons(recording.cases) == {"accepted": 306, "duplicate": 51}
    assert reasons(recording.back_translations) == {"accepted": 25, "contradiction": 11}
    assert recording.back_translations["verifier_id"].null_count() == 0
    assert reasons(recording.responses) == {"accepted": 68, "duplicate": 2, "truncated": 10}
    assert recording.scores.height == 20
    known = recording.scores.join(recording.responses, on="response_id", how="semi")
    assert known.height == recording.scores["response_id"].n_unique() == 20


def test_few_candidates_are_right_on_every_clear_text(recording, judged):
    assert judged.height == 95
    assert judged["texts"].min() >= 8
    assert judged["right"].sum() == 28
    assert judged["constant"].sum() == 41
    sources = dict(recording.candidates.select("verifier_id", "source").iter_rows())
    right = {sources[id_] for id_ in judged.filter("right")["verifier_id"]}
    assert any(".isupper()" in source for source in right)
    assert not judged.filter(pl.col("right") & pl.col("constant")).height


def test_the_papers_rules_use_wrong_ones(recording, judged):
    """One in three in use is right: what the gates of `audited` are measured against."""
    tried = Tried.of(recording.candidates, recording.cases)
    tried = replace(tried, outcomes=outcomes_of(tried.functions, tried.texts()))
    verifiers, verifier_cases = map(accepted, cross_validate(tried, PAPER))
    no_probes = pl.DataFrame(schema={"instruction_id": pl.String, **RATES})
    verdicts = verify_instructions(
        *(recording.instructions, verifiers, verifier_cases, recording.back_translations),
        *(no_probes, PAPER),
    )
    kept = judged.join(verifiers.select("verifier_id"), on="verifier_id")
    used = kept.join(accepted(verdicts), on="instruction_id", how="semi")
    assert (kept.height, kept["right"].sum(), kept["instruction_id"].n_unique()) == (71, 24, 18)
    assert (used.height, used["right"].sum(), used["instruction_id"].n_unique()) == (46, 15, 10)
    assert verifier_cases.height == 151
