"""Prompts are recognised by their templates; test_server covers the checks of bodies."""

import pytest

from autoif_assets.method.prompts import PROMPTS
from autoif_assets.simulator.requests import recognise
from autoif_assets_tests.simulator.test_answers import VARIABLES, render


@pytest.mark.parametrize("role", sorted(PROMPTS))
def test_a_prompt_reads_back_into_its_role_and_variables(role):
    prompt = recognise(render(role))
    assert prompt.role == role
    assert prompt.variables == {name: VARIABLES[name] for name in PROMPTS[role].variables}


def test_prompts_of_a_folder_are_known_beside_the_packaged_ones(tmp_path):
    text = "Judge {{ response }} as an answer to {{ query }} under {{ instruction }}"
    (tmp_path / "score.jinja").write_text(text)
    found = recognise("Judge R as an answer to Q under I", str(tmp_path))
    assert found.role == "score"
    assert found.variables == {"response": "R", "query": "Q", "instruction": "I"}
    assert recognise("Judge R as an answer to Q under I").role == "unknown"
    assert recognise(render("nli"), str(tmp_path)).role == "nli"
