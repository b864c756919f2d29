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
