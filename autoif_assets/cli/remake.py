"""`autoif batch remake`: what is stale, what making it again would ask, and making it again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.home import data_dir, open_warehouse, prepare_home
from autoif_assets.cli.output import say
from autoif_assets.cli.pins import confirm, known_batch
from autoif_assets.cli.runs import exit_if_failed, failures_of_job

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from autoif_assets.automation.batches import BatchState


@dataclass(frozen=True)
class Needs:
    """Model calls that making assets again would take.

    Attributes:
        calls: Step → calls that no journal answers, as far as they can be told.
        following: Steps that ask about what those calls would answer.
        failed: What kept this from being told, if anything did.
    """

    calls: Mapping[str, int]
    following: Sequence[str] = ()
    failed: Sequence[str] = ()

    def __str__(self) -> str:
        if self.failed:
            return f"How many model calls it needs cannot be told: {' '.join(self.failed)}"
        if not self.calls:
            return "It needs no model call: the journals answer all."
        told = ", ".join(f"{calls:,} of {asset}" for asset, calls in self.calls.items())
        more = f", and further ones of {', '.join(self.following)}" if self.following else ""
        return f"It needs at least {sum(self.calls.values()):,} model calls: {told}{more}."


@click.command("remake")
@click.argument("names", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what is stale and what it needs; make nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before model calls are made.")
def batch_remake(names: tuple[str, ...], dry_run: bool, yes: bool) -> None:
    """Make again what is stale, missing or failed of the batches NAMES, by their pinned recipes.

    A batch is stale where a rule, a prompt or a seed that it carries has changed since.
    """
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.runs import report_killed_runs

    with dg.DagsterInstance.get() as instance:
        report_killed_runs(instance)
        wanted = []
        for state in _states(instance, names):
            reasons = {**state.lacking, **state.stale}
            if state.busy:
                raise click.ClickException(f"A run is making {state.batch}; wait for it.")
            if not reasons:
                say(f"{state.batch}: complete, and nothing of it is stale.")
                continue
            say(f"{state.batch}: {len(reasons)} assets would be made again.")
            for asset, why in reasons.items():
                say(f"  {asset}: {why}")
            seeds = any("seeds changed" in why for why in reasons.values())
            needs = calls_needed(state.batch, reasons, seeds)
            say(f"  {needs}")
            wanted.append((state.batch, list(reasons), seeds, needs))
        if dry_run or not wanted:
            return
        if any(needs.calls or needs.failed for *_, needs in wanted):
            confirm("Make them again?", yes)
        for name, assets, seeds, _ in wanted:
            _repin(name, seeds)
            exit_if_failed(failures_of_job(instance, "batch", {}, name, selection=assets))
        exit_if_failed(failures_of_job(instance, "exports", {}))


def _states(instance: "DagsterInstance", names: Iterable[str]) -> "list[BatchState]":
    from autoif_assets.automation.batches import batch_states
    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.automation.schedules import ATTEMPTS
    from autoif_assets.definitions import defs
    from autoif_assets.warehouse import changed_seeds, known_batches

    warehouse = open_warehouse()
    registered = list(instance.get_dynamic_partitions(str(BATCHES.name)))
    for name in names:
        known_batch(warehouse, name, registered)
    return batch_states(
        instance,
        defs.get_repository_def().asset_graph,
        list(dict.fromkeys(names)),
        ATTEMPTS,
        known_batches(warehouse),
        changed_seeds(warehouse),
    )


def _repin(name: str, seeds: bool, folder: Path | None = None) -> None:
    """Have a batch follow the prompts of today, and the seeds where these are a reason."""
    from autoif_assets.resources import all_prompts, prompts_hash
    from autoif_assets.resources.settings import settings
    from autoif_assets.warehouse import Warehouse, find_batch, save_batch

    warehouse = Warehouse(folder) if folder else open_warehouse()
    known = find_batch(warehouse, name)
    if known is None or not known.pinned:
        return
    prompts = all_prompts(settings().make_recipe())
    numbers = {**(known.numbers or {}), "prompts": prompts}
    known = replace(known, numbers=numbers, prompts_hash=prompts_hash(prompts))
    if seeds:
        known = replace(known, seeds_hash=None, queries_hash=None)
    save_batch(warehouse, known)


def calls_needed(name: str, assets: Iterable[str], seeds: bool = False) -> Needs:
    """Count the model calls that making assets of a batch again would take; none is sent.

    They are made in a copy of the database, with the answers that the journals hold and without
    leave to send a request. Who would ask stops there, and what comes after it cannot be told.

    Args:
        name: Key of the batch.
        assets: What would be made again.
        seeds: Whether the batch would take the seeds of today.
    """
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.definitions import defs
    from autoif_assets.endpoint import fetch_batch

    assets = list(assets)
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    ops = {
        key.to_user_string(): made.op.name
        for made in defs.resolve_asset_graph().assets_defs
        if made.is_executable
        for key in made.keys
    }
    asking = {asset: ops[asset] for asset in assets if "openai" in specs[asset].kinds}
    warehouse = open_warehouse()
    if not asking or not warehouse.exists:
        return Needs({})
    job = defs.resolve_job_def("batch")
    with (
        TemporaryDirectory(prefix=".dry-run-", dir=data_dir()) as folder,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        trial = Path(folder)
        warehouse.copy_to(trial)
        if warehouse.objects is not None:
            fetch_batch(warehouse.objects, data_dir() / "journals", name)
        (trial / "journals").symlink_to(data_dir() / "journals")
        _repin(name, seeds, trial)
        instance.add_dynamic_partitions(str(BATCHES.name), [name])
        settings = {
            "warehouse": {"config": {"data_dir": folder, "storage": "local"}},
            "budget": {"config": {"max_requests": 0}},
        }
        result = job.execute_in_process(
            partition_key=name,
            instance=instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config={
                "resources": settings,
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    return _told(result, asking)


def _told(result: Any, asking: Mapping[str, str]) -> Needs:
    """Read what assets that ask, each with the step that makes it, would have asked."""
    from autoif_assets.automation.runs import first_words

    calls: dict[str, int] = {}
    failed = []
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        unanswered = _unanswered(data.user_failure_data.metadata if data.user_failure_data else {})
        if unanswered:
            calls[event.step_key] = unanswered
        else:
            failed.append(f"{event.step_key}: {first_words(data.error)}")
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    left = dict.fromkeys(step for asset, step in asking.items() if asset not in made)
    following = [step for step in left if calls and step not in calls]
    return Needs(calls, following, failed)


def _unanswered(metadata: Mapping[str, Any]) -> int:
    """Return how many calls no journal answered, of all models that an asset asks."""
    counts = {name: entry.value for name, entry in metadata.items()}
    names = [name.removesuffix("/total") for name in counts if name.endswith("/total")]
    return sum(int(counts[f"{name}/total"]) - int(counts[f"{name}/reused"]) for name in names)
