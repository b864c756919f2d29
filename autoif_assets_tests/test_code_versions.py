import atexit
import dataclasses
import importlib
import inspect
import itertools
import sys
from pathlib import Path

import pytest

from autoif_assets import code_versions
from autoif_assets.assets import responses
from autoif_assets.code_versions import Dependencies, dependencies
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import AUTHORS_CODE, PAPER, Recipe

from .depends_on import depends_on

DEPENDS_ON = depends_on()
_NUMBERS = itertools.count()  # what is read of a module is kept under its name


def test_every_number_and_every_prompt_concerns_some_asset():
    numbers = set().union(*(found.numbers for found in DEPENDS_ON.values()))
    assert numbers == set(Recipe.model_fields)
    assert set().union(*(found.prompts for found in DEPENDS_ON.values())) == set(PROMPTS)


def changed(to):
    return {
        name
        for name, found in DEPENDS_ON.items()
        if found.code_version(PAPER) != found.code_version(to)
    }


def test_a_number_concerns_its_stages_only():
    assert changed(PAPER.model_copy(update={"min_score": ">= 7"})) == {
        "response_scores",
        "further_scores",
    }
    assert changed(PAPER.model_copy(update={"eval_share": 0.1})) == {
        "augmented_queries",
        "probe_texts",
        "rl_prompts",
        "sft_dataset",
        "preference_dataset",
        "kto_dataset",
        "reward_dataset",
        "policy_responses",
        "online_preference_dataset",
    }
    assert changed(PAPER.model_copy(update={"sft_max_chars": 500})) == {"sft_examples"}
    assert "responses" not in changed(AUTHORS_CODE)


def test_a_prompt_concerns_its_stages_only(monkeypatch):
    def versions():
        return {name: found.code_version(PAPER) for name, found in DEPENDS_ON.items()}

    before = versions()
    edited = dataclasses.replace(PROMPTS["score"], schema={"type": "object"})
    monkeypatch.setitem(PROMPTS, "score", edited)
    after = versions()
    assert {name for name in before if before[name] != after[name]} == {
        "response_scores",
        "further_scores",
    }


def reach(function):
    """Return the assets whose rows a function of the method decides."""
    return {
        name for name, found in DEPENDS_ON.items() if function in {rule for _, rule in found.rules}
    }


def test_a_rule_concerns_the_stages_that_reach_it():
    # What is sent back for repair is what it turns down.
    assert reach("judge") == {"verifiers", "verifier_cases", "verifier_repairs"}
    assert reach("verify_responses") == {
        "response_verdicts",
        "further_verdicts",
        "policy_verdicts",
    }
    # What the NLI resource asks is a rule of the asset that asks it.
    assert reach("parse_nli") == {"back_translations"}
    assert reach("online_pairs") == {"online_preference_pairs"}
    # Cards count the prompts of benchmarks, which are read as queries are.
    assert reach("select_queries") == {
        "seed_queries",
        "sft_dataset",
        "preference_dataset",
        "kto_dataset",
        "reward_dataset",
        "online_preference_dataset",
    }
    # How a bound is read is a rule of what reads one.
    assert reach("Threshold") >= reach("verify_responses") | {"response_scores", "verifiers"}
    assert "responses" not in reach("Threshold")


def test_versions_are_short():
    assert {len(found.code_version(PAPER)) for found in DEPENDS_ON.values()} == {12}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write modules of a package that counts as the method, and return its dependencies."""

    def write(function="stage", **sources) -> Dependencies:
        name = f"made_{next(_NUMBERS)}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        for module, source in sources.items():
            (folder / f"{module}.py").write_text(source.replace("HERE", name))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(code_versions, "_METHOD", f"{name}.")
        monkeypatch.setattr(code_versions, "_FOLLOWED", (name,))
        importlib.invalidate_caches()
        return dependencies(getattr(importlib.import_module(f"{name}.a"), function))

    yield write
    for name in [name for name in sys.modules if name.startswith("made_")]:
        del sys.modules[name]


def version(found: Dependencies) -> str:
    return found.code_version(PAPER)


def rules(found: Dependencies) -> set[str]:
    return {name for _, name in found.rules}


def test_comments_docstrings_and_layout_do_not_count(package):
    plain = version(package(a="def stage(x):\n    return x + 1\n"))
    other = '"""Doc."""\n\ndef stage(x):  # why\n    """Doc."""\n    return (x + 1)\n'
    assert version(package(a=other)) == plain
    assert version(package(a="def stage(x):\n    return x + 2\n")) != plain


def test_a_function_of_a_docstring_only(package):
    one, other = (package(a=f'def stage():\n    """{doc}"""\n') for doc in ("Doc.", "Other."))
    assert version(one) == version(other)


def test_the_module_a_function_is_in_does_not_count(package):
    called = "def rule(x):\n    return x * 2\n"
    caller = "def stage(x):\n    return rule(x)\n"
    together = package(a=called + caller)
    apart = package(a="from HERE.b import rule\n" + caller, b=called)
    assert version(together) == version(apart)


@pytest.mark.parametrize(
    "a",
    [
        "from HERE.b import rule\ndef stage(x):\n    return rule(x)\n",
        "from HERE.b import rule as r\ndef stage(x):\n    return r(x)\n",
        "from HERE import b\ndef stage(x):\n    return b.rule(x)\n",
        "import HERE.b as other\ndef stage(x):\n    return other.rule(x)\n",
        "from HERE.c import rule\ndef stage(x):\n    return rule(x)\n",
        "def stage(x):\n    from HERE.b import rule\n    return rule(x)\n",
        "from HERE.b import rule\nTABLE = {'r': rule}\ndef stage(x):\n    return TABLE['r'](x)\n",
        "from HERE.b import rule\ndef stage(x, by=rule):\n    return by(x)\n",
        "from HERE.b import rule\nclass C:\n    def f(self, x):\n        return rule(x)\n"
        "def stage(x: C):\n    return x\n",
        "from HERE.b import rule\ndef stage(x):\n    return [(lambda z: rule(z))(y) for y in x]\n",
    ],
    ids=[
        "name",
        "alias",
        "module",
        "dotted",
        "passed on",
        "inner import",
        "constant",
        "default",
        "class",
        "lambda",
    ],
)
def test_a_rule_is_reached_however_it_is_named(package, a):
    sources = {"c": "from HERE.b import rule\n", "a": a}
    one = package(b="LIMIT = 1\ndef rule(x):\n    return x > LIMIT\n", **sources)
    other = package(b="LIMIT = 2\ndef rule(x):\n    return x > LIMIT\n", **sources)
    assert {"rule", "LIMIT"} <= rules(one)
    assert version(one) != version(other)


def test_what_is_not_reached_does_not_count(package):
    a = "from HERE.b import rule\ndef stage(x):\n    return rule(x)\ndef near(x):\n    return {}\n"
    b = "def rule(x):\n    return x\ndef other(x):\n    return {}\n"
    one = package(a=a.replace("{}", "1"), b=b.replace("{}", "1"))
    other = package(a=a.replace("{}", "2"), b=b.replace("{}", "2"))
    assert version(one) == version(other)


def test_a_parameter_is_not_the_function_of_its_name(package):
    found = package(a="def rule(x):\n    return x\ndef stage(rule):\n    return rule\n")
    assert rules(found) == {"stage"}


def test_the_numbers_are_those_that_are_read(package):
    source = (
        "def stage(recipe, model, x):\n"
        "    model.generate('response', x, recipe, temperature=recipe.policy_temperature)\n"
        "    return recipe.seed, recipe.bound('min_score'), recipe.not_a_number\n"
    )
    assert package(a=source).numbers == {
        *("seed", "min_score", "policy_temperature", "response_max_tokens"),
    }


def test_a_function_within_another_is_refused(package):
    def inner():
        """Not at the top level."""

    with pytest.raises(LookupError, match="does not define inner"):
        dependencies(inner)


def response_scores():
    """Return the function of a stage."""
    return inspect.unwrap(responses.response_scores.op.compute_fn.decorated_fn)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The file of what was read, in a folder of its own, and a process that begins anew."""
    at_end = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(atexit, "register", at_end.append)

    def process():
        for keep in at_end:
            keep()
        at_end.clear()
        code_versions._kept.cache_clear()

    process()
    yield tmp_path / "autoif" / "code_versions.json", process
    process()


def test_what_was_kept_is_what_is_read(cache, monkeypatch):
    path, process = cache
    first = dependencies(response_scores())
    assert not path.exists()
    process()
    assert path.is_file()
    monkeypatch.setattr(code_versions, "_read", None)  # nothing is read any more
    assert dependencies(response_scores()) == first


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"fingerprint": 1}', None])
def test_a_damaged_file_and_other_source_are_read_anew(cache, monkeypatch, damage):
    path, process = cache
    first = dependencies(response_scores())
    process()
    if damage is None:
        monkeypatch.setattr(code_versions, "_fingerprint", lambda: "another")
    else:
        path.write_text(damage)
    read = code_versions._read
    asked = []
    monkeypatch.setattr(code_versions, "_read", lambda start: asked.append(start) or read(start))
    assert dependencies(response_scores()) == first
    assert len(asked) == 1


def test_a_folder_that_cannot_be_written_costs_time_alone(cache, monkeypatch):
    path, process = cache
    path.parent.parent.joinpath("autoif").write_text("a file is in the way")
    assert dependencies(response_scores()).rules
    process()
    assert dependencies(response_scores()).rules


def test_a_user_without_a_home_reads_each_time(cache, monkeypatch):
    _, process = cache
    monkeypatch.delenv("XDG_CACHE_HOME")

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert dependencies(response_scores()).rules
    process()
    assert dependencies(response_scores()).rules
