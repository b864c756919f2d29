"""A batch's recipe: pinned by its first run, and used by every later one, whoever starts it."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.storage.tags import PARTITION_NAME_TAG
from pydantic import Field, PrivateAttr

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.endpoint.settings import public
from autoif_assets.method.names import check_name
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import BEFORE, NUMBERS, Recipe, make_recipe
from autoif_assets.nli import DEFAULT_MODEL
from autoif_assets.resources.failures import failure
from autoif_assets.resources.models import RoleEndpoint, Supervision
from autoif_assets.resources.nli import NLI
from autoif_assets.resources.recipe import RecipeResource
from autoif_assets.resources.settings import settings
from autoif_assets.resources.warehouse import WarehouseResource, keys_of
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.warehouse import (
    Batch,
    Role,
    Warehouse,
    content_hash,
    find_batch,
    keep_inputs,
    paid_calls,
    pinned_inputs,
    rows_of_batch,
    save_batch,
)
from autoif_assets.warehouse.batches import content_columns, told_by_calls

_SEED_TABLES = ("seed_instructions", "seed_queries")
# Tags of Dagster's and of our own command, and who asked for a run that has them.
_ASKED_BY = (
    ("dagster/schedule_name", "schedule {}"),
    ("dagster/sensor_name", "sensor {}"),
    ("autoif/pid", "command line"),
    ("dagster/backfill", "backfill"),
)


@dataclass(frozen=True)
class Plan:
    """What a run of a batch would do to what it is pinned to.

    Attributes:
        known: What is known of the batch, if anything.
        batch: What the run would use, and pin if nothing is.
        differences: What it asks for that is not as pinned, each in a few words.
        ignored: What its environment says of the recipe otherwise, which does not count.
        moved: Where the same models are asked at another place than before, which is allowed.
        discards: Whether it would discard what was made.
    """

    known: Batch | None
    batch: Batch
    differences: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    discards: bool = False

    @property
    def refusal(self) -> str | None:
        """Why the run is refused, if it is."""
        if not self.differences or self.discards:
            return None
        return (
            f"The batch {self.batch.batch} is pinned to another recipe than this run asks for: "
            f"{'; '.join(self.differences)}. Leave that out to go on with what is pinned, take "
            "another batch, or discard what was made and make it anew: --replace, in the "
            "Launchpad `resources: {batch: {config: {replace: true}}}`."
        )


class BatchResource(dg.ConfigurableResource[Any]):
    """What the batch of a run is pinned to; a run of no batch has the recipe of its settings."""

    warehouse: dg.ResourceDependency[WarehouseResource]
    recipe: dg.ResourceDependency[RecipeResource]
    supervision: dg.ResourceDependency[Supervision]
    responder: dg.ResourceDependency[RoleEndpoint]
    judge: dg.ResourceDependency[RoleEndpoint]
    auditor: dg.ResourceDependency[RoleEndpoint]
    nli: dg.ResourceDependency[NLI]
    replace: bool = Field(
        default=False,
        description="Discard what the batch holds and make it anew, if this run asks for another "
        "recipe or model than its first run pinned. Answers in the journals are not paid again.",
    )
    _said: set[str] = PrivateAttr(default_factory=set)
    # By run: what is pinned does not change while it lasts.
    _loaded: dict[str, Recipe] = PrivateAttr(default_factory=dict)

    def load(self, context: dg.AssetExecutionContext) -> Recipe:
        """Return the recipe of the run's batch, and pin it where that was not done yet.

        Raises:
            dg.Failure: The run asks for another recipe or model than is pinned, or its recipe or
                a new batch's name does not do.
        """
        keys = _keys(context)
        if "batch" not in keys:
            return self.recipe.load()
        if found := self._loaded.get(context.run.run_id):
            return found
        given = _given(context.run.run_config)
        if "policy" in keys:
            return self._of_round(keys["batch"], given)
        try:
            plan = self.plan(keys["batch"], given, _history(context))
            if plan.known is None:
                # The UI's own list of batches takes any name, where its storage is not ours.
                check_name(keys["batch"], "batch", "batch-1")
        except ValueError as error:
            raise failure(error) from error
        if plan.refusal is not None:
            raise failure(plan.refusal)
        if plan.ignored:
            self._say(
                context,
                f"{plan.batch.batch} keeps what it is pinned to; the settings of this run's "
                f"environment do not count: {'; '.join(plan.ignored)}.",
            )
        if self.replace and not plan.discards and plan.batch.created_at is not None:
            self._say(
                context,
                f"{plan.batch.batch} is not replaced, for this run asks for what it is pinned to.",
            )
        if plan.moved:
            self._say(context, f"{plan.batch.batch}: {'; '.join(plan.moved)}.")
        # Seeds are read before, for they are part of what is pinned.
        recipe = recipe_of(plan.batch)
        if context.assets_def.partitions_def is not None:
            self._pin(context, plan)
            self._loaded[context.run.run_id] = recipe
        return recipe

    def plan(
        self,
        batch: str,
        given: Mapping[str, Any] | None = None,
        history: Mapping[str, Any] | None = None,
    ) -> Plan:
        """Say what a run would do to what a batch is pinned to.

        Args:
            batch: Key of the batch.
            given: What the run's configuration says of the recipe: ``name`` and ``overrides``.
            history: The same of the last run that made the batch, where nothing is pinned yet.
        """
        warehouse = self.warehouse.open()
        given = dict(given or {})
        known = find_batch(warehouse, batch) if warehouse.exists else None
        wanted = self._wanted(batch)
        made = was_made(warehouse, batch)
        if known is not None:
            wanted = replace(wanted, excluded=known.excluded)
        if known is None or not made:
            return Plan(known, wanted)
        base = known if known.pinned else self._assumed(known, wanted, given, history or {})
        wanted = replace(wanted, numbers={**(wanted.numbers or {}), **self._unsaid(base)})
        models, elsewhere = _other_roles(base.roles, wanted.roles)
        numbers = _differences(recipe_of(base), recipe_of(wanted))
        asked = numbers if self.replace else _asked(base, given)
        # Of what was made before recipes were pinned, only what the run itself says can be other.
        differences = (*asked, *models)
        if self.replace and differences:
            return Plan(known, wanted, differences, discards=True)
        ignored = tuple(text for text in numbers if text not in asked)
        return Plan(known, base, differences, ignored, tuple(elsewhere))

    def seeds(
        self, context: dg.AssetExecutionContext, table: str, rows: pl.DataFrame
    ) -> pl.DataFrame:
        """Return the seeds or queries that the run's batch is pinned to.

        Args:
            context: The asset that reads them.
            table: ``seed_instructions`` or ``seed_queries``.
            rows: Its accepted rows as they are now.

        Raises:
            dg.Failure: They are nowhere any more.
        """
        warehouse = self.warehouse.open(context.log.info)
        batch = _keys(context)["batch"]
        known = find_batch(warehouse, batch) or Batch(batch)
        of = known.seeds_hash if table == "seed_instructions" else known.queries_hash
        found = pinned_inputs(warehouse, table, rows, of)
        if found is None:
            raise failure(
                f"The {table} that {batch} is pinned to (hash {of}) are neither in the files nor "
                f"kept. Point the inputs at the files it was made with, or remake it with those "
                f"of today: autoif batch remake {batch}."
            )
        if found is not rows:
            self._say(context, f"{batch} is made of the {table} that it is pinned to.")
        return found

    def categories(
        self, context: dg.AssetExecutionContext, now: Sequence[str] | None
    ) -> Sequence[str]:
        """Return the categories that the run's batch asks for, and pin them at the first time.

        Other batches change what is scarce: a batch that is made again is asked the same.

        Args:
            context: The asset that asks.
            now: Those that are scarce now; null where none are asked for.
        """
        if now is None:
            return ()
        warehouse = self.warehouse.open(context.log.info)
        known = find_batch(warehouse, _keys(context)["batch"])
        if known is None:
            return now
        if known.categories is None:
            known = replace(known, categories=now)
            save_batch(warehouse, known)
        return known.categories or ()

    def keep(self, context: dg.AssetExecutionContext, table: str, rows: pl.DataFrame) -> None:
        """Put seeds or queries aside that batches are pinned to, before ``rows`` replace them."""
        keep_inputs(self.warehouse.open(context.log.info), table, rows)

    def _of_round(self, batch: str, given: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a policy's round: the batch's, but for what the run itself says."""
        warehouse = self.warehouse.open()
        known = find_batch(warehouse, batch) if warehouse.exists else None
        if known is None or not known.pinned:
            return self.recipe.load()
        try:
            return recipe_of(known, given.get("overrides") or {})
        except ValueError as error:
            raise failure(error) from error

    def _wanted(self, batch: str) -> Batch:
        """Return what a first run of these settings would pin."""
        self.nli.check()
        roles = (
            _role("supervision", self.supervision.settings()),
            _role("responder", self.responder.settings()),
            _role("judge", self.judge.settings()),
            _role("auditor", self.auditor.settings()),
            Role("nli", self.nli.model or DEFAULT_MODEL)
            if self.nli.by == "transformers"
            else _role("nli", self.nli.settings()),
        )
        synthetic = SimulatorSettings().models
        return Batch(
            batch,
            recipe=self.recipe.name,
            numbers=_pinned_numbers(self.recipe.load()),
            roles=roles,
            simulated=any(role.model in synthetic for role in roles),
        )

    def _unsaid(self, made: Batch) -> dict[str, Any]:
        """Return what a batch keeps to where nobody says otherwise: numbers that came after it."""
        said = {**settings().overrides, **self.recipe.overrides}
        recipe = recipe_of(made)
        return {name: getattr(recipe, name) for name in BEFORE if name not in said}

    def _assumed(
        self, known: Batch, wanted: Batch, given: Mapping[str, Any], history: Mapping[str, Any]
    ) -> Batch:
        """Return what a batch was made by, as far as its calls and its last run tell."""
        told = told_by_calls(self.warehouse.open(), known.batch)
        name, numbers = str(history.get("name") or wanted.recipe), wanted.numbers or {}
        if name == "audited":
            # It came after pins: nothing unpinned was made by it.
            name = "paper"
            numbers = _pinned_numbers(make_recipe(name, self.recipe.overrides))
        numbers = {
            **numbers,
            **(make_recipe(name).model_dump() if history.get("name") else {}),
            **BEFORE,
            **(history.get("overrides") or {}),
            **told,
        }
        theirs = {role.role: role for role in known.roles}
        roles = tuple(theirs.get(role.role, role) for role in wanted.roles)
        recipe = make_recipe(name, numbers)
        return replace(known, recipe=name, numbers=_pinned_numbers(recipe), roles=roles)

    def _pin(self, context: dg.AssetExecutionContext, plan: Plan) -> None:
        known, batch = plan.known, plan.batch
        complete = known is not None and known.pinned and known.seeds_hash and known.queries_hash
        if complete and batch == known:
            return
        warehouse = self.warehouse.open(context.log.info)
        hashes = {
            table: content_hash(
                table,
                warehouse.read(table, columns=content_columns(table), where_status="accepted"),
            )
            for table in _SEED_TABLES
        }
        remark = batch.remark
        if known is not None and not known.pinned and batch.numbers and known.remark:
            remark = f"{known.remark}, its recipe and inputs those of the first run since"
            self._say(context, f"{batch.batch} is pinned now: it was {remark}.")
        if plan.discards:
            self._say(context, f"{batch.batch}: {discarded(warehouse, batch.batch)}")
        save_batch(
            warehouse,
            replace(
                batch,
                prompts_hash=batch.prompts_hash or prompts_hash(recipe_of(batch).prompts),
                seeds_hash=batch.seeds_hash or hashes["seed_instructions"],
                queries_hash=batch.queries_hash or hashes["seed_queries"],
                created_at=batch.created_at or datetime.now(UTC),
                asked_by=batch.asked_by or asked_by(context.run.tags),
                remark=remark,
            ),
            discard=plan.discards,
        )

    def _say(self, context: dg.AssetExecutionContext, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            context.log.warning(text)


def recipe_of(batch: Batch, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe that a batch is pinned to; numbers that came later are as in `BEFORE`.

    Those that are not there either are the recipe's own.
    """
    numbers = {n: v for n, v in (batch.numbers or {}).items() if n in Recipe.model_fields}
    return make_recipe(_recipe_name(batch), {**BEFORE, **numbers, **(overrides or {})})


def _recipe_name(batch: Batch) -> str:
    """Return the recipe's name; before there were others it was the paper's."""
    return batch.recipe or "paper"


def was_made(warehouse: Warehouse, batch: str) -> bool:
    """Whether a batch holds anything: what pinned one that does not was perhaps a mistake."""
    return bool(rows_of_batch(warehouse, batch) or paid_calls(warehouse, batch)[0])


def launched_with(batch: Batch) -> dict[str, Any]:
    """Return the configuration of a run that asks for what a batch is pinned to.

    The recipe by its name, and the numbers that are not as the recipe or the settings have them.
    """
    recipe = recipe_of(batch)
    name = _recipe_name(batch)
    usual, here = make_recipe(name), make_recipe(name, settings().overrides)
    numbers = {
        number: value
        for number in NUMBERS
        if (
            (value := getattr(recipe, number)) != getattr(usual, number)
            or value != getattr(here, number)
        )
        # The configuration of a run is JSON. What it does not say is as pinned all the same.
        and not (isinstance(value, float) and not math.isfinite(value))
    }
    config = {"name": name, "overrides": numbers} if numbers else {"name": name}
    return {"resources": {"recipe": {"config": config}}}


def all_prompts(recipe: Recipe) -> dict[str, str]:
    """Return every template by role, those that the recipe does not replace as packaged."""
    return {role: prompt.of(recipe.prompts).source for role, prompt in PROMPTS.items()}


def prompts_hash(replaced: Mapping[str, str]) -> str:
    """Hash the prompts with their schemas."""
    prompts = [one.of(replaced) for one in PROMPTS.values()]
    text = json.dumps({one.role: [one.source, one.schema] for one in prompts})
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _pinned_numbers(recipe: Recipe) -> dict[str, Any]:
    """Return what is pinned of a recipe: also the packaged prompts, which may change later on."""
    return {**recipe.model_dump(), "prompts": all_prompts(recipe)}


def asked_by(tags: Mapping[str, str]) -> str:
    """Say who asked for a run, from its tags."""
    return next((who.format(tags[tag]) for tag, who in _ASKED_BY if tag in tags), "UI")


def discarded(warehouse: Warehouse, batch: str) -> str:
    """Say in a sentence what replacing a batch discards."""
    rows = rows_of_batch(warehouse, batch)
    calls, cost = paid_calls(warehouse, batch)
    paid = f"{calls:,} paid calls" + (f" (cost {cost:,.2f})" if cost else "")
    return (
        f"{sum(rows.values()):,} rows of {len(rows)} tables are discarded, which took {paid}; "
        "answers stay in the journals, and what is asked in the same way is not paid again."
    )


def _role(role: str, settings: EndpointSettings) -> Role:
    further = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    further = {name: value for name, value in further.items() if value is not None}
    shown = json.dumps({**settings.call_parameters(), **further}, sort_keys=True)
    return Role(role, settings.model, public(settings.base_url), shown)


def _other_roles(pinned: Sequence[Role], wanted: Sequence[Role]) -> tuple[list[str], list[str]]:
    """Return in which roles another model is asked, and in which the same at another place."""
    now = {role.role: role for role in wanted}
    other, moved = [], []
    for role in pinned:
        one = now.get(role.role)
        # Where no model is named, none is asked.
        if one is None or not one.model or not role.model:
            continue
        if one.model != role.model:
            other.append(f"the model of {role.role} {one.model} instead of {role.model}")
        elif one.settings != role.settings and role.settings != "{}":
            other.append(f"the settings of {role.role} {one.settings} instead of {role.settings}")
        elif one.settings != role.settings:
            other.append(f"the settings of {role.role} {one.settings} instead of none")
        elif one.base_url != role.base_url:
            moved.append(f"{role.role} is at {one.base_url}, and was at {role.base_url}")
    return other, moved


def _differences(pinned: Recipe, wanted: Recipe) -> list[str]:
    numbers = [
        f"{name} {_shown(getattr(wanted, name))} instead of {_shown(getattr(pinned, name))}"
        for name in NUMBERS
        if getattr(pinned, name) != getattr(wanted, name)
    ]
    before, now = all_prompts(pinned), all_prompts(wanted)
    return numbers + [f"another {role} prompt" for role in now if before[role] != now[role]]


def _asked(pinned: Batch, given: Mapping[str, Any]) -> list[str]:
    """Return what a run's own configuration says of the recipe that is not as pinned."""
    name, overrides = given.get("name"), given.get("overrides") or {}
    differences = []
    if isinstance(name, str) and name != _recipe_name(pinned):
        differences.append(f"the recipe {name} instead of {pinned.recipe}")
    return differences + _differences(recipe_of(pinned), recipe_of(pinned, overrides))


def _shown(value: object) -> str:
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _keys(context: dg.AssetExecutionContext) -> dict[str, str]:
    return keys_of(context.partition_key) if context.has_partition_key else {}


def _given(run_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a run's configuration says of the recipe."""
    recipe = (run_config.get("resources") or {}).get("recipe") or {}
    return recipe.get("config") or {}


def _history(context: dg.AssetExecutionContext) -> Mapping[str, Any]:
    """Return what the last run that made the batch said of the recipe."""
    of_batch = dg.RunsFilter(
        tags={PARTITION_NAME_TAG: context.partition_key}, statuses=[dg.DagsterRunStatus.SUCCESS]
    )
    runs = context.instance.get_runs(of_batch, limit=1)
    return _given(runs[0].run_config) if runs else {}
