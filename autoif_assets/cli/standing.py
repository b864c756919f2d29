"""`autoif batch list`, `show`, `exclude`, `include` and `remove`: batches that are there."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from autoif_assets.cli.home import data_dir, open_warehouse, prepare_home
from autoif_assets.cli.output import say
from autoif_assets.cli.pins import confirm, discard_question, known_batch
from autoif_assets.cli.runs import exit_if_failed, failures_of_job

if TYPE_CHECKING:
    from autoif_assets.automation.batches import BatchState
    from autoif_assets.warehouse import Batch


@click.command("list")
def batch_list() -> None:
    """Say of every batch what it lacks, what is stale, and which are parked after failures."""
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.batches import batch_states
    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.automation.schedules import ATTEMPTS
    from autoif_assets.definitions import defs
    from autoif_assets.warehouse import changed_seeds, known_batches

    graph = defs.get_repository_def().asset_graph
    warehouse = open_warehouse()
    known = known_batches(warehouse)
    mixed = len({one.simulated for one in known.values() if one.simulated is not None}) > 1
    with dg.DagsterInstance.get() as instance:
        keys = instance.get_dynamic_partitions(str(BATCHES.name))
        states = batch_states(instance, graph, keys, ATTEMPTS, known, changed_seeds(warehouse))
        for state in states:
            standing = _standing(state)
            if state.parked:
                standing += f"; parked, its last {ATTEMPTS} runs failed: {state.parked}"
            one = known.get(state.batch)
            if one is not None and one.excluded:
                standing += "; excluded from the exports"
            # Beside real ones a simulated batch must not be taken for one of them.
            if one is not None and one.simulated and mixed:
                standing += "; simulated"
            say(f"{state.batch}: {standing}")


def _standing(state: "BatchState") -> str:
    if state.busy:
        return "is being made"
    standing = "complete"
    if state.lacking:
        asset, why = next(iter(state.lacking.items()))
        standing = f"lacks {len(state.lacking)} assets, first {asset} ({why})"
    if state.stale:
        asset, why = next(iter(state.stale.items()))
        standing += (
            f"; {len(state.stale)} assets are stale, first {asset} ({why}), see "
            f"autoif batch remake {state.batch} --dry-run"
        )
    return standing


@click.command("show")
@click.argument("name")
def batch_show(name: str) -> None:
    """Say what the batch NAME is pinned to, and what it holds."""
    prepare_home()
    from autoif_assets.warehouse import paid_calls, rows_of_batch

    warehouse = open_warehouse()
    found = known_batch(warehouse, name, _registered())
    for line in _shown(found):
        say(line)
    calls, cost = paid_calls(warehouse, name)
    rows = rows_of_batch(warehouse, name)
    say(f"holds        {sum(rows.values()):,} rows, {calls:,} answered calls")
    if cost:
        say(f"cost         {cost:,.4f}")


def _shown(found: "Batch") -> list[str]:
    lines = [f"batch        {found.batch}"]
    if found.created_at is not None and found.asked_by is not None:
        lines.append(f"pinned       {found.created_at:%Y-%m-%d %H:%M:%S} UTC by {found.asked_by}")
    if not found.pinned:
        lines.append("recipe       not pinned yet; the next run pins it")
    else:
        lines.append(f"recipe       {found.recipe}")
    lines += [
        f"{role.role:<13}{role.model or 'no model'} {role.base_url}".rstrip()
        + ("" if role.settings == "{}" else f" {role.settings}")
        for role in found.roles
    ]
    for what, hashed in (
        ("prompts", found.prompts_hash),
        ("seeds", found.seeds_hash),
        ("queries", found.queries_hash),
    ):
        if hashed is not None:
            lines.append(f"{what:<13}{hashed}")
    lines += [f"simulated    {'yes' if found.simulated else 'no'}"] if found.pinned else []
    lines.append(f"excluded     {'yes' if found.excluded else 'no'}")
    if found.remark:
        lines.append(f"remark       {found.remark}")
    lines += [
        f"  {number} = {value if isinstance(value, str) else json.dumps(value)}"
        for number, value in (found.numbers or {}).items()
        if number != "prompts"
    ]
    return lines


@click.command("exclude")
@click.argument("names", nargs=-1, required=True)
def batch_exclude(names: tuple[str, ...]) -> None:
    """Leave the batches NAMES out of the exports, and make these anew."""
    _set_excluded(names, True)


@click.command("include")
@click.argument("names", nargs=-1, required=True)
def batch_include(names: tuple[str, ...]) -> None:
    """Take the batches NAMES into the exports again, and make these anew."""
    _set_excluded(names, False)


def _set_excluded(names: tuple[str, ...], excluded: bool) -> None:
    prepare_home()
    from autoif_assets.warehouse import save_batch

    warehouse, registered = open_warehouse(), _registered()
    found = [known_batch(warehouse, name, registered) for name in names]
    for one in found:
        save_batch(warehouse, replace(one, excluded=excluded))
    _export()
    side = "out of" if excluded else "in"
    say(f"{', '.join(names)}: {side} the exports, which are made anew.")


@click.command("remove")
@click.argument("name")
@click.option("--journals", is_flag=True, help="Remove the answers that were paid for, too.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def batch_remove(name: str, journals: bool, yes: bool) -> None:
    """Remove the batch NAME with its rows, those of policies on it included."""
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.automation.runs import busy_batches
    from autoif_assets.endpoint import prune_journals, remove_shared
    from autoif_assets.warehouse import remove_batch

    warehouse = open_warehouse()
    registered = _registered()
    known_batch(warehouse, name, registered)
    with dg.DagsterInstance.get() as instance:
        if name in busy_batches(instance):
            raise click.ClickException(f"A run is making {name}, or waits for its turn; stop it.")
        say(discard_question(name).removesuffix(_KEPT) + (_GONE if journals else _KEPT))
        confirm(f"Remove {name}?", yes)
        if name in registered:
            instance.delete_dynamic_partition(str(BATCHES.name), name)
    remove_batch(warehouse, name)
    removed = 0
    if journals:
        removed = len(prune_journals(data_dir() / "journals", 0, batch=name))
        removed += remove_shared(warehouse.objects, name) if warehouse.objects else 0
    _export()
    say(f"{name} is removed" + (f" with {removed} journals." if journals else "."))


_KEPT = "answers stay in the journals, and what is asked in the same way is not paid again."
_GONE = "their answers are removed with the journals."


def _registered() -> list[str]:
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES

    with dg.DagsterInstance.get() as instance:
        return list(instance.get_dynamic_partitions(str(BATCHES.name)))


def _export() -> None:
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        exit_if_failed(failures_of_job(instance, "exports", {}))


COMMANDS = (batch_list, batch_show, batch_exclude, batch_include, batch_remove)
"""Those of `autoif batch` that are defined here."""
