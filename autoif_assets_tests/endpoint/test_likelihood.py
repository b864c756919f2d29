"""Log-probabilities of given texts: asked for once, kept like completions."""

import dataclasses
import json

import pytest

from autoif_assets.endpoint import Budget, BudgetSpent, NotServed, llm_calls
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.simulator.likelihoods import ifd, logprobs

from .asking import again, ask, client, client_of
from .server import Server

TEXT = "Füchse sind flink."


def reading(prompt, text=TEXT):
    return ask(prompt, role="likelihood", max_tokens=1, temperature=0.0, scored=text)


def test_what_the_model_reads_is_told_and_paid_for_once(journal):
    asked = [reading("Say something."), reading(""), ask("Say something.")]
    with Simulator() as simulator:
        model = client_of(simulator.base_url, "autoif-simulator")
        replies = model.complete(asked, journal)
        with again(journal) as later:
            assert model.complete(asked, later) == replies
        assert simulator.stats()["received"] == 3
        assert simulator.stats()["by_role"]["likelihood"]["served"] == 2
    given, alone = (json.loads(reply.choices[0].text) for reply in replies[:2])
    truth = logprobs(TEXT)
    assert alone == [[token, pytest.approx(value, abs=1e-6)] for token, value in truth[1:]]
    factor = ifd("Say something.", TEXT)
    assert given[-len(truth) :] == [
        [token, pytest.approx(factor * value, abs=1e-6)] for token, value in truth
    ]
    calls = llm_calls(journal.path.parents[2], "responses", "b1")
    assert calls["prompt_tokens"].sum() > 0
    assert len({reply.call_id for reply in replies}) == 3


def test_a_text_is_read_after_the_whole_conversation(journal):
    before = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]
    asked = dataclasses.replace(reading("Say something."), context=before)
    with Simulator() as simulator:
        (reply,) = client_of(simulator.base_url, "autoif-simulator").complete([asked], journal)
    factor = ifd("Hello.\nHi.\nSay something.", TEXT)
    truth = logprobs(TEXT)
    assert json.loads(reply.choices[0].text)[-len(truth) :] == [
        [token, pytest.approx(factor * value, abs=1e-6)] for token, value in truth
    ]


@pytest.mark.slow
def test_faults_are_outlived_and_caps_kept(journal):
    asked = [reading("Say something.", f"text {n}") for n in range(20)]
    with Simulator(SimulatorSettings(fault_500=0.3, fault_half=0.3)) as simulator:
        replies = client_of(simulator.base_url, "autoif-simulator").complete(asked, journal)
        assert all(reply.error is None for reply in replies)
        capped = client_of(simulator.base_url, "autoif-simulator", budget=Budget(max_tokens=1))
        with pytest.raises(BudgetSpent):
            capped.complete([reading("Something else.")], journal)


@pytest.mark.parametrize("prompt", ["Say something.", ""])
def test_a_server_that_cannot_is_told_in_one_sentence(journal, prompt):
    with Simulator(SimulatorSettings(prompt_logprobs=False)) as simulator:
        model = client_of(simulator.base_url, "autoif-simulator")
        with pytest.raises(NotServed, match="does not tell the log-probabilities of given texts"):
            model.complete([reading(prompt)], journal)


def test_a_refusal_of_the_field_is_one_of_the_server_and_any_other_one_of_the_row(journal):
    words = "Unrecognized request argument supplied: prompt_logprobs"
    with (
        Server(lambda body, count: (400, {"error": {"message": words}})) as server,
        pytest.raises(NotServed, match="Unrecognized request argument"),
    ):
        client(server).complete([reading("Say something.")], journal)
    with Server(lambda body, count: (400, {"error": {"message": "too long"}})) as server:
        (reply,) = client(server).complete([reading("Say something.")], journal)
        assert reply.error == "400: too long"
