"""A stage: one asset with all that is said of it in one place, where it is defined.

What a stage reads, the tables it fills and its group are stated; the rest follows from that, from
the declarations of the tables, and from the stage's own function::

    @stage(
        "response_verdicts",
        group="responses",
        parts={
            "candidates": accepted("responses", "response_id", "instruction_id", "response"),
            "verifiers": accepted("verifiers", "verifier_id", "instruction_id", "source"),
        },
    )
    def response_verdicts(
        context: dg.AssetExecutionContext, parts: Parts, sandbox: SandboxResource, recipe: Recipe
    ) -> Frames:
        with sandbox.session(context) as session:
            for candidates, verifiers in parts:
                yield verify_responses(candidates, session.run(...), recipe)

==================  ============================================================================
description         the table's, with the paper's rule and section
columns, lineage    the table's
partitions          the table's; an upstream table with fewer is read by those it has
checks              those of the table's declaration (`checks.checks_of`), and the stage's own
kinds, pool         from the resources that the function takes
code version        from the rules, prompts and numbers that the function reaches
                    (`code_versions`)
owners, tags        the same for all
==================  ============================================================================
"""

import inspect
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, get_type_hints

import dagster as dg
import polars as pl

from autoif_assets.automation.partitions import (
    PARTITIONS,
    partition_mapping,
    partitions_read,
    run_keys,
    slices_of,
)
from autoif_assets.automation.schedules import MADE_NIGHTLY
from autoif_assets.checks import Check, CheckContext, Finding, checks_of
from autoif_assets.code_versions import dependencies
from autoif_assets.endpoint import EndpointError
from autoif_assets.inputs import InputError
from autoif_assets.method import prompts
from autoif_assets.method.gates import ACCEPTED
from autoif_assets.method.guard import UnreadableRows
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import Recipe, RecipeError
from autoif_assets.reports import report_url
from autoif_assets.resources import (
    BatchResource,
    RecipeResource,
    RoleEndpoint,
    SandboxResource,
    SettingsError,
    Supervision,
    WarehouseResource,
    failure,
    settings,
    table_schema,
)
from autoif_assets.warehouse import (
    TABLES,
    Partition,
    Rows,
    Table,
    Warehouse,
    WarehouseError,
    empty_frame,
    polars_schema,
)
from autoif_assets.warehouse.schema import as_declared

Frames = Generator[pl.DataFrame]
"""The rows a stage makes part by part, without the columns of its partition."""

# What is wrong with a recipe, a file, a setting, an endpoint or the folder: words for people.
_MISTAKES = (
    *(UnreadableRows, RecipeError, SettingsError, InputError),
    *(EndpointError, WarehouseError),
)
# Pool of every asset that asks a model; its limit is in dagster.yaml. They have no retry policy:
# the client retries what may pass, and Dagster would try again what a person has cancelled.
_ENDPOINT_POOL = "endpoint"
_SET = settings()  # what the definitions say of themselves, when they are loaded
_PAPER = "https://arxiv.org/abs/2406.13542"


@dataclass(frozen=True)
class Parts:
    """The rows a stage reads part by part.

    Iterating yields tuples: one frame for each of the stage's ``parts``, in their order.
    """

    warehouse: Warehouse
    rows: Sequence[Rows]
    on: str
    size: int

    def __iter__(self) -> Iterator[tuple[pl.DataFrame, ...]]:
        """Read, part by part."""
        return self.warehouse.read_parts(*self.rows, on=self.on, rows=self.size)


def accepted(table: str, *columns: str) -> Rows:
    """Read columns of the accepted rows of a table; only these leave the database."""
    return Rows(table, columns, ACCEPTED)


def rows(table: str, *columns: str) -> Rows:
    """Read columns of all rows of a table."""
    return Rows(table, columns)


def stage(
    *tables: str,
    group: str,
    reads: Mapping[str, Rows] | None = None,
    parts: Mapping[str, Rows] | None = None,
    parts_on: str = "instruction_id",
    part_rows: int = 50_000,
    after: Iterable[str] = (),
    checks: Iterable[Callable[[Table], Check] | Check] = (),
    shows: Callable[[Warehouse, Partition], Mapping[str, Any]] | None = None,
    description: str = "",
    kinds: Iterable[str] = (),
    partitions: dg.PartitionsDefinition[str] | None = None,
    follows: dg.AutomationCondition[Any] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset of a function, or one for each table that it fills at once.

    The function takes its ``reads`` by name, as frames; ``parts``, an iterator; ``context``;
    ``config``; and resources by name, of which `Recipe` and `Warehouse` come as the core objects.
    It returns a frame, a tuple with a frame for each table, or a ``MaterializeResult``, or it is
    a generator of frames, for more rows than fit into memory. The columns of the partition are
    added to frames.

    Args:
        tables: The tables it fills; none for an asset that has no table, which needs a
            ``description`` and ``kinds``.
        group: Where Dagster shows it.
        reads: Parameter → rows that are read as a whole.
        parts: Name → rows that are read part by part, in the order of the iterator's tuples.
        parts_on: Column whose ranges of values the parts are.
        part_rows: Rows of the largest table in a part, on average.
        after: Assets that it comes after without being given their rows.
        checks: Checks beside those that follow from the tables' declarations.
        shows: Metadata that is told from what was stored, of a stage that makes its rows in parts.
        description: What an asset without a table is.
        kinds: What an asset without a table makes.
        partitions: Those of an asset without a table.
        follows: When Dagster makes it by itself.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        declared = [TABLES[name] for name in tables]
        own = [check if isinstance(check, Check) else check(declared[0]) for check in checks]
        checks_by_asset = {table.name: [*checks_of(table), *own] for table in declared}
        one = Stage(
            function,
            declared,
            dict(reads or {}),
            dict(parts or {}),
            parts_on,
            part_rows,
            checks_by_asset or {function.__name__: own},
            shows,
        )
        partitioned = PARTITIONS[declared[0].partitions] if declared else partitions
        # The numbers of a batch are pinned: no environment makes it stale.
        recipe = None if one.batched else _SET.make_recipe()
        facts: dict[str, Any] = {
            "code_version": one.depends_on.code_version(recipe),
            "owners": ["team:autoif"],
            "automation_condition": follows,
            "freshness_policy": MADE_NIGHTLY if follows else None,
        }
        common: dict[str, Any] = {
            "ins": one.inputs(partitioned),
            "deps": one.deps(after, partitioned),
            "partitions_def": partitioned,
            "group_name": group,
            "pool": _ENDPOINT_POOL if one.asks else None,
            "check_specs": one.check_specs(),
        }
        made: dg.AssetsDefinition
        if len(declared) > 1:
            outs = {table.name: dg.AssetOut(**facts, **one.shown(table)) for table in declared}
            made = dg.multi_asset(name=function.__name__, outs=outs, **common)(one.compute())
        elif declared:
            facts |= one.shown(declared[0])
            made = dg.asset(name=declared[0].name, **facts, **common)(one.compute())
        else:
            told = "\n\n".join(filter(None, (description, _docs_link("exports/"))))
            facts |= {"description": told, "kinds": set(kinds)}
            facts |= {"metadata": one.shown_source()}
            made = dg.asset(name=function.__name__, **facts, **common)(one.compute())
        # One run a batch: in Dagster's runs of several, an asset is one step for all of them.
        # Where one batch fails, none of these is made, and none can be repaired alone.
        policy = dg.BackfillPolicy.multi_run(1) if partitioned else None
        _STAGES[function.__module__, made.op.name] = one
        return made.with_attributes(backfill_policy=policy)

    return decorate


def _docs_link(page: str) -> str:
    """Return a link to a page of the documentation, in Markdown; empty where nobody serves it."""
    site = _SET.docs_url
    return f"[In the documentation]({site.rstrip('/')}/{page})" if site else ""


class Stage:
    """What is stated of a stage, and what follows from it; see `stage`."""

    def __init__(
        self,
        function: Callable[..., Any],
        tables: Sequence[Table],
        reads: Mapping[str, Rows],
        parts: Mapping[str, Rows],
        parts_on: str,
        part_rows: int,
        checks: Mapping[str, Sequence[Check]],
        shows: Callable[[Warehouse, Partition], Mapping[str, Any]] | None,
    ):
        self.depends_on = dependencies(function)
        self._function = function
        self._tables = tables
        self._reads = reads
        self._parts = parts
        self._parts_on = parts_on
        self._part_rows = part_rows
        self._checks = [(asset, check) for asset, found in checks.items() for check in found]
        self._shows = shows
        hints = get_type_hints(function)
        self._takes = {name: hints[name] for name in inspect.signature(function).parameters}

    @property
    def batched(self) -> bool:
        """Whether it makes rows of a batch."""
        return any("batch" in table.partitions for table in self._tables)

    @property
    def asks(self) -> bool:
        """Whether it asks a model."""
        return any(
            isinstance(taken, type) and issubclass(taken, Supervision | RoleEndpoint)
            for taken in self._takes.values()
        )

    def inputs(self, partitions: dg.PartitionsDefinition[str] | None) -> dict[str, dg.AssetIn]:
        """Return what the IO manager reads as a whole."""
        return {
            name: dg.AssetIn(
                rows.table,
                metadata={
                    "columns": None if rows.columns is None else list(rows.columns),
                    "status": rows.status,
                },
                partition_mapping=partition_mapping(rows.table, partitions),
            )
            for name, rows in self._reads.items()
        }

    def deps(
        self, after: Iterable[str], partitions: dg.PartitionsDefinition[str] | None
    ) -> list[dg.AssetDep]:
        """Return what it comes after without the IO manager reading it.

        Its parts are among them: as inputs, Dagster would store two events for each.
        """
        names = {*after, *(rows.table for rows in self._parts.values())}
        return [
            dg.AssetDep(name, partition_mapping=partition_mapping(name, partitions))
            for name in sorted(names - {rows.table for rows in self._reads.values()})
        ]

    def check_specs(self) -> list[dg.AssetCheckSpec]:
        """Return what Dagster shows of the checks."""
        return [
            dg.AssetCheckSpec(
                check.name, asset=asset, description=check.description, blocking=check.blocking
            )
            for asset, check in self._checks
        ]

    def shown(self, table: Table) -> dict[str, Any]:
        """Return what people see in the catalogue of the asset that fills a table."""
        made_by = {"openai"} if self.asks else {"python"} if "sandbox" in self._takes else set()
        paper = f"[AutoIF, section {table.section}]({_PAPER})" if table.section else ""
        # The anchor is what MkDocs makes of the table's heading.
        docs = _docs_link(f"tables/#autoif{table.name}")
        rule = table.rule and f"The paper's rule: {table.rule}"
        # In the UI this is Markdown.
        described = (table.description, rule, paper, docs)
        section = table.section.partition(",")[0]
        return {
            "description": "\n\n".join(filter(None, described)),
            "kinds": {"duckdb", "polars"} | made_by,
            # To filter by in the catalogue, such as tag:"autoif/asks_model"="yes".
            "tags": {
                **({"autoif/paper_section": section} if section else {}),
                **({"autoif/asks_model": "yes"} if self.asks else {}),
                **({"autoif/gate": "yes"} if table.is_gate else {}),
            },
            "metadata": {**self.shown_source(), "dagster/column_schema": table_schema(table)},
        }

    def shown_source(self) -> dict[str, Any]:
        """Return what leads further: the report, the prompts an asset sends, and its source."""
        roles = sorted(self.depends_on.prompts)
        code = self._function.__code__
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # of links to code
            links: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
                _link(code.co_filename, code.co_firstlineno),
                *(
                    _link(str(files(prompts) / f"{role}.jinja"), 1, f"prompt {role}")
                    for role in roles
                ),
            ]
            references = dg.CodeReferencesMetadataValue(code_references=links)
        return {
            # What became of the batches, from every asset of them.
            "report": dg.MetadataValue.url(report_url(_SET.report_port)),
            "dagster/code_references": references,
            **{
                f"prompt/{role}": dg.MetadataValue.md(f"````jinja\n{PROMPTS[role].source}\n````")
                for role in roles
            },
        }

    def compute(self) -> Callable[..., Iterator[Any]]:
        """Return what Dagster executes: a function whose signature names all that is needed."""

        def compute(context: dg.AssetExecutionContext, **given: Any) -> Iterator[Any]:
            try:
                yield from self._run(context, given)
            except _MISTAKES as error:
                raise failure(error) from error

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        given = {"context": dg.AssetExecutionContext, **self._needs()}
        parameters = [inspect.Parameter(name, kind, annotation=a) for name, a in given.items()]
        compute.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        compute.__name__ = compute.__qualname__ = self._function.__name__
        compute.__module__ = self._function.__module__
        compute.__wrapped__ = self._function  # type: ignore[attr-defined]
        return compute

    def on_frames(
        self, tables: Mapping[str, pl.DataFrame], given: Mapping[str, Any]
    ) -> dict[str, pl.DataFrame]:
        """Make the rows from frames in memory, as a run makes them from tables.

        Args:
            tables: Rows by table, without the columns of the partition, in the order of the key.
                One that is not there has no rows.
            given: What the function takes beside rows, by name.

        Returns:
            The rows by table, without the columns of the partition, in the order of the key.
        """
        reads: dict[str, Any] = {name: _held(rows, tables) for name, rows in self._reads.items()}
        # All there is in one part.
        reads["parts"] = [tuple(_held(rows, tables) for rows in self._parts.values())]
        made: Any = self._function(
            **{name: reads[name] if name in reads else given[name] for name in self._takes}
        )
        if inspect.isgenerator(made):
            table = self._tables[0]
            parts: Any = made
            made = pl.concat([_empty(table), *(as_stored(table, part) for part in parts)])
        frames: tuple[pl.DataFrame, ...] = (made,) if isinstance(made, pl.DataFrame) else made
        return {
            table.name: as_stored(table, frame)
            for table, frame in zip(self._tables, frames, strict=True)
        }

    def _needs(self) -> dict[str, Any]:
        """Return the inputs, configuration and resources that Dagster is to give, by name.

        The function takes core objects; Dagster has the resources that make them. Storing and
        checking need resources that the function may not.
        """
        core = {Warehouse: WarehouseResource}
        taken = {
            name: core.get(annotation, annotation)
            for name, annotation in self._takes.items()
            if name not in ("context", "parts", *self._reads) and annotation is not Recipe
        }
        executes = any(check.executes for _, check in self._checks)
        if executes or Recipe in self._takes.values():
            taken |= self._needs_recipe()
        if self._tables or self._parts or self._checks:
            taken["warehouse"] = WarehouseResource
        if executes:
            taken["sandbox"] = SandboxResource
        return dict.fromkeys(self._reads, pl.DataFrame) | taken

    def _needs_recipe(self) -> dict[str, Any]:
        """Return the resource of the recipe: a batch's is what its first run pinned."""
        return {"batch": BatchResource} if self.batched else {"recipe": RecipeResource}

    def _recipe(self, context: dg.AssetExecutionContext, given: Mapping[str, Any]) -> Recipe:
        batch: BatchResource | None = given.get("batch")
        recipe = given["recipe"].load() if batch is None else batch.load(context)
        return recipe

    def _run(self, context: dg.AssetExecutionContext, given: Mapping[str, Any]) -> Iterator[Any]:
        """Make the rows, have them stored, and check what was stored."""
        keys = run_keys(context)
        made: Any = self._function(**self._arguments(context, given, keys))
        if inspect.isgenerator(made):
            yield self._stored(context, given["warehouse"], made, keys)
        elif isinstance(made, pl.DataFrame):
            yield dg.Output(_stamped(made, self._tables[0], keys))
        elif len(self._tables) > 1:
            for table, frame in zip(self._tables, made, strict=True):
                yield dg.Output(_stamped(frame, table, keys), output_name=table.name)
        else:
            yield made
        # Dagster goes on here once the IO manager has stored what was yielded.
        yield from self._checked(context, given, keys)

    def _arguments(
        self, context: dg.AssetExecutionContext, given: Mapping[str, Any], keys: Partition
    ) -> dict[str, Any]:
        """Return what the function takes: core objects for resources, parts for rows."""
        arguments: dict[str, Any] = {}
        for name, annotation in self._takes.items():
            if name == "context":
                arguments[name] = context
            elif name == "parts":
                warehouse: Warehouse = given["warehouse"].open(context.log.info)
                wanted = [
                    replace(rows, partitions=partitions_read(rows.table, keys, context.instance))
                    for rows in self._parts.values()
                ]
                arguments[name] = Parts(warehouse, wanted, self._parts_on, self._part_rows)
            elif annotation is Recipe:
                arguments[name] = self._recipe(context, given)
            elif annotation is Warehouse:
                arguments[name] = given[name].open(context.log.info)
            else:
                arguments[name] = given[name]
        return arguments

    def _stored(
        self,
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        frames: Generator[Any, Any, Any],
        keys: Partition,
    ) -> dg.MaterializeResult[None]:
        """Store frames as they come, and return the metadata of what was stored."""
        (table,) = self._tables
        # Closed at once where storing fails: the function may hold a server or the sandbox.
        with closing(frames):
            result = warehouse.store(context, (_stamped(frame, table, keys) for frame in frames))
        if self._shows is None:
            return result
        shown = self._shows(warehouse.open(context.log.info), keys)
        return result._replace(metadata={**(result.metadata or {}), **shown})

    def _checked(
        self, context: dg.AssetExecutionContext, given: Mapping[str, Any], keys: Partition
    ) -> Iterator[dg.AssetCheckResult]:
        """Look at what was stored: most checks in one go, then those that run verifiers."""
        if not self._checks:
            return
        warehouse: Warehouse = given["warehouse"].open(context.log.info)
        with warehouse.reading() as query:
            found = [
                _result(asset, check, check.find(CheckContext(query, slices_of(asset, keys))))
                for asset, check in self._checks
                if not check.executes
            ]
        yield from found
        for asset, check in self._checks:
            if check.executes:
                recipe = self._recipe(context, given)
                with given["sandbox"].session(None, recipe.modules) as session:
                    seen = CheckContext(
                        warehouse.query, slices_of(asset, keys), recipe, session.run
                    )
                    yield _result(asset, check, check.find(seen))


_STAGES: dict[tuple[str, str], Stage] = {}


def stages_of(package: str) -> dict[str, Stage]:
    """Return the stages defined in a package, by the name under which their calls are journaled.

    Others may define some for the same tables: theirs are not taken for these.
    """
    return {
        name: one
        for (module, name), one in _STAGES.items()
        if module == package or module.startswith(f"{package}.")
    }


def _held(rows: Rows, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return of frames in memory what the warehouse would return of tables."""
    table = TABLES[rows.table]
    frame = tables.get(table.name)
    if frame is None:
        frame = _empty(table)
    if rows.status is not None:
        frame = frame.filter(status=rows.status)
    return frame if rows.columns is None else frame.select(rows.columns)


def _empty(table: Table) -> pl.DataFrame:
    return empty_frame(table).drop(table.partitions)


def as_stored(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows as they would be read back from the table, without its partition."""
    kept = [name for name in table.key if name not in table.partitions]
    schema = {n: t for n, t in polars_schema(table).items() if n not in table.partitions}
    return frame.select(as_declared(pl.Schema(schema))).sort(kept, nulls_last=True)


def _link(path: str, line: int, label: str | None = None) -> dg.LocalFileCodeReference:
    return dg.LocalFileCodeReference(file_path=path, line_number=line, label=label)


def _stamped(frame: pl.DataFrame, table: Table, keys: Partition) -> pl.DataFrame:
    """Add the columns that name the slice a run writes."""
    return frame.with_columns(pl.lit(keys[name]).alias(name) for name in table.partitions)


def _result(asset: str, check: Check, found: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(asset),
        check_name=check.name,
        passed=not found.wrong,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        description=" ".join(found.wrong) or None,
        metadata=dict(found.numbers),
    )
