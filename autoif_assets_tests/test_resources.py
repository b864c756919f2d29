import base64
import json
from contextlib import contextmanager

import dagster as dg
import polars as pl
import pytest

from autoif_assets.endpoint import Prices, Progress
from autoif_assets.method.back_translation import check_back_translations
from autoif_assets.method.recipe import PAPER
from autoif_assets.nli import NLIVerdict
from autoif_assets.resources import (
    NLI,
    BudgetResource,
    EndpointSettings,
    Supervision,
    WarehouseResource,
    configured_resources,
    nli,
)
from autoif_assets.resources.models import Endpoint
from autoif_assets.resources.session import summary

from .environment import clear


def local(by="transformers", **settings):
    warehouse = WarehouseResource(data_dir="nowhere")
    supervision = Supervision(warehouse=warehouse, budget=BudgetResource())
    return NLI(supervision=supervision, by=by, **settings)


class Oracle:
    """Stands in for the loaded model: says what the hypothesis asks it to."""

    def __init__(self, name):
        self.name = name

    def classify(self, pairs):
        return [
            NLIVerdict(hypothesis, {"entailment": 0.1, "neutral": 0.2, "contradiction": 0.7})
            for _, hypothesis in pairs
        ]


def test_a_local_model_labels_as_the_supervision_model_would(monkeypatch):
    monkeypatch.setattr(nli, "NLIModel", Oracle)
    pairs = pl.DataFrame(
        {
            "pair_id": ["1", "2"],
            "premise": ["a", "b"],
            "hypothesis": ["neutral", "contradiction"],
        }
    )
    labels = local(model="a-model").label(dg.build_asset_context(), pairs, PAPER)
    assert labels.select("pair_id", "nli_label", "nli_by").rows() == [
        ("1", "neutral", "a-model"),
        ("2", "contradiction", "a-model"),
    ]
    assert json.loads(labels["nli_raw"][0])["contradiction"] == 0.7
    assert labels["nli_call_id"].to_list() == [None, None]
    assert labels.columns == ["pair_id", "nli_label", "nli_by", "nli_raw", "nli_call_id"]
    assert check_back_translations.__doc__ is not None
    assert all(f"``{name}``" in check_back_translations.__doc__ for name in labels.columns)


def test_nothing_to_label(monkeypatch):
    monkeypatch.setattr(nli, "NLIModel", Oracle)
    schema = dict.fromkeys(("pair_id", "premise", "hypothesis"), pl.String)
    assert local().label(dg.build_asset_context(), pl.DataFrame(schema=schema), PAPER).is_empty()


def test_an_unknown_labeller_is_named():
    with pytest.raises(ValueError, match="AUTOIF_NLI is 'bert'"):
        local(by="bert").label(dg.build_asset_context(), pl.DataFrame(), PAPER)


@contextmanager
def built(monkeypatch, run_config=None, **variables):
    """The resources of an environment with nothing of ours in it but ``variables``."""
    clear(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(f"AUTOIF_{name}", value)
    config = {name: {"config": fields} for name, fields in (run_config or {}).items()}
    with dg.build_resources(configured_resources(), resource_config=config) as resources:
        yield resources


ROLES = ("responder", "judge", "nli", "policy")


def test_a_role_that_says_nothing_is_as_supervision(monkeypatch):
    variables = {
        "BASE_URL": "http://a/v1",
        "MODEL": "m",
        "API_KEY": "k",
        "MAX_CONCURRENCY": "7",
        "PRICE_PROMPT": "0.5",
        "PRICE_COMPLETION": "1.5",
    }
    with built(monkeypatch, **variables) as resources:
        settings = resources.supervision.settings()
        assert (settings.base_url, settings.model) == ("http://a/v1", "m")
        assert settings.credentials.api_key == "k"
        assert settings.max_concurrency == 7
        assert settings.prices == Prices(0.5, None, 1.5)
        assert [getattr(resources, role).settings() for role in ROLES] == [settings] * len(ROLES)


def test_a_role_keeps_what_it_says_itself(monkeypatch):
    variables = {
        "MODEL": "m",
        "JUDGE_MODEL": "j",
        "JUDGE_PRICE_CACHED": "0.01",
        "PRICE_PROMPT": "0.1",
    }
    with built(monkeypatch, **variables) as resources:
        judge = resources.judge.settings()
        assert judge.model == "j"
        assert judge.prices == Prices(0.1, 0.01, 0.0)
        assert resources.responder.settings() == resources.supervision.settings()


def test_what_a_run_says_of_supervision_reaches_the_others(monkeypatch):
    run_config = {
        "supervision": {"model": "other", "refresh": True, "temperature": 0.1},
        "judge": {"temperature": 0.0, "max_tokens": 9},
    }
    with built(monkeypatch, run_config, MODEL="m", RESPONDER_MODEL="r") as resources:
        supervision, judge = resources.supervision.settings(), resources.judge.settings()
        assert resources.responder.settings() == supervision.model_copy(update={"model": "r"})
        assert resources.nli.settings() == supervision
        assert judge == supervision.model_copy(update={"temperature": 0.0, "max_tokens": 9})
        assert (judge.model, judge.refresh) == ("other", True)


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({"RESPONDER_BASE_URL": "http://a:2/v1"}, "theirs"),
        ({"RESPONDER_BASE_URL": "http://b:1/v1"}, ""),
        ({"RESPONDER_BASE_URL": "http://b:1/v1", "RESPONDER_API_KEY": "own"}, "own"),
        ({"RESPONDER_API_KEY": "own"}, "own"),
    ],
)
def test_the_key_of_supervision_is_not_shown_to_another_host(monkeypatch, variables, key):
    given = {"BASE_URL": "http://a:1/v1", "API_KEY": "theirs", **variables}
    with built(monkeypatch, **given) as resources:
        assert resources.responder.settings().credentials.api_key == key


@pytest.mark.parametrize(
    ("variables", "headers"),
    [
        ({}, {"X-Team": "theirs"}),
        ({"RESPONDER_BASE_URL": "http://a:2/v1"}, {"X-Team": "theirs"}),
        ({"RESPONDER_BASE_URL": "http://b:1/v1"}, {}),
        (
            {
                "RESPONDER_BASE_URL": "http://b:1/v1",
                "RESPONDER_EXTRA_HEADERS": '{"X-Team": "own"}',
            },
            {"X-Team": "own"},
        ),
    ],
)
def test_the_headers_of_supervision_are_not_shown_to_another_host(monkeypatch, variables, headers):
    given = {"BASE_URL": "http://a:1/v1", "EXTRA_HEADERS": '{"X-Team": "theirs"}', **variables}
    with built(monkeypatch, **given) as resources:
        assert resources.responder.settings().credentials.headers == headers


def test_further_fields_and_the_system_prompt_of_a_role(monkeypatch):
    variables = {
        "EXTRA_BODY": '{"chat_template_kwargs": {"enable_thinking": false}, "top_k": 4}',
        "SYSTEM_PROMPT": "Be brief.",
        "JUDGE_EXTRA_BODY": "{}",
        "JUDGE_SYSTEM_PROMPT": "Be strict.",
    }
    run_config = {"policy": {"extra_body": {"provider": {"only": ["mine"]}}}}
    with built(monkeypatch, run_config, **variables) as resources:
        supervision, judge = resources.supervision.settings(), resources.judge.settings()
        body = {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 4}
        assert (supervision.extra_body, supervision.system_prompt) == (body, "Be brief.")
        assert (judge.extra_body, judge.system_prompt) == ({}, "Be strict.")
        assert resources.responder.settings() == supervision
        assert resources.policy.settings().extra_body == {"provider": {"only": ["mine"]}}


@pytest.mark.parametrize("text", ["hunter2", '["hunter2"]', "7"])
@pytest.mark.parametrize("name", ["EXTRA_BODY", "JUDGE_EXTRA_BODY", "NLI_EXTRA_HEADERS"])
def test_fields_and_headers_that_are_no_json_objects_are_named(monkeypatch, name, text):
    with (
        pytest.raises(ValueError, match=f"AUTOIF_{name} is .*JSON object") as refused,
        built(monkeypatch, **{name: text}),
    ):
        pass
    assert ("hunter2" in str(refused.value)) == ("BODY" in name and "hunter2" in text)


def test_a_field_of_an_endpoint_tells_its_default():
    told = {name: field.description for name, field in Endpoint.model_fields.items()}
    assert told["max_outage_s"].endswith("may stay away; 600 by default.")
    assert told["temperature"] == "Sampling temperature; the recipe's for each role."
    assert set(told) == set(EndpointSettings.model_fields)
    with pytest.raises(ValueError, match="less than or equal to 2"):
        Endpoint(temperature=3)


def test_a_price_that_is_no_number_is_named(monkeypatch):
    with (
        pytest.raises(ValueError, match='AUTOIF_JUDGE_PRICE_PROMPT is "cheap"'),
        built(monkeypatch, JUDGE_PRICE_PROMPT="cheap"),
    ):
        pass


def progress(**fields):
    numbers = {
        "total": 4, "reused": 1, "done": 4, "failed": 0, "in_flight": 0, "peak_in_flight": 3,
        "limit": 8, "waiting": None, "requests": 5, "retries": {"http 503": 2},
        "prompt_tokens": 100, "cached_tokens": 25, "completion_tokens": 60, "cost": 0.5,
        "elapsed_s": 3.0, "latency_s": {"p50": 0.1, "p95": 0.2, "p99": 0.3},
        "throughput": ((0.0, 0, 0), (3.0, 3, 60)), "outage": None, "notes": (),
    }  # fmt: skip
    return Progress(**{**numbers, **fields})


def test_the_metadata_of_calls_made_in_two_goes():
    other = progress(
        latency_s={"p50": 0.05, "p95": 0.4, "p99": 0.5},
        retries={"http 503": 1, "timeout": 1},
        peak_in_flight=7,
        notes=("The server refuses n=4.",),
    )
    metadata = summary([progress(), other])
    picture = metadata.pop("throughput")
    assert metadata == {
        "total": 8, "reused": 2, "failed": 0, "requests": 10, "prompt_tokens": 200,
        "cached_tokens": 50, "completion_tokens": 120, "cost": 1.0, "retries": 4,
        "retries/http_503": 3, "retries/timeout": 1, "seconds": 6.0, "peak_in_flight": 7,
        "latency_p50_s": 0.1, "latency_p95_s": 0.4, "latency_p99_s": 0.5,
        "calls_per_s": 1.0, "tokens_per_s": 20.0, "cached_share": 0.25,
        "notes": "The server refuses n=4.",
    }  # fmt: skip
    # Dagster's page shows pictures of this form.
    assert picture.value.startswith("![throughput](data:image/svg+xml;base64,")
    svg = base64.b64decode(picture.value.partition("base64,")[2].rstrip(")"))
    assert svg.startswith(b"<svg xmlns=")


def test_the_metadata_of_calls_that_the_journal_had():
    nothing = {"requests": 0, "reused": 4, "prompt_tokens": 0, "latency_s": {}, "throughput": ()}
    metadata = summary([progress(**nothing, retries={}, completion_tokens=0, elapsed_s=0.0)])
    assert metadata["reused"] == metadata["total"] == 4
    assert not {"calls_per_s", "latency_p50_s", "cached_share", "throughput"} & set(metadata)
    assert summary([])["total"] == 0
