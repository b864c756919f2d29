"""The client and the endpoint check against llama.cpp's own server."""

import json

import polars as pl
import pytest

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.endpoint.checks import check_endpoint
from autoif_assets.method.auditor import ALTERNATIVES, parse_answers
from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.prompts import AUDIT, NLI
from autoif_assets_tests.servers.conftest import ask

pytestmark = pytest.mark.servers


def texts(reply):
    return [choice.text for choice in reply.choices]


def test_prompts_with_four_samples_each(llama_cpp, complete):
    asked = [ask(f"Say something about the number {i}.") for i in range(6)]
    replies, account = complete(*llama_cpp, asked, max_concurrency=2)
    assert [reply.error for reply in replies] == [None] * 6
    assert [len(reply.choices) for reply in replies] == [4] * 6
    assert all(len(set(texts(reply))) > 1 for reply in replies)
    assert account.prompt_tokens > 0


def test_more_samples_than_slots_are_asked_for_in_parts(llama_cpp, complete):
    replies, account = complete(*llama_cpp, [ask("Name a colour.", n=6)], max_concurrency=2)
    assert replies[0].error is None
    assert len(replies[0].choices) == 6
    assert any("n=6" in note for note in account.notes)


def test_a_schema_is_honoured(llama_cpp, complete):
    pair = {"premise": "Answer in two lines.", "hypothesis": "Answer in two sentences."}
    asked = [ask(NLI.render(**pair), role="nli", n=2, schema=NLI.schema, max_tokens=64)]
    replies, account = complete(*llama_cpp, asked, max_concurrency=1)
    labels = {json.loads(text)["label"] for text in texts(replies[0])}
    assert labels <= {"entailment", "neutral", "contradiction"}
    assert account.notes == ()


def test_log_probabilities_are_told_with_a_schema(llama_cpp, complete):
    prompt = AUDIT.render(instruction="Use no commas.", response="One, two, three.")
    asked = [ask(prompt, role="audit", schema=AUDIT.schema, max_tokens=32, logprobs=ALTERNATIVES)]
    replies, account = complete(*llama_cpp, asked, max_concurrency=1)
    completions = pl.DataFrame(
        [
            ("i", str(sample), "c", sample, choice.text, None, choice.finish_reason, None, told)
            for sample, choice in enumerate(replies[0].choices)
            if (told := choice.logprobs)
        ],
        schema={
            "instruction_id": pl.String,
            "input_id": pl.String,
            **COMPLETION_SCHEMA,
            "logprobs": pl.String,
        },
        orient="row",
    )
    texts_of = completions.select("instruction_id", "input_id", input="input_id")
    answers = parse_answers(completions, texts_of)
    assert answers.height == 4
    assert answers["obeys_probability"].null_count() == 0
    assert answers["obeys_probability"].is_between(0, 1, closed="none").all()
    assert account.notes == ()


def test_a_prompt_that_is_too_long_is_a_rejected_row_with_the_servers_words(llama_cpp, complete):
    asked = [ask("Short."), ask("long " * 1000)]
    replies, _ = complete(*llama_cpp, asked, max_concurrency=2)
    assert [len(reply.choices) for reply in replies] == [4, 0]
    assert "context" in replies[1].error


def test_the_check_tells_what_it_lacks(llama_cpp):
    base_url, model = llama_cpp
    (report,) = check_endpoint(EndpointSettings(base_url=base_url, model=model), n=4)
    assert report.problem is None
    assert report.served == (model,)
    assert report.answer
    assert report.many.works is True
    assert report.schema.works is True
    assert report.signals == ()
    assert (
        check_endpoint(EndpointSettings(base_url=base_url, model=model), n=5)[0].many.works is False
    )


def test_a_wrong_name_which_it_would_answer_under_is_found(llama_cpp):
    base_url, model = llama_cpp
    assert check_endpoint(EndpointSettings(base_url=base_url, model="absent"))[0].problem == (
        f"'absent' is not served; it serves {model}."
    )
