"""What a run would do to what its batch is pinned to, without running anything."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.recipe import NUMBERS, RECIPES
from autoif_assets.resources import (
    NLI,
    BatchResource,
    BudgetResource,
    RecipeResource,
    RoleEndpoint,
    Supervision,
    WarehouseResource,
)
from autoif_assets.resources.batch import _asked, asked_by, launched_with, recipe_of
from autoif_assets.warehouse import TABLES, Batch, Role, Warehouse, find_batch, save_batch
from autoif_assets_tests.warehouse.samples import sample

pytestmark = pytest.mark.slow

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path)


@pytest.fixture
def resource(tmp_path):
    """The resource of a run, of settings that its environment or configuration gives."""

    def made(overrides=None, name="paper", replace=False, **supervision):
        warehouse = WarehouseResource(data_dir=str(tmp_path))
        given = {"model": "m", "base_url": "http://h:1/v1", **supervision}
        model = Supervision(warehouse=warehouse, budget=BudgetResource(), **given)
        role = RoleEndpoint(supervision=model)
        return BatchResource(
            warehouse=warehouse,
            recipe=RecipeResource(name=name, overrides=overrides or {}),
            supervision=model,
            responder=role,
            judge=role,
            auditor=role,
            nli=NLI(supervision=model),
            replace=replace,
        )

    return made


@pytest.fixture
def pinned(warehouse, resource):
    """A batch with rows that was pinned to four responses a prompt."""
    batch = resource({"responses_per_prompt": 4}).plan("b1").batch
    batch = replace(batch, created_at=LONG_AGO, seeds_hash="s", queries_hash="q")
    save_batch(warehouse, batch)
    warehouse.write("responses", sample(TABLES["responses"], 3, batch="b1"), {"batch": "b1"})
    return batch


def test_a_new_batch_takes_what_the_run_says(resource):
    plan = resource({"responses_per_prompt": 4}).plan("b1")
    assert plan.refusal is None
    assert recipe_of(plan.batch).responses_per_prompt == 4
    assert [role.model for role in plan.batch.roles] == ["m"] * 5
    assert plan.batch.simulated is False
    assert resource(model="autoif-simulator").plan("b1").batch.simulated


def test_an_environment_does_not_count(pinned, resource):
    plan = resource({"responses_per_prompt": 7, "min_score": "> 8"}, "authors_code").plan("b1")
    assert plan.refusal is None
    assert recipe_of(plan.batch).responses_per_prompt == 4
    assert "responses_per_prompt 7 instead of 4" in plan.ignored


def test_what_a_run_says_itself_is_refused_where_it_differs(pinned, resource):
    same = resource().plan("b1", {"name": "paper", "overrides": {"responses_per_prompt": 4}})
    assert same.refusal is None
    other = resource().plan("b1", {"overrides": {"responses_per_prompt": 5, "spin_pairs": True}})
    assert other.refusal.startswith("The batch b1 is pinned to another recipe than this run asks")
    assert "responses_per_prompt 5 instead of 4; spin_pairs true instead of false." in other.refusal
    named = resource().plan("b1", {"name": "authors_code"})
    assert named.differences == ("the recipe authors_code instead of paper",)


@pytest.fixture
def older(warehouse, resource):
    """A batch with rows that was pinned before queries were divided."""
    batch = resource().plan("b1").batch
    numbers = {name: value for name, value in batch.numbers.items() if name != "split_queries"}
    batch = replace(batch, numbers=numbers, created_at=LONG_AGO, seeds_hash="s", queries_hash="q")
    save_batch(warehouse, batch)
    warehouse.write("responses", sample(TABLES["responses"], 3, batch="b1"), {"batch": "b1"})
    return batch


def test_what_was_made_before_queries_were_divided_keeps_its_prompts(older, resource):
    plan = resource().plan("b1")
    assert plan.batch == older
    assert not recipe_of(plan.batch).split_queries
    assert (plan.refusal, plan.ignored) == (None, ())
    # Nor does who replaces it for another number's sake pay for other prompts by the way.
    other = {"min_score": ">= 9"}
    stricter = resource(other, replace=True).plan("b1", {"overrides": other})
    assert stricter.differences == ("min_score >= 9 instead of >= 8",)
    assert not recipe_of(stricter.batch).split_queries
    assert not resource(replace=True).plan("b1").discards


def test_who_says_so_divides_the_queries_of_an_older_batch(older, resource, monkeypatch):
    asked = {"split_queries": True}
    refused = resource(asked).plan("b1", {"overrides": asked})
    assert "split_queries true instead of false" in refused.refusal
    replaced = resource(asked, replace=True).plan("b1", {"overrides": asked})
    assert replaced.discards
    assert recipe_of(replaced.batch).split_queries
    monkeypatch.setenv("AUTOIF_OVERRIDES", '{"split_queries": true}')
    assert recipe_of(resource(replace=True).plan("b1").batch).split_queries
    assert resource().plan("b1").ignored == ("split_queries true instead of false",)


def test_a_new_batch_divides_its_queries(resource):
    assert recipe_of(resource().plan("b2").batch).split_queries


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "n"}, "the model of supervision n instead of m"),
        ({"system_prompt": "Hi."}, 'the settings of judge {"system_prompt": "Hi."} instead of'),
        ({"temperature": 0.1}, 'the settings of nli {"temperature": 0.1} instead of'),
    ],
)
def test_another_model_is_refused(pinned, resource, settings, words):
    assert words in resource(**settings).plan("b1").refusal


def test_a_model_may_move_and_need_not_be_named(pinned, resource):
    plan = resource(base_url="http://other:2/v1").plan("b1")
    assert plan.refusal is None
    assert "judge is at http://other:2/v1, and was at http://h:1/v1" in plan.moved
    # A replica that is added is such a move.
    plan = resource(base_url="http://h:1/v1, http://other:2/v1?key=sk").plan("b1")
    assert plan.refusal is None
    assert "judge is at http://h:1/v1,http://other:2/v1, and was at http://h:1/v1" in plan.moved
    # Nobody is asked where nobody is named.
    assert resource(model="").plan("b1").refusal is None


def test_keys_are_in_nothing_that_is_pinned(resource, monkeypatch):
    monkeypatch.setenv("SECRET", "sk-secret")
    url = "http://h:1/v1?key=sk-secret"
    batch = resource(base_url=url, api_key_variable="SECRET").plan("b1").batch
    assert "secret" not in repr(batch).lower()


def test_who_says_so_replaces_it_and_once_only(pinned, warehouse, resource):
    run = resource({"responses_per_prompt": 5}, replace=True)
    plan = run.plan("b1", {"overrides": {"responses_per_prompt": 5}})
    assert plan.discards
    assert plan.refusal is None
    save_batch(warehouse, plan.batch, discard=True)
    warehouse.write("responses", sample(TABLES["responses"], 3, batch="b1"), {"batch": "b1"})
    # The same run started again goes on.
    assert not run.plan("b1", {"overrides": {"responses_per_prompt": 5}}).discards


def test_a_first_run_that_made_nothing_binds_nobody(warehouse, resource):
    mistaken = replace(resource(model="mispelt").plan("b1").batch, created_at=LONG_AGO)
    save_batch(warehouse, replace(mistaken, excluded=True))
    plan = resource({"responses_per_prompt": 5}).plan("b1")
    assert plan.refusal is None
    assert plan.batch.roles[0].model == "m"
    assert plan.batch.excluded


def test_a_batch_of_an_older_version_is_what_its_calls_and_its_last_run_tell(warehouse, resource):
    calls = sample(TABLES["llm_calls"], 2, batch="b1", asset="responses").with_columns(
        request=pl.lit('{"n": 3}')
    )
    warehouse.write("llm_calls", calls, {"batch": "b1", "asset": "responses"})
    old = Batch("b1", roles=(Role("responder", "old"),), created_at=LONG_AGO, remark="made before")
    save_batch(warehouse, old)
    told = {"overrides": {"min_score": ">= 9"}}
    plan = resource({"spin_pairs": True}, model="old").plan("b1", {}, told)
    assert plan.refusal is None
    recipe = recipe_of(plan.batch)
    assert (recipe.responses_per_prompt, recipe.min_score, recipe.spin_pairs) == (3, ">= 9", True)
    assert not recipe.split_queries
    assert plan.batch.created_at == LONG_AGO
    asked = resource(model="old").plan("b1", {"overrides": {"responses_per_prompt": 8}}, told)
    assert "responses_per_prompt 8 instead of 3" in asked.refusal
    assert "the model of responder m instead of old" in resource().plan("b1").refusal
    assert find_batch(warehouse, "b1") == old


@pytest.mark.parametrize(
    ("tags", "who"),
    [
        ({"autoif/pid": "7"}, "command line"),
        ({"dagster/schedule_name": "nightly_batch"}, "schedule nightly_batch"),
        ({"dagster/backfill": "abc"}, "backfill"),
        ({}, "UI"),
    ],
)
def test_who_asked(tags, who):
    assert asked_by(tags) == who


def test_the_categories_that_a_batch_asks_for_stay_those_of_its_first_run(
    warehouse, resource, pinned
):
    context = dg.build_asset_context(partition_key="b1")
    assert resource().categories(context, None) == ()
    assert find_batch(warehouse, "b1") == pinned
    assert list(resource().categories(context, ["length", "casing"])) == ["length", "casing"]
    assert list(resource().categories(context, ["script"])) == ["length", "casing"]
    assert list(find_batch(warehouse, "b1").categories) == ["length", "casing"]
    assert resource().categories(context, None) == ()


def test_that_nothing_was_scarce_is_kept_as_well(resource, pinned):
    context = dg.build_asset_context(partition_key="b1")
    assert list(resource().categories(context, [])) == []
    assert list(resource().categories(context, ["script"])) == []


@given(st.data())
def test_a_run_that_is_launched_as_pinned_asks_for_nothing_else(data):
    """Whatever the settings are by then, which count for new batches alone."""
    name = data.draw(st.sampled_from(sorted(RECIPES)))
    pinned = Batch("b", name, recipe_numbers(data, name))
    here = recipe_numbers(data, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOIF_OVERRIDES", json.dumps(here))
        given_ = launched_with(pinned)["resources"]["recipe"]["config"]
        asked = RecipeResource(**given_).load()
    kept = recipe_of(pinned)
    assert {n: getattr(asked, n) for n in NUMBERS} == {n: getattr(kept, n) for n in NUMBERS}
    assert _asked(pinned, given_) == []


def recipe_numbers(data, name):
    """Numbers of a recipe that other recipes have, which are in range."""
    others = [one.model_dump() for one in RECIPES.values()]
    chosen = data.draw(st.sets(st.sampled_from(NUMBERS)))
    numbers = {n: data.draw(st.sampled_from([one[n] for one in others])) for n in chosen}
    return {**numbers, "responses_per_prompt": data.draw(st.integers(1, 20))}
