"""A batch of the recipe ``audited``, from end to end."""

import polars as pl
import pytest

from autoif_assets.checks import checks_of
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES
from autoif_assets_tests.assets.pipeline import (
    KEY,
    accepted,
    differing,
    exports,
    run_batch,
    tables,
)

pytestmark = pytest.mark.long

# As many texts that obey as there are responses to a prompt: they are the same calls.
NUMBERS = {"obeying_probes_per_instruction": 4, "near_misses_per_prompt": 0}
BATCH = {"recipe": "audited", "overrides": NUMBERS}


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    data = tmp_path_factory.mktemp("audited") / "data"
    model = SimulatorSettings(api_key=KEY)
    with Simulator(model) as simulator, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AUTOIF_API_KEY", KEY)
        result = run_batch(data, simulator.base_url, **BATCH)
        assert result.success
        asked = simulator.stats()["received"]
        first, files = tables(data, cost=True), exports(data)
        again = run_batch(data, simulator.base_url, **BATCH)
        assert again.success
        assert simulator.stats()["received"] == asked
    assert differing(tables(data, cost=True), first) == []
    assert exports(data) == files
    return result, first


def test_every_step_has_made_something(audited):
    _, made = audited
    for name in (
        *("probe_texts", "verifier_repairs", "auditor_answers", "verifiers", "verifier_cases"),
        *("verifier_audits", "verdict_matrix", "verified_instructions", "sft_examples"),
    ):
        assert made[name].height, name
    assert set(made["probe_texts"]["kind"]) == {"obeying", "breaking", "case", "edge"}
    assert set(made["test_cases"]["origin"]) == {"function", "boundary"}


def test_every_check_is_passed(audited):
    result, _ = audited
    found = {
        f"{one.asset_key.to_user_string()}: {one.check_name}": one.passed
        for one in result.get_asset_check_evaluations()
        if one.blocking
    }
    assert len(found) > sum(1 for table in TABLES.values() if checks_of(table)) / 2
    assert [name for name, passed in found.items() if not passed] == []


def test_what_was_tried_is_not_asked_for_again_as_responses(audited):
    _, made = audited
    probes, responses = made["probe_texts"], made["responses"]
    tried = probes.filter(kind="obeying").select("call_id").unique()
    shared = responses.join(tried, on="call_id", how="semi")
    # One prompt of each verified instruction.
    verified = accepted(made["verified_instructions"])["instruction_id"]
    assert set(shared["instruction_id"]) == set(verified)
    calls = made["llm_calls"]
    assert calls["call_id"].is_unique().all()
    assert calls.filter(asset="responses").join(tried, on="call_id", how="semi").is_empty()


def test_the_auditor_s_answer_is_the_likelier_word(audited):
    _, made = audited
    answers = made["auditor_answers"]
    assert accepted(answers)["obeys_probability"].null_count() == 0
    assert (
        accepted(answers)
        .select((pl.col("obeys") == (pl.col("obeys_probability") > 0.5)).all())
        .item()
    )
    undecided = answers.filter(reason="undecided")
    assert undecided["obeys"].null_count() == undecided.height


def test_the_verifiers_in_use_are_those_that_judge(audited):
    _, made = audited
    in_use = accepted(made["verifier_audits"])
    said = made["response_verdicts"].select(
        pl.col("outcomes").explode().struct.field("verifier_id")
    )
    assert set(said["verifier_id"]) <= set(in_use["verifier_id"])
    assert set(in_use["verifier_id"]) <= set(accepted(made["verifiers"])["verifier_id"])


def test_the_matrix_has_a_bit_for_each_text(audited):
    _, made = audited
    matrix, probes = made["verdict_matrix"], made["probe_texts"]
    places = probes["place"].drop_nulls().sort()
    assert places.to_list() == list(range(places.len()))
    for row in matrix.iter_rows(named=True):
        assert len(row["verdicts"]) == len(row["known"]) == row["texts"] == places.len()
        assert {*row["verdicts"], *row["known"]} <= {"0", "1"}
    assert set(matrix["instruction_id"]) == set(accepted(made["verifier_audits"])["instruction_id"])
