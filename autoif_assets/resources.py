"""Dagster resources: configuration in, core objects out."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.endpoint import Client, Journal, Progress, Request, llm_calls
from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.ids import derived_seed
from autoif_assets.method.profile import Profile, make_profile
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.verifiers import OUTCOME_SCHEMA
from autoif_assets.nli import DEFAULT_MODEL, NLIModel
from autoif_assets.sandbox import Limits, Sandbox, Unit
from autoif_assets.warehouse.io_manager import WarehouseIOManager, WarehouseResource


class Inputs(dg.ConfigurableResource[Any]):
    """The user's files; the packaged ones where none is named."""

    seeds: str | None = Field(default=None, description="TXT, JSONL or CSV of seed instructions.")
    queries: str | None = Field(default=None, description="File or glob of user queries.")
    queries_column: str | None = Field(default=None, description="Text column of Parquet queries.")

    def seed_instructions(self) -> pl.DataFrame:
        """Read the seed instructions."""
        return read_seed_instructions(self.seeds or None)

    def seed_queries(self, profile: Profile) -> pl.DataFrame:
        """Read the user queries within the profile's bounds of length."""
        return read_seed_queries(
            self.queries or None,
            self.queries_column or None,
            profile.query_min_chars,
            profile.query_max_chars,
        )


class Recipe(dg.ConfigurableResource[Any]):
    """The numbers of the method."""

    profile: str = Field(default="paper", description="paper or authors_code.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Numbers that replace the profile's, by name."
    )

    def numbers(self) -> Profile:
        """Return the profile with the overrides of this run."""
        return make_profile(self.profile, self.overrides)


class SandboxResource(dg.ConfigurableResource[Any]):
    """Runs verifiers, confined."""

    workers: int = Field(default=0, ge=0, description="Worker processes; 0: one a core.")
    call_cpu_s: float = Field(
        default=1.0, gt=0, description="CPU seconds one verifier call may use."
    )
    memory_mb: int = Field(default=512, gt=0, description="Memory one verifier may use, in MiB.")
    allow_unconfined: bool = Field(
        default=False, description="Run verifiers even where the machine cannot confine them."
    )

    def run(self, context: dg.AssetExecutionContext, runs: pl.DataFrame) -> pl.DataFrame:
        """Execute verifiers and report how that went in the asset's metadata.

        Args:
            context: Where the metadata goes.
            runs: ``verifier_id``, ``source``, ``input_ids``, ``inputs``.

        Returns:
            ``OUTCOME_SCHEMA``. A verifier that contradicts itself has the outcome
            ``nondeterministic`` for all its inputs, which is no verdict.
        """
        columns: dict[str, list[str | None]] = {name: [] for name in OUTCOME_SCHEMA}
        inputs_of = dict(runs.select("verifier_id", "input_ids").iter_rows())
        cpu_s = 0.0
        with Sandbox(
            workers=self.workers or os.cpu_count() or 1,
            limits=Limits(call_cpu_s=self.call_cpu_s, memory_mb=self.memory_mb),
            allow_unconfined=self.allow_unconfined,
        ) as sandbox:
            level = sandbox.report.level
            for result in sandbox.evaluate(_units(runs)):
                ids = inputs_of[result.id]
                cpu_s += result.cpu_s
                columns["verifier_id"] += [result.id] * len(ids)
                columns["input_id"] += ids
                columns["outcome"] += (
                    [result.reason] * len(ids)
                    if result.reason
                    else [outcome.value for outcome in result.outcomes]
                )
                columns["detail"] += [detail or None for detail in result.details]
        outcomes = pl.DataFrame(columns, schema=dict(OUTCOME_SCHEMA))
        _add_metadata(
            context,
            {
                "sandbox/confinement": level,
                "sandbox/units": runs.height,
                "sandbox/cpu_s": round(cpu_s, 3),
                **{
                    f"sandbox/outcomes/{outcome}": count
                    for outcome, count in sorted(Counter(columns["outcome"]).items())
                    if outcome is not None
                },
            },
        )
        return outcomes


def _units(runs: pl.DataFrame) -> Iterator[Unit]:
    for verifier_id, source, inputs in runs.select("verifier_id", "source", "inputs").iter_rows():
        yield Unit(verifier_id, source, inputs)


class LocalNLI(dg.ConfigurableResource[Any]):
    """Who labels back-translations: the supervision model, or a local NLI model."""

    by: str = Field(default="supervision", description="supervision or transformers.")
    model: str = Field(default=DEFAULT_MODEL, description="Name or folder of the local NLI model.")

    @property
    def enabled(self) -> bool:
        """Whether the local model labels; otherwise the supervision model does."""
        if self.by not in ("supervision", "transformers"):
            raise ValueError(f"AUTOIF_NLI is {self.by!r}; it may be supervision or transformers.")
        return self.by == "transformers"

    def label(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Label ``pair_id``, ``premise``, ``hypothesis`` with the local model."""
        texts = list(zip(pairs["premise"], pairs["hypothesis"], strict=True))
        verdicts = NLIModel(self.model).classify(texts)
        return pairs.select(
            "pair_id",
            nli_label=pl.Series([verdict.label for verdict in verdicts], dtype=pl.String),
            nli_by=pl.lit(self.model),
            nli_raw=pl.Series(
                [json.dumps(verdict.scores) for verdict in verdicts], dtype=pl.String
            ),
            nli_call_id=pl.lit(None, dtype=pl.String),
        )


class Supervision(dg.ConfigurableResource[Any]):
    """The model that writes, verifies and judges, behind an OpenAI-compatible endpoint."""

    warehouse: dg.ResourceDependency[WarehouseResource]
    base_url: str = Field(
        default="http://127.0.0.1:8000/v1", description="URL up to and including /v1."
    )
    model: str = Field(default="", description="Name of the served model.")
    api_key_variable: str = Field(
        default="AUTOIF_API_KEY",
        description="Environment variable that holds the key; the key itself is no setting.",
    )
    # What a variable sets has no bound here: while loading, its stand-in 0 would be held to it.
    max_concurrency: int = Field(default=256, description="Most requests in flight, at least 1.")
    timeout_s: float = Field(default=600.0, gt=0, description="Seconds one request may take.")
    max_outage_s: int = Field(
        default=600, description="Seconds a server that has answered may stay away."
    )
    refresh: bool = Field(default=False, description="Ask anew for what the journals already hold.")

    @contextmanager
    def session(self, context: dg.AssetExecutionContext) -> Iterator["Session"]:
        """Open the journal of this asset and batch; load it into ``llm_calls`` at the end."""
        if not self.model:
            raise dg.Failure(
                "No model is named. Set AUTOIF_MODEL to the name your server lists under "
                f"{self.base_url}/models, then materialise again."
            )
        if self.max_concurrency < 1:
            raise dg.Failure(
                f"AUTOIF_MAX_CONCURRENCY is {self.max_concurrency}; it must be at least 1."
            )
        asset, batch = context.op.name, context.partition_key
        client = Client(
            self.base_url,
            self.model,
            os.environ.get(self.api_key_variable, ""),
            max_concurrency=self.max_concurrency,
            timeout_s=self.timeout_s,
            max_outage_s=self.max_outage_s,
        )
        warehouse = self.warehouse.open(context.log.info)
        journals = warehouse.data_dir / "journals"
        with Journal(journals, asset, batch, context.run_id, refresh=self.refresh) as journal:
            if journal.torn:
                context.log.warning(
                    f"{journal.torn} torn lines in the journals of {asset} {batch} are ignored: "
                    "a killed run left them; the calls they belong to are asked again."
                )
            session = Session(client, journal, context)
            try:
                yield session
            finally:
                calls = llm_calls(journals, asset, batch)
                warehouse.write("llm_calls", calls, {"batch": batch, "asset": asset})
        _add_metadata(context, session.metadata())


class Session:
    """Model calls of one asset and batch."""

    def __init__(self, client: Client, journal: Journal, context: dg.AssetExecutionContext):
        self._client = client
        self._journal = journal
        self._context = context
        self._accounts: list[Progress] = []

    def generate(
        self, role: str, prompts: pl.DataFrame, numbers: Profile, samples: int = 1
    ) -> pl.DataFrame:
        """Ask for ``samples`` completions of every prompt.

        Args:
            role: Name of the prompt template; sampling numbers are the profile's for this role.
            prompts: ``prompt``, perhaps ``seed``, and the ids the completions are to carry.
            numbers: The profile; its seed and the batch give every request its own seed.
            samples: Completions per prompt.

        Returns:
            The ids beside ``COMPLETION_SCHEMA``, one row a completion, in order.
        """
        batch = self._context.partition_key
        schema = PROMPTS[role].schema
        seeds = prompts["seed"] if "seed" in prompts.columns else [None] * prompts.height
        requests = [
            Request(
                prompt=prompt,
                role=role,
                n=samples,
                temperature=getattr(numbers, f"{role}_temperature"),
                max_tokens=getattr(numbers, f"{role}_max_tokens"),
                seed=derived_seed(batch, str(numbers.seed), role, prompt) if seed is None else seed,
                schema=schema,
            )
            for prompt, seed in zip(prompts["prompt"], seeds, strict=True)
        ]
        account: list[Progress] = []

        def report(progress: Progress) -> None:
            self._context.log.info(f"{role}: {progress}")
            account[:] = [progress]

        replies = self._client.complete(requests, self._journal, report)
        self._accounts += account
        rows: list[tuple[Any, ...]] = []
        for number, reply in enumerate(replies):
            # A refused call may have got some of its completions before.
            rows += [
                (number, reply.call_id, sample, c.text, c.reasoning, c.finish_reason, None)
                for sample, c in enumerate(reply.choices)
            ]
            if reply.error is not None:
                rows.append(
                    (number, reply.call_id, len(reply.choices), None, None, None, reply.error)
                )
        completions = pl.DataFrame(
            rows, schema={"_number": pl.Int64, **COMPLETION_SCHEMA}, orient="row"
        )
        ids = prompts.drop("prompt", "seed", strict=False).with_columns(
            _number=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        return ids.join(completions, on="_number", maintain_order="left_right").drop("_number")

    def metadata(self) -> dict[str, Any]:
        """Return what the calls came to, under names that stay the same across runs."""
        counts = {
            name: sum(getattr(account, name) for account in self._accounts)
            for name in (
                "total",
                "reused",
                "failed",
                "requests",
                "prompt_tokens",
                "cached_tokens",
                "completion_tokens",
            )
        }
        retries = sum(sum(account.retries.values()) for account in self._accounts)
        notes = sorted({note for account in self._accounts for note in account.notes})
        return {
            **{f"model/{name}": count for name, count in counts.items()},
            "model/retries": retries,
            "model/seconds": round(sum(account.elapsed_s for account in self._accounts), 3),
            **({"model/notes": "; ".join(notes)} if notes else {}),
        }


def _add_metadata(context: dg.AssetExecutionContext, metadata: dict[str, Any]) -> None:
    for name in context.selected_output_names:
        context.add_output_metadata(metadata, output_name=name)


def from_environment() -> dict[str, Any]:
    """Return all resources, with every setting that the environment names taken from there."""
    warehouse = WarehouseResource(**{"data_dir": "data", **_settings(data_dir="AUTOIF_DATA")})
    return {
        "warehouse": warehouse,
        "io_manager": WarehouseIOManager(warehouse=warehouse),
        "inputs": Inputs(
            **_settings(
                seeds="AUTOIF_SEEDS",
                queries="AUTOIF_QUERIES",
                queries_column="AUTOIF_QUERIES_COLUMN",
            )
        ),
        "recipe": Recipe(**_settings(profile="AUTOIF_PROFILE")),
        "sandbox": SandboxResource(),
        "nli": LocalNLI(**_settings(by="AUTOIF_NLI", model="AUTOIF_NLI_MODEL")),
        "supervision": Supervision(
            warehouse=warehouse,
            **_settings(base_url="AUTOIF_BASE_URL", model="AUTOIF_MODEL"),
            **_numbers(max_concurrency="AUTOIF_MAX_CONCURRENCY", max_outage_s="AUTOIF_MAX_OUTAGE"),
        ),
    }


def _settings(**variables: str) -> dict[str, Any]:
    """Map fields to the environment variables that are set; the rest keep their defaults."""
    return {
        field: dg.EnvVar(variable)
        for field, variable in variables.items()
        if os.environ.get(variable)
    }


def _numbers(**variables: str) -> dict[str, Any]:
    return {
        field: dg.EnvVar.int(variable)
        for field, variable in variables.items()
        if os.environ.get(variable)
    }
