"""`autoif batch` and `autoif grow`: the units of generation, retry and backfill."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoif_assets.cli.home import open_warehouse, prepare_home
from autoif_assets.cli.output import say
from autoif_assets.cli.ready import check_ready

if TYPE_CHECKING:
    from dagster import DagsterInstance


@click.group()
def batch() -> None:
    """Batches: the units of generation, retry and backfill."""


@batch.command("add")
@click.argument("keys", nargs=-1)
@click.option("--count", default=0, help="Add so many new batches, numbered from the next free.")
def batch_add(keys: tuple[str, ...], count: int) -> None:
    """Register batches, to be materialised from the UI, by a schedule or by `autoif run`."""
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES

    if not keys and count < 1:
        raise click.UsageError("Name the batches to add, or say --count N.")
    with dg.DagsterInstance.get() as instance:
        check_keys(instance, keys)
        known = instance.get_dynamic_partitions(str(BATCHES.name))
        instance.add_dynamic_partitions(
            str(BATCHES.name), [*keys, *new_keys([*known, *keys], count)]
        )
        say("\n".join(instance.get_dynamic_partitions(str(BATCHES.name))))


def check_keys(instance: "DagsterInstance", keys: Sequence[str]) -> None:
    """Refuse new keys that cannot be the names of batches.

    Raises:
        click.ClickException: One of them cannot.
    """
    from autoif_assets.automation.partitions import BATCHES, check_new_keys

    name = str(BATCHES.name)
    try:
        check_new_keys(name, keys, instance.get_dynamic_partitions(name))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def new_keys(known: list[str], count: int) -> list[str]:
    """Return ``count`` keys ``batch-<number>`` above every number in use."""
    numbers = [int(key[6:]) for key in known if key.startswith("batch-") and key[6:].isdecimal()]
    first = max(numbers, default=0) + 1
    return [f"batch-{number}" for number in range(first, first + count)]


@click.command()
@click.option("--sft", required=True, type=click.IntRange(1), help="SFT examples wanted in all.")
@click.option("--dry-run", is_flag=True, help="Say how many batches are missing, and no more.")
def grow(sft: int, dry_run: bool) -> None:
    """Add and request as many batches as the yields so far say are missing."""
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.method.estimate import batches_missing

    warehouse = open_warehouse()
    yields: list[int] = []
    if warehouse.exists:
        yields = warehouse.query(
            "SELECT count(example_id) AS examples"
            " FROM (SELECT DISTINCT batch FROM autoif.responses)"
            " LEFT JOIN (FROM autoif.sft_examples WHERE status = 'accepted') USING (batch)"
            " GROUP BY batch ORDER BY batch"
        )["examples"].to_list()
    # What is registered and not made yet will yield too; only the rest is to be added.
    with dg.DagsterInstance.get() as instance:
        known = list(instance.get_dynamic_partitions(str(BATCHES.name)))
        unmade = len(known) - len(yields)
        try:
            missing = batches_missing(sft, yields, unmade)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        say(
            f"{sum(yields)} SFT examples in {len(yields)} batches, {unmade} batches registered and "
            f"not made; {missing} more are needed for {sft}."
        )
        if dry_run or not missing:
            return
        try:
            check_ready("", {}, "", endpoints=False)
        except click.ClickException as error:
            # No more than a warning: the daemon that makes them may have another environment.
            say(f"As this shell is set, their runs would fail: {error.message}", fg="yellow")
        keys = new_keys(known, missing)
        instance.add_dynamic_partitions(str(BATCHES.name), keys)
        request(keys)
    say(f"Requested {', '.join(keys)}. The daemon of `autoif dev` runs them.")


def request(keys: list[str]) -> None:
    """Put one run for each batch into Dagster's queue.

    Raises:
        click.ClickException: Dagster did not take them.
    """
    program = Path(sys.executable).parent / "dagster"
    done = subprocess.run(
        [
            *(program, "job", "backfill", "--noprompt", "-m", "autoif_assets.definitions"),
            *("-j", "batch", "--partitions", ",".join(keys)),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise click.ClickException(f"Dagster did not take the runs: {' '.join(last)}")
