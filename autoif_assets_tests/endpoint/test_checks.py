import json

import pytest

from autoif_assets.endpoint import Credentials, EndpointSettings
from autoif_assets.endpoint.checks import check_endpoint, first_problem
from autoif_assets.endpoint.features import Features
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.endpoint.server import Server, answer

MODEL = "autoif-simulator"
KEY = "sk-very-secret-0123456789"


def check(url, model, key="", **options):
    settings = EndpointSettings(base_url=url, model=model)
    (report,) = check_endpoint(settings, Credentials(key), **options)
    return report


def of_simulator(**settings):
    with Simulator(SimulatorSettings(**settings)) as simulator:
        return check(simulator.base_url, MODEL, KEY)


def of_server(behave, **options):
    with Server(behave, **options) as server:
        return check(server.url, "tiny", KEY)


def saying(text, **more):
    """A ``behave`` that says ``text`` whatever it is asked for."""
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"} | more
    return lambda body, count: answer(body, choices=[choice] * body.get("n", 1))


def test_a_server_that_can_do_everything():
    report = of_simulator(context_length=9000)
    assert report.problem is None
    assert report.served == (MODEL,)
    assert report.context_length == 9000
    assert report.answer
    assert report.latency_s > 0
    assert report.many.works is True
    assert report.schema.works is True
    assert report.signals == (
        "running", "waiting", "KV cache use", "preemptions", "prefix cache hits",
    )  # fmt: skip
    assert not report.reasons


def test_each_missing_feature_is_told_alone():
    whole = of_simulator()
    single = of_simulator(max_n=1)
    assert single.many.works is False
    assert "n must be" in single.many.words
    assert single.schema == whole.schema
    plain = of_simulator(structured_outputs=False)
    assert plain.schema.works is False
    assert "json_schema is not supported" in plain.schema.words
    assert plain.many == whole.many
    blind = of_simulator(metrics=False)
    assert blind.signals == ()
    assert (blind.problem, blind.many, blind.schema) == (None, whole.many, whole.schema)


@pytest.mark.parametrize("where", ["field", "tags"])
def test_a_reasoning_model_is_recognised_and_its_thoughts_are_no_answer(where):
    report = of_simulator(reasoning=where)
    assert report.reasons
    assert "<think>" not in report.answer
    assert report.schema.works is True


def test_a_wrong_key_is_a_problem_and_is_not_shown():
    report = of_simulator(api_key="another")
    assert "refuses the key (401" in report.problem
    assert KEY not in repr(report)


def test_a_model_that_is_not_served():
    with Simulator(SimulatorSettings(model="a, b")) as simulator:
        wrong = check(simulator.base_url, "c")
        none = check(simulator.base_url, "")
        served = simulator.stats()["received"]
    assert wrong.problem == "'c' is not served; it serves a, b."
    assert none.problem == "No model is named; it serves a, b."
    # Not every server lists all that it serves, so the model is asked; without a name, none is.
    assert served == 1


def test_a_model_that_is_served_but_not_listed():
    with Server() as server:
        report = check(server.url, "hidden", KEY)
    assert report.problem is None
    assert report.served == ("tiny", "other")


def test_nothing_listens():
    report = check("http://127.0.0.1:9/v1", "tiny")
    assert "http://127.0.0.1:9/v1" in report.problem
    assert "Start the server" in report.problem


def test_a_url_with_a_password_is_refused_without_showing_it():
    report = check(f"http://me:{KEY}@127.0.0.1:9/v1", "tiny")
    assert "user or password" in report.problem
    assert KEY not in repr(report)


def test_a_server_that_fails_on_every_completion():
    report = of_server(lambda body, count: 500)
    assert report.served == ("tiny", "other")
    assert "500" in report.problem
    assert report.many is None


def test_fewer_completions_than_asked_for_are_noticed():
    report = of_server(lambda body, count: answer(body | {"n": 1}))
    assert report.many.works is False
    assert report.many.words == "1 completions where n=8 were asked"


def test_equal_completions_are_noticed():
    assert "equal completions" in of_server(saying("the same")).many.words


def test_a_schema_that_is_silently_ignored_is_noticed():
    report = of_server(saying("They contradict each other."))
    assert report.schema.works is False
    assert "They contradict each other." in report.schema.words


@pytest.mark.parametrize(
    "text", ['{"label": "maybe"}', '"neutral"', '{"label": "neutral", "a": 1}']
)
def test_json_that_breaks_the_schema_is_noticed(text):
    assert of_server(saying(text)).schema.works is False


def test_an_answer_that_was_cut_off_proves_nothing():
    report = of_server(saying('{"label":   ', finish_reason="length"))
    assert report.schema.works is None


def test_metrics_of_another_server_are_not_taken_for_vllms():
    assert of_server(None, metrics=lambda: "llamacpp:requests_deferred 0\n").signals == ()
    own = of_server(None, metrics=lambda: "vllm:num_requests_waiting 0\n")
    assert own.signals == ("waiting",)


def test_a_request_is_small_and_its_schema_is_the_pipelines():
    with Server() as server:
        check(server.url, "tiny", KEY, n=3)
        bodies = server.bodies
    assert len(bodies) == 3
    assert [body.get("n", 1) for body in bodies] == [1, 3, 1]
    assert "label" in json.dumps(bodies[2]["response_format"])
    assert sum(body["max_tokens"] * body.get("n", 1) for body in bodies) <= 1000


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SimulatorSettings()) as running:
        yield running


@pytest.mark.parametrize("end", ["", "/", "/v1/chat/completions"])
def test_a_url_that_is_nearly_right_is_told_with_the_right_one(simulator, end):
    base = simulator.base_url.removesuffix("/v1")
    wanted = f"the server answers under {base}/v1: set AUTOIF_BASE_URL={base}/v1."
    assert wanted in check(base + end, MODEL).problem
    settings = EndpointSettings(base_url=base + end, model=MODEL)
    assert wanted in first_problem(settings, Features(), 0, briefly=True)


def test_a_model_that_is_listed_is_not_asked_to_begin(simulator):
    def problem(model):
        settings = EndpointSettings(base_url=simulator.base_url, model=model)
        return first_problem(settings, Features(), 0, briefly=True)

    before = simulator.stats()["received"]
    assert problem(MODEL) is None
    assert simulator.stats()["received"] == before
    assert problem("absent") == f"'absent' is not served; it serves {MODEL}."
    assert simulator.stats()["served"] == before
