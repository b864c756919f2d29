"""The benchmarks of the storage run, on a little data."""

import pytest

from autoif_assets_tests.benchmarks import pipeline, rewards, warehouse_writes

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_every_stage_gets_through_the_synthetic_batch(tmp_path):
    instructions = 2
    prompts = instructions * pipeline.QUERIES
    pipeline.build(tmp_path, prompts * pipeline.SAMPLES)
    rows = {name: pipeline.stage(tmp_path, name)["rows"] for name in pipeline.STAGES}
    assert rows == {
        "responses": 8 * prompts,
        "response_verdicts": 8 * prompts,
        "response_scores": 5 * prompts,
        **dict.fromkeys(("further_responses", "further_verdicts", "further_scores"), 0),
        "filtered_queries": prompts,
        "sft_examples": 4 * prompts,
        "kto_examples": 6 * prompts,  # four good ones, two that pass no verifier
        "instruction_preference_pairs": 4 * instructions,
        "query_preference_pairs": 4 * prompts,
        "preference_pairs": 4 * (prompts + instructions),
        "rl_prompts": prompts,
        **dict.fromkeys(
            ("sft_dataset", "preference_dataset", "kto_dataset", "reward_dataset", "report"), 0
        ),
    }


def test_both_ways_to_write_are_measured():
    rates = warehouse_writes.measure(writers=2, writes=1, rounds=1)
    assert len(rates["bare"]) == len(rates["warehouse"]) == 1
    assert min(rates["bare"] + rates["warehouse"]) > 0


def test_all_ways_to_reward_answers_are_measured():
    rows = rewards.measure(seconds=0.2, rounds=1, loads=[(4, 2)])
    assert [row["design"] for row in rows] == list(rewards.DESIGNS)
    assert all(row["per_s"] > 0 and row["p99_s"] > 0 for row in rows)
    (shown,) = rewards.by_load(rows)
    assert list(shown) == ["clients × completions", *rewards.DESIGNS]
