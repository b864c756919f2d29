import dataclasses
import types

import pytest

from autoif_assets.assets.versions import CODE_VERSIONS, DEPENDS_ON
from autoif_assets.automation.code_versions import code_version
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import AUTHORS_CODE, PAPER, Recipe


@pytest.fixture
def version(monkeypatch):
    def of(source):
        rules = types.ModuleType("rules")
        monkeypatch.setattr("inspect.getsource", lambda _: source)
        return code_version(PAPER, rules=[rules])

    return of


def test_comments_docstrings_and_layout_do_not_count(version):
    plain = version("def f(x):\n    return x + 1\n")
    assert version('"""Doc."""\n\ndef f(x):  # why\n    """Doc."""\n    return (x + 1)\n') == plain
    assert version("def f(x):\n    return x + 2\n") != plain


def test_a_function_of_a_docstring_only(version):
    assert version('def f():\n    """Doc."""\n') == version('def f():\n    """Other."""\n')


def test_every_number_and_every_prompt_concerns_some_asset():
    numbers = {name for parts in DEPENDS_ON.values() for name in parts.get("numbers", ())}
    assert numbers == set(Recipe.model_fields)
    assert {role for parts in DEPENDS_ON.values() for role in parts.get("prompts", ())} == set(
        PROMPTS
    )


def changed(to):
    return {
        name
        for name, parts in DEPENDS_ON.items()
        if code_version(PAPER, **parts) != code_version(to, **parts)
    }


def test_a_number_concerns_its_stages_only():
    assert changed(PAPER.model_copy(update={"min_score": ">= 7"})) == {
        "response_scores",
        "further_scores",
    }
    assert changed(PAPER.model_copy(update={"eval_share": 0.1})) == {
        "sft_dataset",
        "preference_dataset",
        "kto_dataset",
        "policy_responses",
        "online_preference_dataset",
    }
    assert "responses" not in changed(AUTHORS_CODE)


def test_a_prompt_concerns_its_stages_only(monkeypatch):
    def versions():
        return {name: code_version(PAPER, **parts) for name, parts in DEPENDS_ON.items()}

    before = versions()
    edited = dataclasses.replace(PROMPTS["score"], schema={"type": "object"})
    monkeypatch.setitem(PROMPTS, "score", edited)
    after = versions()
    assert {name for name in before if before[name] != after[name]} == {
        "response_scores",
        "further_scores",
    }


def test_every_asset_has_a_version():
    assert all(len(version) == 12 for version in CODE_VERSIONS.values())
