"""Technical failures: learnt, asked again, or what a run stops at; never what a row is."""

import re

import pytest

from autoif_assets.resources import Inputs
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.simulator.models import MILD

from .pipeline import accepted, run_batch, tables

pytestmark = pytest.mark.slow

TINY = {
    "instructions_per_batch": 3,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "near_misses_per_prompt": 0,
    "further_responses_per_prompt": 0,
    "score_failing": False,
}
BLOCKED = "Answer with the word blocked somewhere."


def failure_of(result):
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    words = failure.step_failure_data.error_display_string
    return failure.step_key, words


def asked(simulator):
    return {role: counts["served"] for role, counts in simulator.stats()["by_role"].items()}


def test_a_batch_on_a_server_that_refuses_breaks_and_blocks(tmp_path, monkeypatch):
    """Without seed, temperature, max_tokens and schema, and a thinking model: as any other."""
    for pause in ("_BACKOFF_S", "_WORKING_BACKOFF_S", "_MAX_BACKOFF_S"):
        monkeypatch.setattr(f"autoif_assets.endpoint.availability.{pause}", 0.05)
    seeds = tmp_path / "seeds.txt"
    others = ("Answer in exactly two sentences.", "Use no commas.", "Write in lowercase letters.")
    seeds.write_text("\n".join((*others, BLOCKED)))
    settings = SimulatorSettings(
        **MILD,
        refuses="seed,temperature,max_tokens",
        crashes_on="response_format",
        thinking_tokens=600,
        blocks="the word blocked",
        truncation_rate=0.0,
    )
    with Simulator(settings) as simulator:
        result = run_batch(
            tmp_path / "data",
            simulator.base_url,
            # A prompt of self-instruct would hold the blocked text, too.
            overrides=TINY | {"instructions_per_batch": 0},
            inputs=Inputs(seeds=str(seeds)),
            resources={"supervision": {"max_outage_s": 5, "max_failed_share": 0.5}},
            # The last stage that asks; what comes after it sees no server.
            upto="response_scores",
        )
        assert result.success, failure_of(result)
        refused = simulator.stats()["refused"]
    # Each parameter once for the whole run, and perhaps a look whether the server is there.
    assert refused["422"] <= 3 + 1
    t = tables(tmp_path / "data")
    assert not accepted(t["response_scores"]).is_empty()
    (event,) = result.asset_materializations_for_node("responses")
    notes = event.metadata["model/notes"].value
    for said in ("refuses seed", "refuses temperature", "max_completion_tokens", "thinks"):
        assert said in notes
    ours = t["augmented_instructions"].filter(instruction=BLOCKED)["instruction_id"].item()
    candidates = t["verifier_candidates"].filter(instruction_id=ours)
    assert set(candidates["reason"]) == {"call_refused"}


def test_a_model_that_says_nothing_it_is_asked_for_stops_the_run(tmp_path):
    """Before: exit 0, no verifier, every table behind it empty, and the batch complete."""
    with Simulator(SimulatorSettings(refusal_rate=1.0)) as simulator:
        result = run_batch(
            tmp_path, simulator.base_url, overrides=TINY | {"instructions_per_batch": 0}
        )
        assert not result.success
        step, words = failure_of(result)
        assert step == "verifier_generation"
        assert re.search(r"None of 16 answers could be read; the first begins: \w", words)
        assert "autoif prompts" in words
        assert asked(simulator).keys() == {"verifier"}


def test_a_server_that_refuses_every_call_is_no_batch_and_is_asked_again(tmp_path):
    """Before: exit 0, no rows, batch complete, and no request ever again."""
    with Simulator(SimulatorSettings(refuses="messages")) as simulator:
        result = run_batch(tmp_path, simulator.base_url, overrides=TINY)
    assert not result.success
    step, words = failure_of(result)
    assert step == "augmented_instructions"
    assert "1 of 1 completions of autoif-simulator" in words
    assert "422: messages: extra inputs are not permitted" in words
    assert tables(tmp_path)["augmented_instructions"].is_empty()
    with Simulator(SimulatorSettings()) as simulator:
        again = run_batch(
            tmp_path, simulator.base_url, overrides=TINY, only="augmented_instructions"
        )
        assert again.success
        assert asked(simulator) == {"self_instruct": 1}
    assert not accepted(tables(tmp_path)["augmented_instructions"]).is_empty()


def test_a_thinking_model_without_room_stops_the_run_and_goes_on_with_some(tmp_path):
    """Before: every back-translation was cut off, and the batch complete without examples."""
    thinking = SimulatorSettings(**MILD, thinking_tokens=200, truncation_rate=0.0)
    with Simulator(thinking) as simulator:
        result = run_batch(
            tmp_path,
            simulator.base_url,
            overrides=TINY,
            resources={"supervision": {"thinking_tokens": 0}},
        )
        before = asked(simulator)
        step, words = failure_of(result)
        assert step == "back_translations"
        wanted = before["back_translation"]
        # Equal functions are asked about once, and each lacks its words.
        all_of_them = re.search(r"(\d+) of \1 completions", words)
        assert all_of_them and int(all_of_them[1]) >= wanted
        assert "cut off at 128 tokens" in words and "AUTOIF_THINKING_TOKENS" in words
        assert tables(tmp_path)["back_translations"].is_empty()
        again = run_batch(
            tmp_path,
            simulator.base_url,
            overrides=TINY,
            only="back_translations",
            resources={"supervision": {"thinking_tokens": 300}},
        )
        assert again.success
        after = asked(simulator)
    assert after["back_translation"] == 2 * wanted
    assert after.pop("nli") > 0
    assert {**after, "back_translation": wanted} == before
    assert not accepted(tables(tmp_path)["back_translations"]).is_empty()
    calls = Warehouse(tmp_path).read("llm_calls", columns=["finish_reasons"])
    assert {reason for reasons in calls["finish_reasons"] for reason in reasons} == {"stop"}


def test_an_endpoint_that_will_be_needed_and_cannot_be_used_stops_the_run_at_once(tmp_path):
    with Simulator(SimulatorSettings()) as simulator:
        result = run_batch(
            tmp_path,
            simulator.base_url,
            overrides=TINY,
            resources={"judge": {"model": "absent"}},
        )
        step, words = failure_of(result)
        assert asked(simulator) == {}
    assert step == "augmented_instructions"
    assert "judge" in words and "'absent' is not served; it serves autoif-simulator" in words
