"""`autoif preview`: a few instructions through every stage, before a batch is paid for."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.batches import new_keys
from autoif_assets.cli.home import check_not_mixed, data_dir, data_problem, open_warehouse, typed
from autoif_assets.cli.output import say
from autoif_assets.cli.pins import without_serving
from autoif_assets.cli.ready import inputs_problem
from autoif_assets.cli.runs import parse_override, resource_config

if TYPE_CHECKING:
    from autoif_assets.trial import Report, Trial

# Those of `autoif_assets.trial`, which takes Dagster to import.
_INSTRUCTIONS, _REQUESTS = 5, 20
SUMMARY = "preview.json"
"""File of what is not in the tables, in the folder of ``--out``."""


@click.command()
@click.option(
    *("-n", "--instructions"),
    type=click.IntRange(1),
    default=_INSTRUCTIONS,
    help="How many go, the first of your seeds.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    default=_REQUESTS,
    help="Most HTTP requests. Where all instructions need more, fewer of them go.",
)
@click.option(
    "--batch",
    default=None,
    help="Key of the batch whose run is to go on with the answers; batch-1, or the next that is "
    "new, if not given.",
)
@click.option("--recipe", default=None, help="audited, paper or authors_code.")
@click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Replace a number; repeatable."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the rows, a Parquet file a table.",
)
def preview(
    instructions: int,
    max_requests: int,
    batch: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
) -> None:
    """Send a few instructions through every stage and show what comes of them.

    No batch is made and no table written. The answers are kept: a run of the batch with the same
    recipe does not ask for them again.
    """
    config = resource_config(recipe, dict(map(parse_override, overrides)))
    if problem := data_problem():
        raise click.ClickException(problem)
    if out is not None:
        _make(out)
    trial = _tried(batch, config, instructions, max_requests)
    command = ["run", "--batch", trial.batch]
    command += [] if recipe is None else ["--recipe", recipe]
    command += [word for text in overrides for word in ("--set", text)]
    show(trial, typed(*command))
    if out is not None:
        write(trial, out)


def _tried(
    batch: str | None, config: Mapping[str, Any], instructions: int, max_requests: int
) -> "Trial":
    """Ask, and return what came."""
    import dagster as dg

    from autoif_assets.resources import check_endpoints, configured_resources, no_model, recipe_of
    from autoif_assets.trial import run_trial

    open_warehouse().check_not_lost()
    with dg.build_resources(
        configured_resources(), resource_config=without_serving(config)
    ) as resources:
        given = config["recipe"]["config"]
        plan = resources.batch.plan(batch or _next_batch(), given)
        if plan.refusal is not None:
            raise click.ClickException(plan.refusal)
        recipe = recipe_of(plan.batch)
        asked = resources.supervision.settings()
        # What costs nothing to see is seen before anything is paid.
        problem = inputs_problem(resources.inputs, recipe, resources.sandbox)
        problem = problem or resources.sandbox.modules_problem(recipe.modules)
        problem = problem or (None if asked.model else no_model(asked))
        if problem:
            raise click.ClickException(problem)
        check_not_mixed(asked.model)
        check_endpoints("preview", {}, asked=asked, briefly=True)
        reporting, report = _reporting()
        with reporting:
            return run_trial(plan, resources, instructions, max_requests, report)


def _next_batch() -> str:
    """Return the key of the batch that nothing is pinned for yet: batch-1 in a new folder."""
    from autoif_assets.warehouse import known_batches

    warehouse = open_warehouse()
    return new_keys(list(known_batches(warehouse)) if warehouse.exists else [], 1)[0]


def _reporting() -> tuple[AbstractContextManager[Any], "Report"]:
    """Return what is open while it is asked, and what says how far it is."""
    from autoif_assets.cli.pages import console, plain

    terminal = console(err=True)
    status = terminal.status("")

    def report(number: int, of: int, stage: str, how: str) -> None:
        where = f"stage {number} of {of}, {stage}"
        if terminal.is_terminal:
            status.update(plain(f"{where}: {how}" if how else where))
        elif how:
            say(f"{where}: {how}", err=True)

    return (status if terminal.is_terminal else nullcontext()), report


def show(trial: "Trial", command: str) -> None:
    """Print what came of a trial.

    Args:
        trial: What came.
        command: The run that goes on with its answers.
    """
    from autoif_assets.cli.pages import console
    from autoif_assets.cli.preview_pages import pages

    terminal = console()
    for page in pages(trial):
        terminal.print(page)
    for sentence in sentences(trial):
        say(sentence)
    say(f"The answers are kept in {data_dir() / 'journals'} and not paid for again by:\n{command}")


def sentences(trial: "Trial") -> list[str]:
    """Say in sentences what is not shown, and why."""
    said = [f"{trial.requests} of at most {trial.most} requests were sent."]
    if trial.stopped is not None or len(trial.whole) < trial.wanted:
        went = f"{len(trial.whole)} of {trial.wanted} instructions went through every stage"
        why = trial.stopped or "the requests that are left are not enough for another"
        why = why.partition(" Raise the cap")[0].rstrip(".")
        said.append(
            f"{went}: {why[:1].lower()}{why[1:]}. What is shown is what there is; "
            f"--max-requests {max(trial.needed, trial.most + 1)} is enough for all where a server "
            "takes n, and the same command again goes on where this one ended."
        )
    if trial.narrowed:
        said.append(
            "Of each instruction less was asked than its batch asks: one back-translation, one "
            "question to the auditor, one repair and the scores of two responses, as far as its "
            f"recipe has them; from --max-requests {trial.in_full} on all is asked."
        )
    if trial.strange:
        said.append(
            f"Other batches have all of the seeds already: {trial.batch} will be made of new "
            "instructions alone, and asks for other answers."
        )
    return said


def _make(folder: Path) -> None:
    """Make the folder of the rows, before anything is paid for.

    Raises:
        click.ClickException: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be made ({error.strerror}).") from error


def write(trial: "Trial", folder: Path) -> None:
    """Write the tables of a trial and what else is known of it."""
    try:
        for name, rows in trial.tables.items():
            rows.write_parquet(folder / f"{name}.parquet")
        summary = {name: value for name, value in vars(trial).items() if name != "tables"}
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written ({error.strerror}).") from error
