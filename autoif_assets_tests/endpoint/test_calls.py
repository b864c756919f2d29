import dataclasses

import pytest

from autoif_assets.endpoint import EndpointSettings, Request, call_id
from autoif_assets.endpoint.calls import further_parameters

BASE = Request("p", "nli", 2, 0.5, 10, 3, {"type": "object", "properties": {}})

CONTEXT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "q"},
        {"n": 3},
        {"temperature": 0.6},
        {"max_tokens": 11},
        {"seed": 4},
        {"schema": None},
        {"context": CONTEXT},
    ],
)
def test_all_that_changes_the_answer_changes_the_id(change):
    assert call_id("m", dataclasses.replace(BASE, **change)) != call_id("m", BASE)


def test_the_model_counts_and_the_role_and_the_order_of_keys_do_not():
    assert call_id("m", BASE) != call_id("other", BASE)
    schema = {"properties": {}, "type": "object"}
    same = dataclasses.replace(BASE, role="score", schema=schema)
    assert call_id("m", same) == call_id("m", BASE)


@pytest.mark.parametrize("change", [{"n": 0}, {"max_tokens": 0}])
def test_a_request_for_nothing_is_refused(change):
    with pytest.raises(ValueError, match="at least 1"):
        dataclasses.replace(BASE, **change)


def test_the_ids_of_calls_that_journals_hold_stay_what_they_are():
    """Computed before an endpoint had further fields, headers or a system prompt."""
    further = further_parameters(EndpointSettings(model="m"), {})
    assert call_id("m", BASE, further) == call_id("m", BASE) == "ff1f2ab184d3576d"
    scored = Request("p", "x", 1, 0.0, 1, 0, scored="text")
    assert call_id("m", scored, further) == "4271a20ee0f80918"


def test_what_an_endpoint_adds_to_a_request_changes_the_id():
    def id_of(headers=None, **settings):
        return call_id("m", BASE, further_parameters(EndpointSettings(**settings), headers or {}))

    ids = [
        id_of(),
        id_of(extra_body={"top_k": 1}),
        id_of(extra_body={"top_k": 2}),
        id_of(system_prompt="Be brief."),
        id_of(headers={"X-Team": "a"}),
        id_of(headers={"X-Team": "b"}),
        id_of(headers={"X-Group": "a"}),
    ]
    assert len(set(ids)) == len(ids)
    assert id_of(extra_body={"a": 1, "b": 2}) == id_of(extra_body={"b": 2, "a": 1})
    assert id_of(headers={"x-team": "a"}) == id_of(headers={"X-Team": "a"})
    # As with the key: another is no reason to ask and pay again.
    assert id_of(headers={"Authorization": "a"}) == id_of(headers={"api-key": "b"}) == id_of()
    # Nor is what only says how fast or at what price.
    assert id_of(base_url="http://other/v1", max_concurrency=3, price_prompt=1.0) == id_of()


def test_no_header_can_be_read_from_what_stands_for_it():
    assert "secret" not in repr(further_parameters(EndpointSettings(), {"X-Team": "secret"}))


def test_another_context_is_another_call():
    ids = {
        call_id("m", dataclasses.replace(BASE, context=context))
        for context in ([], CONTEXT, CONTEXT[1:], [*CONTEXT[:2], {**CONTEXT[2], "content": "So"}])
    }
    assert len(ids) == 4
