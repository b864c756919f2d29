"""A model that answers badly: kept with a reason, never a crash. Of servers: `test_faults`."""

import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, Warehouse

from .pipeline import accepted, exported, run_batch, tables

pytestmark = pytest.mark.slow

TINY = {"instructions_per_batch": 3, "seeds_per_batch": 3, "verifiers_per_instruction": 3}
FEW = {"instructions_per_batch": 3, "seeds_per_batch": 6}


@pytest.mark.long
def test_a_model_that_mostly_answers_badly(tmp_path):
    bad = SimulatorSettings(
        malformed_rate=0.5,
        refusal_rate=0.2,
        truncation_rate=0.2,
        garbage_rate=0.2,
        wrong_verifier_rate=0.3,
        defect_rate=0.3,
        structured_outputs=False,
        reasoning="tags",
    )
    with Simulator(bad) as simulator:
        # A fifth of all is cut off, so that one stage or another has more than may be.
        patient = {"supervision": {"max_failed_share": 0.9}}
        result = run_batch(tmp_path, simulator.base_url, overrides=FEW, resources=patient)
    assert result.success
    t = tables(tmp_path)
    reasons = {row for name in t if TABLES[name].is_gate for row in t[name]["reason"]}
    assert reasons >= {"truncated", "no_function", "low_agreement"}
    candidates = t["verifier_candidates"]
    assert 0 < accepted(candidates).height < candidates.height
    # The model's words are kept whatever became of them.
    assert candidates.filter(status="rejected")["raw"].str.len_chars().min() > 0


@pytest.mark.long
def test_a_model_that_only_refuses_where_that_is_to_be_so(tmp_path):
    with Simulator(SimulatorSettings(refusal_rate=1.0)) as simulator:
        settings = {"supervision": {"max_failed_share": 1.0}}
        result = run_batch(tmp_path, simulator.base_url, overrides=TINY, resources=settings)
    assert result.success
    check_nothing_came_of_it(tmp_path)


@pytest.mark.long
def test_a_model_whose_every_answer_is_cut_where_that_is_to_be_so(tmp_path):
    with Simulator(SimulatorSettings(truncation_rate=1.0)) as simulator:
        settings = {"supervision": {"max_failed_share": 1.0}}
        result = run_batch(tmp_path, simulator.base_url, overrides=TINY, resources=settings)
        assert result.success
    t = check_nothing_came_of_it(tmp_path)
    assert set(t["verifier_candidates"]["reason"]) == {"truncated"}


def check_nothing_came_of_it(data):
    """Seeds go in, no verifier comes out; all later tables and exports are there and empty."""
    t = tables(data)
    assert accepted(t["augmented_instructions"]).height >= TINY["seeds_per_batch"]
    assert accepted(t["verifier_candidates"]).is_empty()
    assert t["verifier_candidates"].height >= 9
    assert set(t["verified_instructions"]["reason"]) == {"no_verifier"}
    later = list(TABLES)[list(TABLES).index("augmented_queries") : list(TABLES).index("batches")]
    assert len(later) == 20
    assert [name for name in later if not t[name].is_empty()] == []
    for kind in ("sft", "preference", "kto"):
        assert exported(data, kind).is_empty()
    published = Warehouse(data).published_path
    assert published.exists()
    return t


def test_a_server_without_the_model_says_what_it_serves(tmp_path):
    with Simulator(SimulatorSettings()) as simulator:
        result = run_batch(tmp_path, simulator.base_url, model="another", overrides=TINY)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == "augmented_instructions"
    words = failure.step_failure_data.error_display_string
    assert "'another'" in words
    assert "autoif-simulator" in words
    assert "AUTOIF_MODEL" in words
