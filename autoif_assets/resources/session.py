"""Model calls of one asset and batch, and what they came to."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import dagster as dg
import polars as pl

from autoif_assets.charts import in_markdown, throughput_chart
from autoif_assets.display import displayed
from autoif_assets.endpoint import (
    Budget,
    Client,
    EndpointError,
    EndpointSettings,
    Features,
    Journal,
    Progress,
    Request,
    ServerUnreachable,
    Sharing,
    Shortfalls,
    llm_calls_in_parts,
)
from autoif_assets.endpoint.settings import public
from autoif_assets.method.completions import COMPLETION_SCHEMA, check_any_read
from autoif_assets.method.conversations import read_messages
from autoif_assets.method.guard import read_row_by_row
from autoif_assets.method.ids import derived_seed
from autoif_assets.method.likelihoods import ROLE as LIKELIHOOD
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import Recipe
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.failures import failure
from autoif_assets.resources.metadata import add_metadata
from autoif_assets.resources.preflight import check_endpoints, features_of
from autoif_assets.resources.telling import Told, asset_of, tell
from autoif_assets.resources.warehouse import WarehouseResource, keys_of
from autoif_assets.warehouse import Rows, Warehouse

_P = ParamSpec("_P")
_T = TypeVar("_T", pl.DataFrame, tuple[pl.DataFrame, pl.DataFrame])


@contextmanager
def open_session(
    context: dg.AssetExecutionContext,
    settings: EndpointSettings,
    warehouse: WarehouseResource,
    budget: BudgetResource,
    name: str = "model",
    model_version: str = "",
    others: Mapping[str, EndpointSettings] | None = None,
    also: Sequence[str] = (),
) -> Iterator["Session"]:
    """Open the journal of the running asset and batch; load it into ``llm_calls`` at the end.

    Args:
        context: The asset that asks.
        settings: Whom and how to ask.
        warehouse: Where the calls go; the journals lie in its folder.
        budget: What the run may spend.
        name: First part of the names of the metadata.
        model_version: What tells the model's answers from those of another under the same name;
            each has journals of its own, and rows of its own in ``llm_calls``.
        others: Endpoints by role that the run will need later on: where one of them cannot be
            used, nothing is asked of this one.
        also: Assets whose answers are taken where they were asked the same.
    """
    if not settings.model:
        raise failure(no_model(settings))
    asset, batch = asset_of(context), keys_of(context.partition_key)["batch"]
    asset = f"{asset}/{model_version}" if model_version else asset
    tables = warehouse.open(context.log.info)
    journals = tables.data_dir / "journals"
    asked = None
    try:
        with journaled(
            *(context, settings, journals, budget.of_run(context, journals), asset),
            name=name,
            others=others,
            also=also,
            sharing=sharing_of(tables, context.log.warning),
            at_end=lambda: _load_calls(tables, journals, asset, batch),
        ) as asked:
            yield asked
    except EndpointError as error:
        # Only a server may be another a moment later: a cap, a key or a name is as it is.
        raise failure(
            error,
            None if asked is None else asked.metadata(),
            allow_retries=isinstance(error, ServerUnreachable),
        ) from error
    add_metadata(context, asked.metadata())


@contextmanager
def journaled(
    context: dg.AssetExecutionContext,
    settings: EndpointSettings,
    journals: Path,
    budget: Budget,
    asset: str,
    *,
    name: str = "model",
    others: Mapping[str, EndpointSettings] | None = None,
    also: Sequence[str] = (),
    sharing: Sharing | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> Iterator["Session"]:
    """Open the journal of an asset and batch, and ask; no table is written.

    Args:
        context: What asks; of it only the batch, the run and the log are used.
        settings: Whom and how to ask.
        journals: Folder of all journals.
        budget: What may be spent.
        asset: Whose journal it is.
        name: As of `open_session`.
        others: As there.
        also: As there.
        sharing: How other machines get to know the answers.
        at_end: Called before the journal is closed, however the asking went.

    Raises:
        EndpointError: Asking on makes no sense; what came so far is in the journal.
    """
    batch = keys_of(context.partition_key)["batch"]
    features = features_of(context.run.run_id, settings)
    client = Client(settings, budget=budget, features=features)
    opened = Journal(
        *(journals, asset, batch, context.run.run_id),
        refresh=settings.refresh,
        ask_refused=settings.ask_refused,
        also=also,
        sharing=sharing,
    )
    with opened as journal:
        if journal.torn:
            context.log.warning(
                f"{journal.torn} torn lines in the journals of {asset} {batch} are ignored: "
                "a killed run left them; the calls they belong to are asked again."
            )
        if journal.damaged:
            context.log.warning(
                f"{len(journal.damaged)} damaged lines in {journal.path.parent} are skipped: "
                f"{', '.join(journal.damaged[:10])}; the calls they belong to are asked again."
            )
        session = Session(client, journal, context, settings, name, features, others or {})
        try:
            yield session
            session.check()
        finally:
            at_end()


def sharing_of(tables: Warehouse, log: Callable[[str], None]) -> Sharing | None:
    """Return how journals are shared with other machines, where the tables are."""
    return None if tables.objects is None else Sharing(tables.objects, log)


def no_model(settings: EndpointSettings) -> str:
    """Say that no model is named, and what to do."""
    return (
        "No model is named. Set AUTOIF_MODEL to the name your server lists under "
        f"{public(settings.urls[0])}/models, then run this again."
    )


class Session:
    """Model calls of one asset and batch."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        context: dg.AssetExecutionContext,
        settings: EndpointSettings,
        name: str,
        features: Features,
        others: Mapping[str, EndpointSettings],
    ):
        self._client = client
        self._journal = journal
        self._context = context
        self._settings = settings
        self._name = name
        self._others = others
        self._shortfalls = Shortfalls(settings, features)
        self._accounts: list[Progress] = []

    def generate(
        self,
        role: str,
        prompts: pl.DataFrame,
        recipe: Recipe,
        samples: int = 1,
        temperature: float | None = None,
        schema: Mapping[str, Any] | None = None,
        logprobs: int = 0,
    ) -> pl.DataFrame:
        """Ask for ``samples`` completions of every prompt.

        Args:
            role: Name of the prompt template; sampling numbers are the recipe's for this role
                where the endpoint has none of its own.
            prompts: ``prompt``, perhaps ``context`` (what comes before it), perhaps ``seed``,
                perhaps ``template``, where it is of another name than the role, and the ids the
                completions are to carry.
            recipe: Its numbers; its seed and the batch give every request its own seed.
            samples: Completions per prompt.
            temperature: In the place of the recipe's for this role.
            schema: JSON schema of the answers, in the place of the template's.
            logprobs: How many tokens are to be told at each place of the answer, as of `Request`.

        Returns:
            The ids beside ``COMPLETION_SCHEMA`` and, where they were asked for, ``logprobs``, as
            `Choice` has them; one row a completion, in order.
        """
        batch = keys_of(self._context.partition_key)["batch"]
        max_tokens = self._settings.max_tokens
        if self._settings.temperature is not None:
            temperature = self._settings.temperature
        elif temperature is None:
            temperature = getattr(recipe, f"{role}_temperature")
        if max_tokens is None:
            max_tokens = getattr(recipe, f"{role}_max_tokens")
        seeds = prompts["seed"] if "seed" in prompts.columns else [None] * prompts.height
        templates = prompts["template"] if "template" in prompts.columns else [role] * len(prompts)
        contexts = prompts["context"] if "context" in prompts.columns else [None] * len(prompts)
        requests = [
            Request(
                prompt=prompt,
                role=role,
                n=samples,
                temperature=temperature,
                max_tokens=max_tokens,
                seed=derived_seed(batch, str(recipe.seed), role, prompt) if seed is None else seed,
                schema=schema or PROMPTS[template].schema,
                context=read_messages(context),
                logprobs=logprobs,
            )
            for prompt, seed, template, context in zip(
                prompts["prompt"], seeds, templates, contexts, strict=True
            )
        ]
        ids = prompts.drop("prompt", "seed", "template", "context", strict=False)
        completions = self._ask(role, ids, requests)
        return completions if logprobs else completions.drop("logprobs")

    def likelihoods(self, texts: pl.DataFrame) -> pl.DataFrame:
        """Ask for the log-probabilities of texts.

        Args:
            texts: ``prompt`` (empty for a text alone), ``context`` (what comes before it),
                ``scored``, and the ids to carry.

        Returns:
            The ids beside ``COMPLETION_SCHEMA``, one row a text, in order.
        """
        requests = [
            Request(prompt, LIKELIHOOD, 1, 0.0, 1, 0, scored=text, context=read_messages(context))
            for prompt, text, context in texts.select("prompt", "scored", "context").iter_rows()
        ]
        ids = texts.drop("prompt", "context", "scored")
        return self._ask(LIKELIHOOD, ids, requests).drop("logprobs")

    def _ask(self, role: str, ids: pl.DataFrame, requests: Sequence[Request]) -> pl.DataFrame:
        account: list[Progress] = []
        asset = asset_of(self._context)

        def report(progress: Progress) -> None:
            self._context.log.info(f"{role}: {progress}")
            tell(Told(asset, role, progress.done, progress.total, progress))
            account[:] = [progress]

        try:
            replies = self._client.complete(requests, self._journal, report, self._check_others)
        finally:
            self._accounts += account
        for request, reply in zip(requests, replies, strict=True):
            self._shortfalls.add(request, reply)
        rows: list[tuple[Any, ...]] = []
        for number, reply in enumerate(replies):
            # A refused call may have got some of its completions before.
            rows += [
                (
                    number,
                    reply.call_id,
                    sample,
                    c.text,
                    c.reasoning,
                    c.finish_reason,
                    None,
                    c.logprobs,
                )
                for sample, c in enumerate(reply.choices)
            ]
            if reply.error is not None:
                rows.append(
                    (number, reply.call_id, len(reply.choices), *[None] * 3, reply.error, None)
                )
        schema = {"_number": pl.Int64, **COMPLETION_SCHEMA, "logprobs": pl.String}
        completions = pl.DataFrame(rows, schema=schema, orient="row")
        numbered = ids.with_columns(_number=pl.int_range(pl.len(), dtype=pl.Int64))
        return numbered.join(completions, on="_number", maintain_order="left_right").drop("_number")

    def read(
        self,
        parse: Callable[Concatenate[pl.DataFrame, _P], _T],
        completions: pl.DataFrame,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Read completions by a rule of the method; rows on which it raises are rejected.

        Args:
            parse: The rule.
            completions: What it reads, its first argument.
            *args: Its others.
            **kwargs: Those that it takes by name.

        Raises:
            UnreadableRows: They are a larger share than may fail, or no answer could be read.
        """
        share = self._settings.max_failed_share
        made = read_row_by_row(share, parse, completions, *args, **kwargs)
        # Who lets a stage lose all it has asked for is told by its tables.
        if share < 1:
            check_any_read(completions, made)
        return made

    def check(self) -> None:
        """See whether the asset can do with the completions that came.

        Raises:
            TooManyFailed: Too many failed technically or were cut off.
        """
        self._shortfalls.check()

    def _check_others(self) -> None:
        """See that all endpoints that the run will need can be used, before any is paid.

        Raises:
            NotUsable: One of them cannot.
        """
        check_endpoints(self._context.run.run_id, self._others, asked=self._settings)

    def metadata(self) -> dict[str, Any]:
        """Return what the calls came to, under names that stay the same across runs."""
        metadata = {"served_by": f"{self._client.model} at {self._client.base_url}"}
        metadata |= summary(self._accounts)
        return {f"{self._name}/{key}": value for key, value in metadata.items()}


def _load_calls(tables: Warehouse, journals: Path, asset: str, batch: str) -> None:
    """Bring the journals of an asset and batch into the table."""
    where = {"asset": asset, "batch": batch}

    def calls() -> Iterator[pl.DataFrame]:
        journaled = []
        for part in llm_calls_in_parts(journals, asset, batch):
            journaled.append(part["call_id"])
            yield part
        ids = pl.concat(journaled)
        # What was paid for stays in the table though its journal was pruned.
        loaded = tables.read("llm_calls", where, columns=["call_id"])["call_id"]
        if not loaded.is_in(ids.implode()).all():
            for (part,) in tables.read_parts(Rows("llm_calls", None, None, [where]), on="call_id"):
                yield part.filter(~pl.col("call_id").is_in(ids.implode()))

    tables.write_frames("llm_calls", calls(), where)


_SHORT_S = 2.0
_SUMS = (
    *("total", "reused", "failed", "requests"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "cost"),
)


def summary(accounts: Sequence[Progress]) -> dict[str, Any]:
    """Return the metadata of calls that were made in one or several goes.

    Latencies are those of the slowest go: quantiles of parts do not add up. Rates and quantiles
    are absent where nothing was asked.
    """
    sums = {name: sum(getattr(account, name) for account in accounts) for name in _SUMS}
    seconds = sum(account.elapsed_s for account in accounts)
    retries = sum((Counter(account.retries) for account in accounts), Counter[str]())
    return {
        **sums,
        "cost": round(sums["cost"], 6),
        "retries": retries.total(),
        **{f"retries/{cause.replace(' ', '_')}": n for cause, n in sorted(retries.items())},
        "seconds": round(seconds, 3),
        "peak_in_flight": max((account.peak_in_flight for account in accounts), default=0),
        **_latencies(accounts),
        **_rates(sums, seconds),
        **_remarks(accounts, seconds),
    }


def _latencies(accounts: Sequence[Progress]) -> dict[str, float]:
    # A go that found everything in the journal has none.
    asked = [account.latency_s for account in accounts if account.latency_s]
    return {
        f"latency_{name}_s": max(latencies.get(name, 0.0) for latencies in asked)
        for name in ("p50", "p95", "p99")
        if asked
    }


def _rates(sums: dict[str, Any], seconds: float) -> dict[str, float]:
    rates = {}
    if sums["requests"]:
        rates["calls_per_s"] = round((sums["total"] - sums["reused"]) / seconds, 3)
        rates["tokens_per_s"] = round(sums["completion_tokens"] / seconds, 3)
    if sums["prompt_tokens"]:
        rates["cached_share"] = round(sums["cached_tokens"] / sums["prompt_tokens"], 4)
    return rates


def _remarks(accounts: Sequence[Progress], seconds: float) -> dict[str, Any]:
    """Return what the server could not do, and the course of the calls as a picture."""
    remarks: dict[str, Any] = {}
    if notes := sorted({note for account in accounts for note in account.notes}):
        remarks["notes"] = displayed("; ".join(notes))
    # Below this there is no course to draw, and drawing would take longer than asking did.
    if seconds >= _SHORT_S and (chart := throughput_chart(_joined(accounts))):
        remarks["throughput"] = dg.MetadataValue.md(in_markdown(chart, "throughput"))
    return remarks


def _joined(accounts: Sequence[Progress]) -> list[tuple[float, int, int]]:
    """Put the points of several goes behind each other."""
    joined: list[tuple[float, int, int]] = []
    for account in accounts:
        seconds, calls, tokens = joined[-1] if joined else (0.0, 0, 0)
        joined += [(seconds + s, calls + c, tokens + t) for s, c, t in account.throughput]
    return joined
