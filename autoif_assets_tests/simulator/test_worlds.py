"""The benchmark's worlds: what is asked of the model in process, and the truth about it."""

import polars as pl
import pytest

from autoif_assets.method.json_text import parse_json
from autoif_assets.method.verifiers import parse_candidates
from autoif_assets.sandbox import canonical_source, static_check
from autoif_assets.simulator import SimulatorSettings
from autoif_assets.simulator.settings import MISTAKES
from autoif_assets_tests.benchmarks.worlds import World
from autoif_assets_tests.simulator.models import NO_ERRORS, PERFECT


def candidates_of(world):
    candidates, cases = parse_candidates(world.verifiers, static_check, canonical_source)
    return (
        candidates.drop_nulls("verifier_id").unique("verifier_id"),
        cases.filter(pl.col("status") == "accepted"),
    )


@pytest.mark.parametrize("packaged", [False, True])
def test_a_world_is_made_of_what_was_asked_for(packaged):
    world = World(PERFECT, seed=1, instructions=12, candidates=4, packaged=packaged)
    assert world.instructions["instruction_id"].n_unique() == world.instructions.height == 12
    assert world.verifiers.height == 48
    candidates, cases = candidates_of(world)
    assert cases.height > 60
    assert all(
        world.verifier_is_right(key, source)
        for key, source in candidates.select("instruction_id", "source").iter_rows()
    )
    assert all(
        world.case_is_right(key, text, expected)
        for key, text, expected in cases.select("instruction_id", "input", "expected").iter_rows()
    )


def test_equal_arguments_give_equal_worlds_and_other_seeds_other_ones():
    def texts(seed):
        return World(SimulatorSettings(), seed, instructions=5, candidates=3).verifiers["raw"]

    assert texts(1).equals(texts(1))
    assert not texts(1).equals(texts(2))


def test_flaws_come_at_the_rate_of_the_settings():
    world = World(SimulatorSettings(**{**NO_ERRORS, "wrong_verifier_rate": 0.5}), instructions=40)
    candidates = parse_candidates(world.verifiers, static_check, canonical_source)[0]
    wrong = [
        not world.verifier_is_right(key, source)
        for key, source in candidates.select("instruction_id", "source").iter_rows()
    ]
    assert 0.4 < sum(wrong) / len(wrong) < 0.6


def test_the_samples_that_share_a_mistake_are_told_with_its_kind():
    rates = NO_ERRORS | {"correlated_flaws": 3}
    world = World(SimulatorSettings(**rates), instructions=20)
    candidates = parse_candidates(world.verifiers, static_check, canonical_source)[0]
    wrong = {
        (key, sample)
        for key, sample, source in candidates.select(
            "instruction_id", "sample", "source"
        ).iter_rows()
        if not world.verifier_is_right(key, source)
    }
    shared = world.shared_mistakes
    assert wrong == set(shared.select("instruction_id", "sample").iter_rows())
    assert shared.height == 3 * 20
    assert shared.group_by("instruction_id").agg(pl.col("kind").n_unique())["kind"].max() == 1
    assert set(shared["kind"]) <= set(MISTAKES) and shared["kind"].n_unique() > 2


def test_boundary_cases_repairs_and_audits_are_asked_in_process():
    world = World(PERFECT, instructions=6)
    cases = [
        (key, case["input"], case["output"])
        for key, raw in world.boundary_cases.select("instruction_id", "raw").iter_rows()
        for case in parse_json(raw)["cases"]
    ]
    assert len(cases) == 36 and all(world.case_is_right(*case) for case in cases)
    asked = pl.DataFrame(cases, ("instruction_id", "response", "output"), orient="row")
    rows = asked.join(world.instructions, "instruction_id", maintain_order="left")
    audits = world.ask_rows("audit", rows)
    assert audits["logprobs"].null_count() == 0
    answers = [parse_json(raw)["obeys"] for raw in audits["raw"]]
    assert answers == ["yes" if output else "no" for output in asked["output"]]
    flawed = world.instructions.with_columns(
        source=pl.lit("def evaluate(response):\n    return True"), problems=pl.lit("It passes all.")
    )
    repaired = world.ask_rows("repair", flawed)
    assert all(
        world.verifier_is_right(key, parse_json(raw)["func"])
        for key, raw in repaired.select("instruction_id", "raw").iter_rows()
    )


def test_probes_obey_or_break_and_carry_their_ids():
    world = World(PERFECT, instructions=10)
    for role, expected in (("response", True), ("near_miss", False)):
        probes = world.probes(role, samples=4, queries=2)
        assert probes.height == 80
        follows = [
            world.obeys(key, text)
            for key, text in probes.select("instruction_id", "raw").iter_rows()
        ]
        assert sum(follow == expected for follow in follows) > 70
        assert world.tokens[role] > 0
    assert probes["prompt_id"].n_unique() == 20


def test_further_prompts_are_asked_of_the_same_model():
    world = World(PERFECT, instructions=10)
    candidates, _ = candidates_of(world)
    said = world.ask_rows("back_translation", candidates)
    pairs = said.join(world.instructions, "instruction_id").with_columns(
        premise="instruction", hypothesis="raw"
    )
    labels = world.ask_rows("nli", pairs.drop("raw"))
    assert said.height == labels.height == candidates.height
    assert labels["raw"].str.contains("entailment").all()
