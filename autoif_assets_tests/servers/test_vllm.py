"""The client, `autoif doctor` and `autoif serve` against a real vLLM."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.endpoint import EndpointSettings, NotServed, llm_calls
from autoif_assets.endpoint.checks import check_endpoint
from autoif_assets.endpoint.concurrency import Load
from autoif_assets.method.prompts import NLI, PROMPTS
from autoif_assets_tests.servers.conftest import CONTEXT, RUNNING, ask

pytestmark = pytest.mark.servers


def texts(reply):
    return [choice.text for choice in reply.choices]


def metric(server, name):
    text = requests.get(f"http://127.0.0.1:{server.port}/metrics", timeout=30).text
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(f"vllm:{name}{{")]
    return sum(map(float, values))


def test_autoif_serve_prints_what_reaches_it(vllm):
    assert vllm.printed == (
        f"export AUTOIF_BASE_URL={vllm.base_url}\nexport AUTOIF_MODEL={vllm.name}\n"
    )


def test_fifty_prompts_with_four_samples_each(vllm, complete, tmp_path):
    asked = [ask(f"Say something about the number {i}.") for i in range(50)]
    replies, account = complete(vllm.base_url, vllm.name, asked)
    assert [reply.error for reply in replies] == [None] * 50
    assert [len(set(texts(reply))) for reply in replies] == [4] * 50
    assert {c.finish_reason for reply in replies for c in reply.choices} <= {"stop", "length"}
    assert (account.done, account.failed) == (50, 0)
    assert account.prompt_tokens > 50 * 20
    assert 200 < account.completion_tokens <= 200 * 12
    assert account.notes == ()
    calls = llm_calls(tmp_path, "responses", "b1")
    assert calls["completion_tokens"].sum() == account.completion_tokens
    assert calls["prompt_tokens"].sum() == account.prompt_tokens

    before = metric(vllm, "request_success_total")
    again, _ = complete(vllm.base_url, vllm.name, asked, run_id="run2")
    assert again == replies
    assert metric(vllm, "request_success_total") == before


def test_samples_asked_for_apart_are_those_asked_for_together(vllm, complete):
    """Sample i of one request is what seed + i alone gives: so a partial call can be filled up."""
    together, _ = complete(vllm.base_url, vllm.name, [ask("Name a bird.", n=3, max_tokens=4)])
    apart, _ = complete(
        vllm.base_url,
        vllm.name,
        [ask("Name a bird.", n=1, seed=7 + i, max_tokens=4) for i in range(3)],
    )
    assert [texts(reply)[0] for reply in apart] == texts(together[0])


def test_a_shared_beginning_is_cached_and_told(vllm, complete):
    beginning = "This text is long and the same for all. " * 20
    _, first = complete(vllm.base_url, vllm.name, [ask(f"{beginning} 0", n=1)])
    asked = [ask(f"{beginning} {i}", n=1) for i in (1, 2, 3)]
    _, second = complete(vllm.base_url, vllm.name, asked)
    assert first.cached_tokens == 0
    assert second.cached_tokens > 0.5 * second.prompt_tokens


def test_a_schema_is_honoured(vllm, complete):
    pair = {"premise": "Answer in two lines.", "hypothesis": "Answer in two sentences."}
    asked = [ask(NLI.render(**pair), role="nli", n=8, schema=NLI.schema, max_tokens=64)]
    replies, account = complete(vllm.base_url, vllm.name, asked)
    labels = [json.loads(text)["label"] for text in texts(replies[0])]
    assert len(labels) == 8
    assert set(labels) <= {"entailment", "neutral", "contradiction"}
    assert all(choice.finish_reason == "stop" for choice in replies[0].choices)
    assert account.notes == ()


def test_the_log_probabilities_of_a_given_text(vllm, complete):
    """A byte is a token here, so both readings end with the same tokens, one a byte."""
    text = "Grüße, said the fox."
    alone = ask("", role="likelihood", n=1, max_tokens=1, scored=text)
    given = ask("Greet me.", role="likelihood", n=1, max_tokens=1, scored=text)
    replies, account = complete(vllm.base_url, vllm.name, [alone, given])
    assert [reply.error for reply in replies] == [None, None]
    read = [json.loads(texts(reply)[0]) for reply in replies]
    size = len(text.encode())
    assert len(read[0]) == size - 1  # nothing comes before the first token
    assert [token for token, _ in read[1]][-(size - 1) :] == [token for token, _ in read[0]]
    assert all(logprob <= 0 for tokens in read for _, logprob in tokens)
    assert read[0] != read[1][-(size - 1) :]
    assert account.prompt_tokens > 2 * size

    longer, _ = complete(
        vllm.base_url, vllm.name, [ask("Hi.", n=1, max_tokens=1, scored="a" * 5000)]
    )
    assert longer[0].error is not None


@pytest.mark.parametrize("role", [role for role, prompt in PROMPTS.items() if prompt.schema])
def test_the_schema_of_every_role_is_taken(vllm, complete, role):
    asked = [ask("Answer as JSON.", role=role, n=2, schema=PROMPTS[role].schema, max_tokens=200)]
    replies, account = complete(vllm.base_url, vllm.name, asked)
    assert account.notes == ()
    assert [text[0] for text in texts(replies[0])] == ["{", "{"]
    # Text without end is all that random weights can write into a string; the rest is whole.
    for choice in replies[0].choices:
        if choice.finish_reason == "stop":
            assert json.loads(choice.text).keys() == PROMPTS[role].schema["properties"].keys()


def test_a_prompt_that_is_too_long_is_a_rejected_row_with_the_servers_words(vllm, complete):
    asked = [ask("Short."), ask("long " * CONTEXT), ask("Short, too.")]
    replies, account = complete(vllm.base_url, vllm.name, asked)
    assert [len(reply.choices) for reply in replies] == [4, 0, 4]
    assert f"maximum context length is {CONTEXT} tokens" in replies[1].error
    assert account.failed == 1


def test_more_tokens_than_the_context_holds_are_a_rejected_row(vllm, complete):
    replies, _ = complete(vllm.base_url, vllm.name, [ask("Hi.", max_tokens=CONTEXT + 1)])
    assert f"max_model_len={CONTEXT}" in replies[0].error


def test_a_model_that_is_not_served_stops_and_lists_those_that_are(vllm, complete):
    with pytest.raises(NotServed, match=rf"'absent'(.|\n)*It serves: {vllm.name}\."):
        complete(vllm.base_url, "absent", [ask("Hi.")])


def test_a_full_queue_is_a_503_that_the_client_waits_out(vllm, complete):
    asked = [ask(f"Count to {i}.", n=8, max_tokens=64) for i in range(40)]
    before = metric(vllm, "admission_rejections_total")
    replies, account = complete(vllm.base_url, vllm.name, asked)
    assert [len(reply.choices) for reply in replies] == [8] * 40
    assert account.retries.keys() == {"http 503"}
    assert metric(vllm, "admission_rejections_total") - before == account.retries["http 503"]


def test_the_metrics_are_read(vllm, complete):
    def load():
        url = f"http://127.0.0.1:{vllm.port}/metrics"
        return Load.parse(requests.get(url, timeout=30).text)

    idle = load()
    assert (idle.running, idle.waiting, idle.kv_usage) == (0, 0, 0)
    # As many sequences as may run and wait: the server is busy for seconds.
    asked = [ask(f"Go on for long, {i}.", n=8, max_tokens=400) for i in range(2 * RUNNING // 8)]
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(complete, vllm.base_url, vllm.name, asked)
        seen = []
        while not asking.done():
            seen.append(load())
            time.sleep(0.05)
        assert asking.result()[1].failed == 0
    assert max(now.running for now in seen) > RUNNING / 2
    assert max(now.waiting for now in seen) > 0
    assert 0 < max(now.kv_usage for now in seen) < 1


def test_the_check_finds_everything(vllm):
    (report,) = check_endpoint(EndpointSettings(base_url=vllm.base_url, model=vllm.name), n=4)
    assert report.problem is None
    assert report.served == (vllm.name,)
    assert report.context_length == CONTEXT
    assert report.many.works is True
    assert report.many.words == "n=4"
    assert report.schema.works is True
    assert len(report.signals) == 5
    # More at once than may run and wait can never be served.
    settings = EndpointSettings(base_url=vllm.base_url, model=vllm.name)
    assert check_endpoint(settings, n=2 * RUNNING + 1)[0].many.works is False


def test_the_doctor_prints_it(vllm, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    monkeypatch.setenv("AUTOIF_BASE_URL", vllm.base_url)
    monkeypatch.setenv("AUTOIF_MODEL", vllm.name)
    monkeypatch.setenv("AUTOIF_JUDGE_MODEL", "absent")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 2
    for line in (
        f"supervision  {vllm.name} at {vllm.base_url}",
        f"context: {CONTEXT} tokens",
        "several completions: one request for n completions (n=8)",
        "structured answers: JSON by schema (json_schema)",
        "metrics: running, waiting, KV cache use, preemptions, prefix cache hits",
        "responder    as supervision",
        f"NOT USABLE: 'absent' is not served; it serves {vllm.name}.",
    ):
        assert line in result.output


def test_a_server_that_is_killed_and_started_again_does_not_end_the_run(
    vllm, vllm_process, complete
):
    """The last test here: it takes the server away from the others."""
    asked = [ask(f"Write a story about {i}.", n=2, max_tokens=150) for i in range(150)]
    killed = []

    def kill_midway(progress):
        if not killed and progress.done >= 20:
            killed.append(progress)
            vllm_process.kill()
            starting.__enter__()

    starting = vllm_process.served()
    replies, account = complete(vllm.base_url, vllm.name, asked, on_progress=kill_midway)
    try:
        assert killed
        assert killed[0].done < 150
        assert [len(reply.choices) for reply in replies] == [2] * 150
        assert [reply.error for reply in replies] == [None] * 150
        assert account.retries
    finally:
        starting.__exit__(None, None, None)
