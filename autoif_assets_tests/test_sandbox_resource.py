import dagster as dg
import polars as pl
import pytest

from autoif_assets.resources import SandboxResource

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


def test_the_static_check_knows_the_modules():
    assert SandboxResource().static_check(THIRD_PARTY) == "forbidden_import:json_repair"
    assert SandboxResource(modules=["json_repair"]).static_check(THIRD_PARTY) is None
