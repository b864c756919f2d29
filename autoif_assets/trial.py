"""A trial: a handful of instructions through every stage, in memory, before a batch is paid for.

The stages are those of a run, and so are the ids and the seeds of requests: of each instruction
nothing depends on how many others there are, but for the texts of others that its functions are
tried on. So the answers, which are journaled under the batch's name, are those that its run would
ask for, and are not asked for again. No table is read or written but to see what the batch is
pinned to and which seeds other batches have.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl

from autoif_assets import assets
from autoif_assets.assets.instructions import made_elsewhere
from autoif_assets.endpoint import Budget, BudgetSpent, EndpointSettings
from autoif_assets.inputs import InputError, read_seed_instructions, read_seed_queries
from autoif_assets.method.back_translation import nli_prompts, parse_nli
from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.gates import ACCEPTED, accepted
from autoif_assets.method.instructions import augment_instructions
from autoif_assets.method.recipe import Recipe
from autoif_assets.resources import NLI, Plan, SandboxResource, Session, recipe_of
from autoif_assets.resources.sandbox import SandboxSession
from autoif_assets.resources.session import journaled, sharing_of
from autoif_assets.resources.storage import configured_warehouse
from autoif_assets.resources.telling import asset_of
from autoif_assets.stage import as_stored, stages_of
from autoif_assets.warehouse import TABLES

DEFAULT_INSTRUCTIONS = 5
DEFAULT_REQUESTS = 20

# What an instruction goes through; self-instruct writes more of them, and needs none to begin with.
_THROUGH = (
    *("verifier_generation", "probe_texts", "verifier_repairs", "auditor_answers"),
    *("cross_validation", "back_translations", "verifier_audits", "verified_instructions"),
    *("augmented_queries", "responses", "response_verdicts", "response_scores"),
    *("filtered_queries", "sft_examples", "instruction_preference_pairs"),
    "query_preference_pairs",
)
# More of these would show nothing new: what is left is asked as the batch would ask it.
_LEAST = {
    "repair_rounds": 1,
    "repairs_per_instruction": 1,
    "audited_texts_per_instruction": 1,
    "back_translations_per_instruction": 1,
}
_LEAST_SCORES = 2
# What only a whole batch has.
_OF_A_BATCH: Mapping[str, Any] = {
    "queries_per_instruction": 1,
    "near_misses_per_prompt": 0,
    "further_responses_per_prompt": 0,
    "likelihood_of": "none",
    "ifd_min_quantile": 0.0,
    "ifd_max_quantile": 1.0,
    "ifd_below": None,
    "pair_order": "random",
}

# Number of the stage, how many there are, its name, and how far it is.
Report = Callable[[int, int, str, str], None]


@dataclass(frozen=True)
class Trial:
    """What came of a trial.

    Attributes:
        batch: Key of the batch whose run would go on with these answers.
        tables: Rows by table, as a batch would have them but for its key.
        whole: Ids of the instructions that went through every stage.
        wanted: How many were to.
        requests: Requests that were sent.
        most: Most that were to be.
        narrowed: Whether less was asked of each instruction than its batch would ask.
        needed: Requests that all wanted instructions would take at most, asked in the same way.
        in_full: Requests that they would take if nothing were left out.
        stopped: What the cap on requests stopped, in its own words; None where it stopped nothing.
        strange: Whether the seeds are other batches' already, so that this one would not have them.
    """

    batch: str
    tables: Mapping[str, pl.DataFrame]
    whole: Sequence[str]
    wanted: int
    requests: int
    most: int
    narrowed: bool
    needed: int
    in_full: int
    stopped: str | None
    strange: bool


def run_trial(
    plan: Plan,
    resources: Any,
    instructions: int = DEFAULT_INSTRUCTIONS,
    most_requests: int = DEFAULT_REQUESTS,
    report: Report = lambda number, of, stage, how: None,
) -> Trial:
    """Send a few instructions of a batch's seeds through every stage.

    As many go together as the requests are enough for; what these leave is for the next. Failed
    and cut-off answers stop nothing: they are what one wants to see.

    Args:
        plan: What the batch is pinned to, or would be.
        resources: Dagster's resources by name, as attributes.
        instructions: How many go, the first of the seeds that the batch would carry.
        most_requests: Cap on the requests, whatever the server refuses.
        report: Told what is being done.

    Raises:
        InputError: Seeds or queries cannot be used, or there are none.
        EndpointError: A server cannot be used.
    """
    run = _Run.of(plan, resources, most_requests)
    chosen, queries, strange = _inputs(plan, resources, run, instructions)
    asks_nli = resources.nli.asks
    in_full = run.recipe.model_copy(update=_OF_A_BATCH)
    needed_in_full = chosen.height * requests_each(in_full, asks_nli=asks_nli)
    narrowed = most_requests < needed_in_full
    if narrowed:
        run.recipe = _narrowed(in_full)
        run.scores = _LEAST_SCORES
    else:
        run.recipe = in_full
    each = requests_each(run.recipe, run.scores, asks_nli=asks_nli)
    waiting, stopped = chosen, None
    whole: list[str] = []
    made: list[dict[str, pl.DataFrame]] = []
    with resources.sandbox.session(None, run.recipe.modules) as sandbox:
        while waiting.height and stopped is None:
            fits = (most_requests - run.budget.spent.requests) // each
            if not fits and whole:
                break
            going, waiting = waiting.head(max(fits, 1)), waiting.slice(max(fits, 1))
            tables = {"augmented_instructions": going, **queries}
            made.append(tables)
            try:
                run.send_through(tables, sandbox, report)
                whole += going["instruction_id"].to_list()
            except BudgetSpent as error:
                stopped = str(error)
    names = dict.fromkeys(name for tables in made for name in tables)
    return Trial(
        plan.batch.batch,
        {name: pl.concat([t[name] for t in made if name in t]) for name in names},
        whole,
        chosen.height,
        run.budget.spent.requests,
        most_requests,
        narrowed,
        each * chosen.height,
        needed_in_full,
        stopped,
        strange,
    )


def requests_each(recipe: Recipe, scores: int | None = None, *, asks_nli: bool = True) -> int:
    """Return the most requests that one instruction takes, of a server that takes ``n``.

    Args:
        recipe: How much is asked for.
        scores: Responses that are scored, of those that pass and of those that fail; all if None.
        asks_nli: Whether a model behind an endpoint labels back-translations.
    """
    probes = bool(recipe.obeying_probes_per_instruction)
    # They are the responses to the prompt where as many are asked for.
    same = recipe.obeying_probes_per_instruction == recipe.responses_per_prompt
    functions = recipe.verifiers_per_instruction
    translated = min(recipe.back_translations_per_instruction or functions, functions)
    scored = recipe.responses_per_prompt
    if scores is not None:
        scored = min(scored, scores * (2 if recipe.score_failing else 1))
    return (
        1
        + recipe.boundary_cases
        + probes
        + bool(recipe.breaking_probes_per_instruction)
        + recipe.repair_rounds * recipe.repairs_per_instruction
        + recipe.audited_texts_per_instruction
        + translated * (2 if asks_nli else 1)
        + (not same)
        + scored
    )


def _narrowed(recipe: Recipe) -> Recipe:
    """Return a recipe that asks less of an instruction: the first of what it would ask."""
    given = {name: getattr(recipe, name) for name in _LEAST}
    least = {
        name: most if given[name] is None else min(given[name], most)
        for name, most in _LEAST.items()
    }
    return recipe.model_copy(update=least)


def _inputs(
    plan: Plan, resources: Any, run: "_Run", count: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame], bool]:
    """Return the instructions that go, the tables of seeds, and whether other batches have them."""
    inputs, recipe = resources.inputs, run.recipe
    check = partial(resources.sandbox.static_check, modules=recipe.modules)
    read = {
        "seed_instructions": read_seed_instructions(inputs.seeds, check),
        "seed_queries": read_seed_queries(
            inputs.queries,
            inputs.queries_column,
            recipe.query_min_chars,
            recipe.query_max_chars,
            keep=recipe.conversations == "keep",
        ),
    }
    tables = {name: as_stored(TABLES[name], rows) for name, rows in read.items()}
    batch, warehouse = plan.batch.batch, configured_warehouse(run.journals.parent)
    seeds = run.seeds(run.context("augmented_instructions"), *_accepted(tables))
    elsewhere = pl.DataFrame(schema={"instruction": pl.String, "category": pl.String})
    if warehouse.exists:
        elsewhere = made_elsewhere(warehouse, batch)
    nothing = pl.DataFrame(schema=COMPLETION_SCHEMA)
    rows = augment_instructions(nothing, seeds, elsewhere, recipe, batch)
    strange = accepted(rows).is_empty()
    if strange:
        free = recipe.model_copy(update={"seeds_per_batch": None})
        rows = augment_instructions(nothing, seeds, elsewhere.clear(), free, batch)
    carried = as_stored(TABLES["augmented_instructions"], rows).filter(status=ACCEPTED)
    if carried.is_empty():
        raise InputError("There is no seed instruction to try; see `autoif doctor`.")
    return carried.head(count), tables, strange


def _accepted(tables: Mapping[str, pl.DataFrame]) -> tuple[str, pl.DataFrame]:
    return "seed_instructions", accepted(tables["seed_instructions"])


@dataclass
class _Run:
    """What stages are given in the place of Dagster's context and resources."""

    plan: Plan
    recipe: Recipe
    resources: Any
    budget: Budget
    journals: Path
    scores: int | None = None
    run_id: str = field(default_factory=lambda: f"preview-{uuid.uuid4()}")

    @classmethod
    def of(cls, plan: Plan, resources: Any, most_requests: int) -> "_Run":
        """Begin; nothing is asked yet."""
        journals = Path(resources.warehouse.data_dir).expanduser().absolute() / "journals"
        return cls(plan, recipe_of(plan.batch), resources, Budget(most_requests), journals)

    def send_through(
        self, tables: dict[str, pl.DataFrame], sandbox: SandboxSession, report: Report
    ) -> None:
        """Add what the stages make to the tables, as far as they come.

        Raises:
            BudgetSpent: No more may be asked.
        """
        asked = {
            role: _Asked(getattr(self.resources, role), self)
            for role in ("supervision", "responder", "judge", "auditor")
        }
        given: dict[str, Any] = {
            **asked,
            "nli": _Labeller(self.resources.nli, self),
            "sandbox": _Sandbox(self.resources.sandbox, sandbox),
            "recipe": self.recipe,
            "batch": self,
        }
        stages = stages_of(assets.__name__)
        for number, name in enumerate(_THROUGH, 1):
            say = partial(report, number, len(_THROUGH), name)
            say("")
            shown = self._with_few_to_score(tables) if name == "response_scores" else tables
            context = self.context(name, say)
            tables.update(stages[name].on_frames(shown, {**given, "context": context}))

    def seeds(
        self, context: dg.AssetExecutionContext, table: str, rows: pl.DataFrame
    ) -> pl.DataFrame:
        """Return the seeds or queries that the batch is pinned to, as its resource does."""
        if self.plan.known is None or not self.plan.known.pinned:
            return rows
        found: pl.DataFrame = self.resources.batch.seeds(context, table, rows)
        return found

    def context(
        self, asset: str, say: Callable[[str], None] = lambda text: None
    ) -> dg.AssetExecutionContext:
        """Return what a stage takes for the context of its step."""
        stand_in: Any = SimpleNamespace(
            partition_key=self.plan.batch.batch,
            has_partition_key=True,
            log=SimpleNamespace(info=say, warning=say),
            run=SimpleNamespace(run_id=self.run_id, run_config={}),
            op_execution_context=SimpleNamespace(op=SimpleNamespace(name=asset)),
            # Nobody is shown metadata.
            assets_def=SimpleNamespace(keys_by_output_name={}),
        )
        return stand_in  # type: ignore[no-any-return]

    def _with_few_to_score(self, tables: Mapping[str, pl.DataFrame]) -> Mapping[str, pl.DataFrame]:
        """Leave out responses beyond the first of those that pass and of those that fail."""
        if self.scores is None:
            return tables
        texts = tables["responses"]
        place = texts.select("response_id", "prompt_id", "sample").unique("response_id")
        first = (
            tables["response_verdicts"]
            .join(place.drop("prompt_id"), on="response_id")
            .sort("prompt_id", "sample")
            .group_by("prompt_id", "status", maintain_order=True)
            .head(self.scores)
        )
        return {**tables, "responses": texts.join(first, on="response_id", how="semi")}


@dataclass(frozen=True)
class _Asked:
    """An endpoint as stages take it: asked and journaled as in a run, and no table is written."""

    endpoint: Any
    run: _Run

    @property
    def asks(self) -> bool:
        """Whether it asks an endpoint at all."""
        return bool(self.endpoint.asks)

    def session(
        self, context: dg.AssetExecutionContext, name: str = "model", also: Sequence[str] = ()
    ) -> AbstractContextManager[Session]:
        """Open the journal of a stage."""
        found: EndpointSettings = self.endpoint.settings()
        # Of so few answers a single one that is cut off would be too large a share.
        settings = found.model_copy(update={"max_failed_share": 1.0})
        run = self.run
        return journaled(
            *(context, settings, run.journals, run.budget, asset_of(context)),
            name=name,
            also=also,
            sharing=sharing_of(run.resources.warehouse.open(), context.log.warning),
        )


@dataclass(frozen=True)
class _Sandbox:
    """The sandbox as stages take it: opened once for all of them."""

    resource: SandboxResource
    opened: SandboxSession

    def session(
        self, context: dg.AssetExecutionContext, modules: Sequence[str] = ()
    ) -> AbstractContextManager[SandboxSession]:
        """Return the open sandbox, which has the recipe's modules."""
        return nullcontext(self.opened)

    def static_check(self, source: str, modules: Sequence[str] = ()) -> str | None:
        """Return why a source need not be run, or None."""
        return self.resource.static_check(source, modules)

    def modules_problem(self, modules: Sequence[str] = ()) -> str | None:
        """Return None: a sandbox that is open has its modules."""


class _Labeller(_Asked):
    """Who labels back-translations."""

    def label(
        self, context: dg.AssetExecutionContext, pairs: pl.DataFrame, recipe: Recipe
    ) -> pl.DataFrame:
        """Label pairs as `NLI.label` does."""
        nli: NLI = self.endpoint
        if not nli.asks:
            return nli.label(context, pairs, recipe)
        with self.session(context, "nli") as model:
            return model.read(parse_nli, model.generate("nli", nli_prompts(pairs, recipe), recipe))
