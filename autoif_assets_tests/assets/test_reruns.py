"""Running again: nothing is asked twice, nothing moves, and other numbers reuse the answers."""

import pytest

from autoif_assets.assets import instructions as stage
from autoif_assets.assets.instructions import category_answer
from autoif_assets.automation.runs import first_words
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.simulator.models import MILD

from .pipeline import SMALL, accepted, differing, exported, exports, run_batch, tables

REPLACE = {"batch": {"replace": True}}
pytestmark = pytest.mark.slow
ODD = """it's "b2" / ü 新しい 🦆 %s $1 """.ljust(300, "x")
"""Any text without a comma is the key of a batch."""


@pytest.mark.long
def test_two_batches_share_no_instruction_and_a_second_run_changes_nothing(copied, tmp_path):
    url = copied.simulator.base_url
    first = tables(copied.data)
    assert run_batch(copied.data, url, ODD, others=["b1"]).success
    both = tables(copied.data)
    for name, frame in both.items():
        if "batch" in frame.columns:
            assert frame.filter(batch="b1").equals(first[name]), name

    instructions = accepted(both["augmented_instructions"])
    assert set(instructions["batch"]) == {"b1", ODD}
    assert not instructions["instruction_id"].is_duplicated().any()
    assert both["sft_examples"].filter(batch=ODD).height > 0

    # The exports hold both batches, and an instruction that was held out stays held out.
    sft = exported(copied.data, "sft")
    left_out = both["dataset_left_out"].filter(dataset="sft").select("prompt_id")
    kept = both["sft_examples"].join(left_out, on="prompt_id", how="anti")
    assert sorted(sft["example_id"]) == sorted(kept["example_id"])
    sides = sft.select("instruction_id", "split").unique()
    assert not sides["instruction_id"].is_duplicated().any()

    # The first batch made again, with the second there, asks nothing and is what it was.
    both = tables_of_the_batch(copied.data)
    asked, files = copied.requested(), exports(copied.data)
    result = run_batch(copied.data, url, "b1", others=[ODD])
    assert result.success
    assert copied.requested() == asked
    assert differing(tables_of_the_batch(copied.data), both) == []
    assert exports(copied.data) == files
    (event,) = result.asset_materializations_for_node("responses")
    assert event.metadata["model/reused"].value == event.metadata["model/total"].value > 0

    rows = Warehouse(copied.data).export_parquet(tmp_path / "files", [ODD])
    assert rows["responses"] == both["responses"].filter(batch=ODD).height > 0


def test_batches_that_run_side_by_side_share_no_instruction(tmp_path, monkeypatch):
    """The second one begins and ends while a model sorts the first one's instructions."""
    with Simulator(SimulatorSettings(**MILD)) as simulator:

        def make(batch):
            return run_batch(
                tmp_path,
                simulator.base_url,
                batch,
                overrides={"categorise": True},
                others={"b1", "b2"} - {batch},
                upto="augmented_instructions",
            )

        def while_another_runs(seeds):
            monkeypatch.setattr(stage, "category_answer", category_answer)
            assert make("b2").success
            return category_answer(seeds)

        monkeypatch.setattr(stage, "category_answer", while_another_runs)
        assert make("b1").success
    made = accepted(Warehouse(tmp_path).read("augmented_instructions"))
    assert not made["instruction_id"].is_duplicated().any()
    seeds = made.filter(origin="seed")
    assert sorted(seeds["batch"]) == sorted(["b1", "b2"] * SMALL["seeds_per_batch"])
    first = made.filter(batch="b1", origin="self_instruct")["instruction"]
    calls = Warehouse(tmp_path).read("llm_calls", {"batch": "b1"})["prompt"]
    sorting = calls.filter(calls.str.contains("into categories"))
    assert len(first) > 0
    assert all(sorting.str.contains(text, literal=True).any() for text in first)


def tables_of_the_batch(data):
    """All tables, but for the side of RL prompts: it follows from all batches there are."""
    found = tables(data, cost=True)
    return found | {"rl_prompts": found["rl_prompts"].drop("split")}


@pytest.mark.long
def test_stricter_bounds_need_no_model_call(copied):
    before, asked = tables(copied.data), copied.requested()
    stricter = {"min_score": "> 9", "response_pass_rate": ">= 1", "chosen_pass_rate": ">= 1"}
    # Not by the way: what is pinned is changed by who says so.
    refused = run_batch(copied.data, copied.simulator.base_url, overrides=stricter)
    failed = [e for e in refused.all_events if e.is_step_failure]
    assert {event.step_key for event in failed} == {"seed_instructions", "seed_queries"}
    told = first_words(failed[0].step_failure_data.error)
    assert "response_pass_rate >= 1 instead of > 0.5; min_score > 9 instead of >= 8" in told
    assert differing(tables(copied.data), before) == []
    again = run_batch(copied.data, copied.simulator.base_url, overrides=stricter, resources=REPLACE)
    assert again.success
    assert copied.requested() == asked
    after = tables(copied.data)
    assert 0 < after["sft_examples"].height < before["sft_examples"].height
    assert (after["sft_examples"]["score"] > 9).all()
    assert (after["preference_pairs"]["chosen_pass_rate"] == 1).all()


@pytest.mark.long
def test_the_authors_code_profile(copied):
    before = tables(copied.data)
    result = run_batch(
        copied.data,
        copied.simulator.base_url,
        recipe="authors_code",
        overrides={"min_verifiers": 5},
        resources=REPLACE,
    )
    assert result.success
    after = tables(copied.data)
    assert after["verifier_candidates"].equals(before["verifier_candidates"])
    assert (accepted(after["verifiers"])["accuracy"] >= 0.8).all()
    assert {"too_few_verifiers", "low_agreement"} <= set(after["verifiers"]["reason"])
    translated = after["back_translations"].group_by("instruction_id").len()
    assert (
        translated["len"].max()
        <= 3
        < before["back_translations"].group_by("instruction_id").len()["len"].max()
    )
    assert (after["sft_examples"]["score"] > 8).all()
    assert after["sft_examples"].height > 0


@pytest.mark.long
def test_prompts_whose_responses_all_fail_get_further_ones(tmp_path):
    numbers = {"instructions_per_batch": 0, "responses_per_prompt": 2, "seeds_per_batch": 12}
    with Simulator(SimulatorSettings(**MILD, violation_rate=0.75)) as simulator:
        assert run_batch(tmp_path, simulator.base_url, overrides=numbers).success
    t = tables(tmp_path)
    further = t["further_responses"].filter(origin="further")
    first = t["response_verdicts"].filter(status="accepted")["prompt_id"]
    assert further.height > 0
    assert not set(further["prompt_id"]) & set(first)
    pairs = t["query_preference_pairs"].filter(origin="further")
    assert pairs.height > 0
    assert set(pairs["chosen_id"]) <= set(further["response_id"])
    assert set(pairs["chosen_id"]) <= set(t["sft_examples"]["response_id"])
