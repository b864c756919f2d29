import time

import dagster as dg
import polars as pl
import pytest

from autoif_assets.assets.responses import executed
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.responses import verify_responses
from autoif_assets.resources import SandboxResource
from autoif_assets.resources import sandbox as resource
from autoif_assets.sandbox import Sandbox

pytestmark = pytest.mark.slow

SAYS_TRUE = "def evaluate(response):\n    return 'True'"
HAS_A = "def evaluate(response):\n    return 'a' in response"
STATEFUL = "seen = []\ndef evaluate(response):\n    seen.append(1)\n    return len(seen) % 2 == 1"
THIRD_PARTY = "import json_repair\ndef evaluate(response):\n    return bool(json_repair)"

RUNS = pl.DataFrame(
    [
        (name, source, ["1", "2", "3"], ["a", "b", "c"], instruction)
        for name, source, instruction in (
            ("says", SAYS_TRUE, "i"),
            ("has", HAS_A, "j"),
            ("stateful", STATEFUL, "i"),
            ("third", THIRD_PARTY, "j"),
        )
    ],
    schema=("verifier_id", "source", "input_ids", "inputs", "instruction_id"),
    orient="row",
)


def outcomes(**settings):
    """Run the verifiers in an asset; return what they said and the asset's metadata."""

    @dg.asset
    def judged(context: dg.AssetExecutionContext, sandbox: SandboxResource) -> pl.DataFrame:
        return sandbox.run(context, RUNS)

    result = dg.materialize([judged], resources={"sandbox": SandboxResource(workers=1, **settings)})
    (event,) = result.asset_materializations_for_node("judged")
    frame = result.output_for_node("judged")
    said = {
        name: own.sort("input_id")["outcome"].to_list()
        for (name,), own in frame.group_by("verifier_id")
    }
    return said, {key: value.value for key, value in event.metadata.items()}


def test_by_default_the_sandbox_is_strict():
    said, metadata = outcomes()
    assert said == {
        "says": ["not_bool"] * 3,
        "has": ["pass", "fail", "fail"],
        "stateful": ["nondeterministic"] * 3,
        "third": ["load_error"] * 3,
    }
    assert metadata["sandbox/confinement"] != "none"
    assert metadata["sandbox/units"] == 4
    assert metadata["sandbox/cpu_s"] > 0
    assert metadata["sandbox/units_per_s"] > 0
    three_of_four = pytest.approx(metadata["sandbox/units_per_s"] * 3 / 4, rel=0.01)
    assert metadata["sandbox/verdicts_per_s"] == three_of_four
    assert {key: value for key, value in metadata.items() if "/outcomes/" in key} == {
        "sandbox/outcomes/fail": 2,
        "sandbox/outcomes/load_error": 3,
        "sandbox/outcomes/nondeterministic": 3,
        "sandbox/outcomes/not_bool": 3,
        "sandbox/outcomes/pass": 1,
    }


@pytest.mark.parametrize(
    ("settings", "verifier", "expected"),
    [
        ({"coerce_strings": True}, "says", ["pass"] * 3),
        ({"modules": ["json_repair"]}, "third", ["pass"] * 3),
    ],
)
def test_a_setting_changes_only_what_it_names(settings, verifier, expected):
    said, _ = outcomes(**settings)
    strict, _ = outcomes()
    assert said == strict | {verifier: expected}


def test_sharing_changes_no_outcome():
    assert outcomes(share=True)[0] == outcomes()[0]


def test_mutants_may_share_where_the_settings_do_not_say_so():
    with SandboxResource(workers=1).session(None) as session:
        alone, shared = session.run(RUNS), session.run(RUNS, share=True)
    assert shared.equals(alone)


def of_one_run(monkeypatch, *runs):
    """Run verifiers in assets of one run; return what each said, and its metadata."""
    opened = []

    class Counted(Sandbox):
        def __enter__(self):
            opened.append(self)
            return super().__enter__()

    monkeypatch.setattr(resource, "Sandbox", Counted)

    def asset(number, asked):
        @dg.asset(name=f"asset_{number}", deps=[f"asset_{number - 1}"] if number else [])
        def made(context: dg.AssetExecutionContext, sandbox: SandboxResource) -> pl.DataFrame:
            with sandbox.session(context) as session:
                return session.run(asked, remember=True)

        return made

    result = dg.materialize(
        [asset(number, asked) for number, asked in enumerate(runs)],
        resources={"sandbox": SandboxResource(workers=1)},
    )
    (sandbox,) = opened  # one for all assets
    assert not sandbox._workers  # which ended with the run
    return [
        (
            result.output_for_node(f"asset_{number}"),
            result.asset_materializations_for_node(f"asset_{number}")[0].metadata,
        )
        for number in range(len(runs))
    ]


def test_what_several_assets_of_a_run_ask_is_executed_once(monkeypatch):
    (first, _), (again, metadata) = of_one_run(monkeypatch, RUNS, RUNS)
    assert again.equals(first)
    # One that contradicts itself is tried again.
    assert metadata["sandbox/units_remembered"].value == 3


def test_only_the_same_source_on_the_same_texts_is_known(monkeypatch):
    texts = RUNS.with_columns(inputs=pl.lit(["b", "a", "a"], dtype=pl.List(pl.String)))
    sources = RUNS.with_columns(source=pl.lit(HAS_A.replace("'a'", "'b'")))
    asked = RUNS.with_columns(queries=pl.lit(["q"] * 3, dtype=pl.List(pl.String)))
    names = RUNS.with_columns(verifier_id=pl.lit("other-") + pl.col("verifier_id"))
    told = of_one_run(monkeypatch, RUNS, texts, sources, asked, names)
    known = [metadata["sandbox/units_remembered"].value for _, metadata in told]
    # The sources here do not look at queries.
    assert known == [0, 0, 0, 3, 3]
    said = told[1][0].filter(verifier_id="has")["outcome"].to_list()
    assert said == ["fail", "pass", "pass"]
    assert set(told[4][0]["verifier_id"]) == set(names["verifier_id"])


def test_a_failed_asset_leaves_the_others_a_sandbox(monkeypatch):
    """One that was left in the midst of its verifiers, and one whose worker was killed."""
    monkeypatch.setattr(resource, "_SAY_EVERY_S", -1)
    again = []

    @dg.asset
    def fails(context: dg.AssetExecutionContext, sandbox: SandboxResource) -> None:
        with sandbox.session(context) as session:
            monkeypatch.setattr(session, "_say", lambda *counts: 1 / 0)
            for remember in (True, False):
                with pytest.raises(ZeroDivisionError):
                    session.run(RUNS, remember=remember)
            monkeypatch.setattr(session, "_say", lambda *counts: None)
            again.append(session.run(RUNS))
            raise RuntimeError

    @dg.asset
    def kills(context: dg.AssetExecutionContext, sandbox: SandboxResource) -> None:
        with sandbox.session(context) as session:
            again.append(session.run(RUNS))
            for worker in session._sandbox._workers:
                worker.process.kill()
                worker.process.wait()

    @dg.asset(deps=[kills])
    def later(context: dg.AssetExecutionContext, sandbox: SandboxResource) -> None:
        again.append(sandbox.run(context, RUNS))

    result = dg.materialize(
        [fails, kills, later],
        resources={"sandbox": SandboxResource(workers=1)},
        raise_on_error=False,
    )
    assert not result.success
    expected = [again[0]["outcome"].to_list()] * 3
    assert [frame["outcome"].to_list() for frame in again] == expected


def test_a_timeout_is_known_and_a_crash_is_tried_again(monkeypatch):
    bodies = {"loops": "while True: pass", "dies": "import enum; enum.sys.modules['posix'].abort()"}
    sources = [f"def evaluate(response):\n    {body}" for body in bodies.values()]
    runs = RUNS.head(2).with_columns(
        source=pl.Series(sources), verifier_id=pl.Series(list(bodies)), inputs=pl.lit(["a"]),
        input_ids=pl.lit(["1"]),
    )  # fmt: skip
    (first, _), (again, metadata) = of_one_run(monkeypatch, runs, runs)
    assert dict(first.select("verifier_id", "outcome").rows()) == {
        "loops": "timeout",
        "dies": "crash",
    }
    assert again.equals(first)
    assert metadata["sandbox/units_remembered"].value == 1


def test_the_static_check_knows_the_modules():
    assert SandboxResource().static_check(THIRD_PARTY) == "forbidden_import:json_repair"
    assert SandboxResource(modules=["json_repair"]).static_check(THIRD_PARTY) is None
    recipe = make_recipe(overrides={"modules": ["json_repair"]})
    assert SandboxResource().static_check(THIRD_PARTY, recipe.modules) is None
    with_data = "langdetect:detector_factory.init_factory"
    assert SandboxResource(modules=[with_data]).static_check(LANGUAGE) is None


def test_the_recipes_modules_are_there_beside_the_resources():
    with SandboxResource(workers=1, modules=["yaml"]).session(None, ["json_repair"]) as session:
        found = session.run(RUNS.filter(verifier_id="third"))
    assert found["outcome"].to_list() == ["pass"] * 3


def test_modules_that_cannot_be_loaded_are_told_before_they_are_needed():
    assert SandboxResource().modules_problem() is None
    assert SandboxResource(modules=["json_repair"]).modules_problem(["textwrap"]) is None
    problem = SandboxResource(modules=["json_repair"]).modules_problem(["no_such_module"])
    assert problem is not None
    assert problem.startswith("Verifiers cannot have the modules json_repair, no_such_module: ")
    assert problem.endswith("No module named 'no_such_module'")


def test_both_limits_of_waiting_can_be_set():
    sleeps = (
        "import enum\ndef evaluate(r):\n    lock = enum.sys.modules['_thread'].allocate_lock()\n"
        "    return lock.acquire() and lock.acquire()"
    )
    runs = RUNS.filter(verifier_id="has").with_columns(source=pl.lit(sleeps))
    for limits in ({"call_wall_s": 0.2}, {"unit_wall_s": 0.2}):
        began = time.monotonic()
        with SandboxResource(workers=1, **limits).session(None) as session:
            found = session.run(runs)
        assert set(found["outcome"]) <= {"timeout", "skipped"}
        assert time.monotonic() - began < 4


def test_queries_reach_the_verifiers():
    asks = "def evaluate(response, query):\n    return response == query"
    runs = RUNS.filter(verifier_id="has").with_columns(
        source=pl.lit(asks), queries=pl.lit(["a", "x", None], dtype=pl.List(pl.String))
    )
    with SandboxResource(workers=1).session(None) as session:
        found = session.run(runs)
    assert found["outcome"].to_list() == ["pass", "fail", "error"]


def test_responses_are_verified_with_the_queries_of_their_prompts():
    candidates = pl.DataFrame(
        {
            "response_id": ["r", "s"],
            "prompt_id": ["p", "q"],
            "instruction_id": "i",
            "response": ["Why? So.", "Why? So."],
        }
    )
    asks = "def evaluate(response, query):\n    return response.startswith(query)"
    verifiers = pl.DataFrame({"verifier_id": ["v"], "instruction_id": ["i"], "source": [asks]})
    asked = pl.DataFrame({"prompt_id": ["q", "p"], "query": ["How?", "Why?"]})
    parts = [(candidates, verifiers, asked)]
    sandbox = SandboxResource(workers=1)
    (found,) = executed(None, parts, sandbox, make_recipe(), verify_responses)
    assert found.select("response_id", "passed", "failed").rows() == [("r", 1, 0), ("s", 0, 1)]


LANGUAGE = (
    "from langdetect import detect\ndef evaluate(response):\n    return detect(response) == 'de'"
)
GERMAN = "Das ist ein kurzer deutscher Satz über das Wetter."


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (["langdetect"], ["pass", "fail", "error"]),
        # Loaded all the same; of a text that is hard to tell it may say now this and now that.
        (["langdetect:detector_factory.init_factory"], ["pass", "fail", "error"]),
        (["langdetect:__name__.title"], ["error", "error", "error"]),
    ],
)
def test_langdetect_works_inside_with_its_data(modules, expected):
    pytest.importorskip("langdetect", reason="the extra `languages` is not installed")
    runs = RUNS.filter(verifier_id="has").with_columns(
        source=pl.lit(LANGUAGE),
        inputs=pl.lit([GERMAN, "This is a short English sentence about the weather.", "123"]),
    )
    with SandboxResource(workers=1, modules=modules).session(None) as session:
        assert session.run(runs)["outcome"].to_list() == expected
