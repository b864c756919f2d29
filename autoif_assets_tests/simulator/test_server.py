"""The protocol, spoken through the real OpenAI client and plain HTTP, and injected faults."""

import json
import re
import threading
import urllib.error
import urllib.request
from collections import Counter, defaultdict

import httpx
import openai
import pytest

from autoif_assets.method.prompts import PROMPTS
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.simulator.server import Faults
from autoif_assets.simulator.settings import FAULTS
from autoif_assets_tests.simulator.conftest import MODEL, PROMPT, ask, client_for, get


def texts(reply):
    return [choice.message.content for choice in reply.choices]


def test_the_model_is_listed_and_the_server_is_healthy(simulator, client):
    assert [card.id for card in client.models.list()] == [MODEL]
    assert get(simulator, "/health") == ""


def test_n_samples_are_those_of_n_requests_with_the_seeds_after_one_another(client):
    together = texts(ask(client, n=4, seed=10))
    apart = [texts(ask(client, seed=10 + i))[0] for i in range(4)]
    assert together == apart
    assert len(set(together)) == 4


def test_answers_are_reproducible_across_servers(client):
    with Simulator() as other, client_for(other) as second:
        assert texts(ask(client, n=3)) == texts(ask(second, n=3))
    with Simulator(SimulatorSettings(seed=1)) as other, client_for(other) as second:
        assert texts(ask(client, n=3)) != texts(ask(second, n=3))


def test_what_was_said_before_changes_the_answer_and_a_system_message_does_not(client):
    def said(*before):
        roles = ("user", "assistant")
        messages = [
            {"role": role, "content": text} for role, text in zip(roles, before, strict=False)
        ]
        messages += [{"role": "user", "content": PROMPT}]
        return texts(client.chat.completions.create(model=MODEL, messages=messages, seed=1))

    assert said("Hello.", "Hi.") == said("Hello.", "Hi.")
    assert len({*said(), *said("Hello.", "Hi."), *said("Hello.", "Good day.")}) == 3
    system = [{"role": "system", "content": "x"}, {"role": "user", "content": PROMPT}]
    assert texts(client.chat.completions.create(model=MODEL, messages=system, seed=1)) == said()


@pytest.mark.parametrize("reasoning", ["none", "field"])
def test_a_stream_is_the_answer_in_pieces(serve, reasoning):
    with client_for(serve(reasoning=reasoning)) as client:
        whole = ask(client, n=2, seed=3)
        parts = ask(client, n=2, seed=3, stream=True, stream_options={"include_usage": True})
        said, thought, ends, usage = defaultdict(str), defaultdict(str), {}, None
        for chunk in parts:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                said[choice.index] += choice.delta.content or ""
                thought[choice.index] += getattr(choice.delta, "reasoning", None) or ""
                ends[choice.index] = choice.finish_reason or ends.get(choice.index)
        assert [said[place] for place in range(2)] == texts(whole)
        assert ends == {choice.index: choice.finish_reason for choice in whole.choices}
        # Of the same prompt asked again more is cached.
        assert usage.completion_tokens == whole.usage.completion_tokens
        assert usage.prompt_tokens == whole.usage.prompt_tokens
        assert bool(thought[0]) == (reasoning == "field")
        if thought[0]:
            assert thought[0] == whole.choices[0].message.reasoning


def test_a_stream_can_break_off(serve):
    with (
        client_for(serve(fault_half=1.0), max_retries=0) as client,
        pytest.raises((openai.APIConnectionError, httpx.HTTPError)),
    ):
        list(ask(client, stream=True))


def test_temperature_zero_is_greedy_and_no_seed_is_random(client):
    assert len(set(texts(ask(client, n=3, temperature=0, seed=5)))) == 1
    unseeded = [texts(ask(client, seed=None))[0] for _ in range(3)]
    assert len(set(unseeded)) == 3


def test_log_probabilities_of_an_answer_are_told_where_they_are_asked_for(client):
    prompt = PROMPTS["audit"].render(
        instruction="Answer in exactly three sentences.", response="One. Two. Three."
    )
    plain, told = (
        ask(client, prompt, n=2, temperature=0, **options)
        for options in ({}, {"logprobs": True, "top_logprobs": 5})
    )
    assert texts(plain) == texts(told)
    assert [choice.logprobs for choice in plain.choices] == [None, None]
    for choice in told.choices:
        content = choice.logprobs.content
        assert "".join(token.token for token in content) == choice.message.content
        for token in content:
            assert (token.token, token.logprob) in [
                (top.token, top.logprob) for top in token.top_logprobs
            ]
    with pytest.raises(openai.BadRequestError, match="logprobs must be true"):
        ask(client, top_logprobs=5)
    with pytest.raises(openai.BadRequestError, match="between 0 and 20, got 21"):
        ask(client, logprobs=True, top_logprobs=21)


def test_usage_counts_every_choice_and_the_cached_prefix(client):
    prompt = "A long beginning that two prompts share. " * 20
    first = ask(client, prompt + "One?", n=1).usage
    second = ask(client, prompt + "Two?", n=3).usage
    assert first.prompt_tokens_details.cached_tokens == 0
    assert 150 < second.prompt_tokens_details.cached_tokens <= second.prompt_tokens
    assert second.completion_tokens > first.completion_tokens
    assert second.total_tokens == second.prompt_tokens + second.completion_tokens


def test_max_tokens_and_stop_end_a_completion(client):
    cut = ask(client, max_tokens=5).choices[0]
    assert cut.finish_reason == "length" and len(cut.message.content) <= 20
    whole = ask(client, seed=2).choices[0].message.content
    stopped = ask(client, seed=2, stop=["."]).choices[0]
    assert stopped.finish_reason == "stop"
    assert stopped.message.content == whole.split(".")[0]


def test_truncations_are_marked(serve):
    with client_for(serve(truncation_rate=1.0)) as client:
        choice = ask(client).choices[0]
    assert choice.finish_reason == "length" and choice.message.content


def test_a_json_schema_is_obeyed(serve):
    prompt = PROMPTS["nli"].render(premise="Use no commas.", hypothesis="Do not use any commas.")
    form = {
        "type": "json_schema",
        "json_schema": {"name": "nli", "schema": dict(PROMPTS["nli"].schema), "strict": True},
    }
    with client_for(serve(malformed_rate=0, refusal_rate=0, truncation_rate=0)) as client:
        answers = texts(ask(client, prompt, response_format=form, n=8))
        assert {json.loads(answer)["label"] for answer in answers} == {"entailment"}
        chosen = ask(client, prompt, extra_body={"structured_outputs": {"choice": ["neutral"]}})
        assert texts(chosen) == ["neutral"]
    refusing = serve(structured_outputs=False)
    with client_for(refusing) as client, pytest.raises(openai.BadRequestError, match="json_schema"):
        ask(client, prompt, response_format=form)


def test_content_in_parts_and_a_system_message_are_understood(client):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
    ]
    reply = client.chat.completions.create(model=MODEL, messages=messages, seed=1)
    assert texts(reply) == texts(ask(client))


def test_reasoning_comes_where_it_is_set(serve):
    with client_for(serve(reasoning="field")) as client:
        message = ask(client).choices[0].message
        assert message.reasoning_content and "<think>" not in message.content
    with client_for(serve(reasoning="tags")) as client:
        assert re.match(r"<think>.*</think>", texts(ask(client))[0], re.DOTALL)


def test_an_unknown_model_is_a_404_that_names_the_served_one(client):
    with pytest.raises(openai.NotFoundError, match=f"nothing.*{MODEL}"):
        client.chat.completions.create(
            model="nothing", messages=[{"role": "user", "content": "Hello"}]
        )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"n": 200}, "n must be between 1 and 128"),
        ({"n": 0}, "n must be between 1 and 128"),
        ({"temperature": -1}, "temperature must be in"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"max_tokens": 40_000}, "maximum context length is 32768"),
        ({"max_completion_tokens": 40_000}, "maximum context length is 32768"),
        ({"prompt": "word " * 40_000}, "reduce the length of the input"),
        ({"extra_body": {"stream_options": {"include_usage": True}}}, "needs stream to be true"),
        ({"extra_body": {"messages": []}}, "messages must be a list"),
        ({"extra_body": {"messages": [{"role": "user"}]}}, "content"),
        ({"extra_body": {"seed": "x"}}, "seed must be a number"),
        ({"extra_body": {"stop": 5}}, "stop must be a text"),
        ({"extra_body": {"structured_outputs": {"choice": [1]}}}, "must be a list of texts"),
        ({"extra_body": {"response_format": {"type": "json_schema"}}}, "must be an object"),
    ],
)
def test_what_cannot_be_done_is_a_400_that_says_why(client, options, words):
    with pytest.raises(openai.BadRequestError, match=words):
        ask(client, **options)


def test_a_model_may_be_served_under_several_names(serve):
    with client_for(serve(model="teacher, sft-0")) as client:
        assert [card.id for card in client.models.list()] == ["teacher", "sft-0"]
        messages = [{"role": "user", "content": "Hello"}]
        reply = client.chat.completions.create(model="sft-0", messages=messages, seed=1)
        assert reply.model == "sft-0"


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
def test_a_body_that_is_no_request_is_a_400(simulator, body):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{simulator.base_url}/chat/completions", body)
    assert caught.value.code == 400
    assert json.loads(caught.value.read())["error"]["code"] == 400


def test_a_key_is_asked_for_where_one_is_set(serve):
    simulator = serve(api_key="right-key")
    with client_for(simulator, "right-key") as client:
        assert ask(client).choices
    with client_for(simulator, "wrong-key") as client, pytest.raises(openai.AuthenticationError):
        ask(client)
    assert get(simulator, "/health") == ""
    assert "right-key" not in repr(simulator.settings)
    assert "right-key" not in json.dumps(simulator.stats())


def test_metrics_have_the_names_vllm_gives_them(serve):
    simulator = serve()
    with client_for(simulator) as client:
        ask(client, n=2)
        ask(client, n=2)
    lines = get(simulator, "/metrics").splitlines()
    values = {
        re.sub(r"\{.*\}", "", line.rpartition(" ")[0]): float(line.rpartition(" ")[2])
        for line in lines
        if not line.startswith("#")
    }
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
        assert values[f"vllm:{name}"] == 0
    assert values["vllm:num_preemptions_total"] == 0
    assert values["vllm:prefix_cache_queries_total"] > values["vllm:prefix_cache_hits_total"] > 0
    assert values["vllm:request_success_total"] == 4
    assert values["vllm:e2e_request_latency_seconds_count"] == 2
    assert any(f'model_name="{MODEL}"' in line for line in lines)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(serve(metrics=False), "/metrics")


def test_stats_count_what_was_served_and_what_was_served_twice(serve):
    simulator = serve()
    with client_for(simulator) as client:
        ask(client, n=3)
        ask(client, n=3)
        ask(client, "Hello there.", n=2)
    stats = json.loads(get(simulator, "/debug/stats"))
    del stats["connections"]  # the one that asks is among them
    assert stats.items() <= simulator.stats().items()
    assert (stats["received"], stats["served"], stats["completions"]) == (3, 3, 8)
    assert stats["distinct_completions"] == 5
    assert stats["by_role"] == {
        "response": {"served": 2, "completions": 6},
        "unknown": {"served": 1, "completions": 2},
    }


def test_the_truth_is_on_a_route_of_its_own(simulator):
    fields = {"kind": "case", "instruction": "Use no commas.", "input": "a, b", "output": True}
    assert json.loads(get(simulator, "/debug/truth", fields)) == {"right": False}
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(simulator, "/debug/truth", {"kind": "weather"})
    assert "the kinds are" in caught.value.read().decode()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_error_statuses(serve, status):
    simulator = serve(**{f"fault_{status}": 1.0, "retry_after": 0.5})
    with client_for(simulator) as client, pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert caught.value.status_code == status
    assert caught.value.response.headers.get("Retry-After") == ("0.5" if status == 429 else None)
    assert simulator.stats()["faults"] == {str(status): 1}
    assert simulator.stats()["served"] == 0


def test_a_dropped_connection_brings_no_answer(serve):
    simulator = serve(fault_drop=1.0)
    with client_for(simulator) as client, pytest.raises(openai.APIConnectionError):
        ask(client)
    assert simulator.stats()["served"] == 0


def test_half_a_body_is_announced_whole(serve):
    simulator = serve(fault_half=1.0)
    url = f"{simulator.base_url}/chat/completions"
    body = {"model": simulator.settings.model, "messages": [{"role": "user", "content": "Hi"}]}
    received = b""
    with (
        pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|closed"),
        httpx.stream("POST", url, json=body) as reply,
    ):
        assert reply.status_code == 200
        for part in reply.iter_raw():
            received += part
    assert received.startswith(b'{"id"') and not received.endswith(b"}")
    assert simulator.stats()["served"] == 0


def test_a_garbled_body_is_whole_and_no_json(serve):
    simulator = serve(fault_garbled=1.0)
    url = f"{simulator.base_url}/chat/completions"
    body = {"model": simulator.settings.model, "messages": [{"role": "user", "content": "Hi"}]}
    reply = httpx.post(url, json=body)
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()
    assert simulator.stats()["served"] == 0


def test_a_slow_response_outlasts_the_client_s_patience_and_frees_its_slot(serve):
    simulator = serve(fault_slow=1.0, slow_seconds=60, slots=1)
    with client_for(simulator, timeout=0.3) as client, pytest.raises(openai.APITimeoutError):
        ask(client)
    for _ in range(200):
        if simulator.stats()["running"] == 0:
            break
        threading.Event().wait(0.02)
    assert simulator.stats()["running"] == 0


def test_the_same_requests_meet_the_same_faults_in_any_order():
    settings = SimulatorSettings(**{f"fault_{kind}": 0.1 for kind in FAULTS})
    bodies = [f"request {i}".encode() for i in range(200)]

    def outcomes(order):
        faults = Faults(settings)
        drawn = {body: [faults.draw(body)] for body in order}
        for body in order:
            drawn[body].append(faults.draw(body))
        return drawn

    first = outcomes(bodies)
    assert first == outcomes(bodies[::-1])
    drawn = [kind for pair in first.values() for kinds in pair for kind in kinds]
    assert set(drawn) == set(FAULTS)
    assert any(pair[0] != pair[1] for pair in first.values()), "a retry may succeed"


def test_each_kind_has_its_own_rate_and_one_at_most_fails_a_request():
    faults = Faults(SimulatorSettings(**{f"fault_{kind}": 0.3 for kind in FAULTS}))
    drawn = [faults.draw(f"request {i}".encode()) for i in range(4000)]
    counts = Counter(kind for kinds in drawn for kind in kinds)
    failed = sum(any(kind != "slow" for kind in kinds) for kinds in drawn) / 4000
    assert abs(counts["slow"] / 4000 - 0.3) < 0.03
    assert abs(failed - (1 - 0.7**6)) < 0.03
    for kind in set(FAULTS) - {"slow"}:
        assert abs(counts[kind] / 4000 - failed / 6) < 0.03
    assert all(len(set(kinds) - {"slow"}) <= 1 for kinds in drawn)


@pytest.mark.slow
def test_answers_are_the_same_with_and_without_faults(serve):
    faulty = serve(fault_500=0.2, fault_503=0.2, fault_drop=0.2, fault_429=0.2, retry_after=0)
    with client_for(faulty, max_retries=30) as patient, client_for(serve()) as calm:
        for seed in range(2):
            expected = ask(calm, seed=seed).choices[0].message.content
            assert ask(patient, seed=seed).choices[0].message.content == expected
    assert faulty.stats()["faults"] and faulty.stats()["served"] == 2


def test_the_first_requests_fail_where_asked(serve):
    with client_for(serve(fail_first=2)) as client:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                ask(client)
        assert ask(client).choices


def test_an_outage_cuts_everything_but_the_debug_routes(serve):
    simulator = serve()
    with client_for(simulator) as client:
        assert get(simulator, "/debug/outage", {"seconds": 3600}).startswith("{")
        with pytest.raises(openai.APIConnectionError):
            ask(client)
        with pytest.raises(OSError):
            get(simulator, "/health")
        assert simulator.stats()["faults"] == {"outage": 2}


def test_an_outage_ends(serve):
    simulator = serve(outage_seconds=0.05)
    for _ in range(200):
        try:
            assert get(simulator, "/health") == ""
            break
        except OSError:
            threading.Event().wait(0.02)
    else:
        pytest.fail("the server stayed dead")
