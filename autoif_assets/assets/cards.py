"""What the cards of exports tell of the batches, from what these are pinned to."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import polars as pl

from autoif_assets.datasets import About, AboutBatch, Benchmark
from autoif_assets.inputs import PREFIX, read_seed_queries
from autoif_assets.method.labelled import IN_USE
from autoif_assets.method.recipe import NUMBERS, RECIPES, Recipe
from autoif_assets.resources import settings
from autoif_assets.resources.batch import recipe_of
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.warehouse import Batch, Warehouse, known_batches


def about_batches(warehouse: Warehouse) -> About:
    """Return what is known of all batches, oldest first, and what the settings state."""
    known = sorted(
        known_batches(warehouse).values(),
        key=lambda one: (str(one.created_at or ""), one.batch),
    )
    labelled = _labelled(warehouse)
    stated = settings()
    codes = [code.strip() for code in (stated.languages or "").split(",")]
    return About(
        [_about(batch, labelled.get(batch.batch, (0, 0, 0, 0))) for batch in known],
        _version(),
        stated.license or None,
        list(filter(None, codes)),
        list(_benchmarks(stated.benchmarks)) if stated.benchmarks else [],
    )


def _benchmarks(spec: str) -> Iterator[Benchmark]:
    """Read the prompts of each file, and name it without the folders of this machine."""
    # However long they are; a text is a prompt of each of the files that hold it.
    read = read_seed_queries(spec, None, 0, sys.maxsize)
    read = read.filter(pl.col("reason").fill_null("duplicate") == "duplicate")
    for (source,), rows in read.group_by("source", maintain_order=True):
        name = str(source)
        yield Benchmark(
            name if name.startswith(PREFIX) else Path(name).name, rows["query"].to_list()
        )


def _about(batch: Batch, labelled: tuple[int, int, int, int]) -> AboutBatch:
    pinned = recipe_of(batch) if batch.pinned else None
    synthetic = SimulatorSettings().models
    return AboutBatch(
        batch.batch,
        made=None if batch.created_at is None else f"{batch.created_at:%Y-%m-%d}",
        recipe=batch.recipe,
        recipe_hash=batch.recipe_hash,
        differing=[] if pinned is None else list(_differing(batch.recipe or "paper", pinned)),
        models={role.role: role.model for role in batch.roles},
        language=None if pinned is None else pinned.language,
        # Batches of before recipes were pinned do not say.
        simulated=bool(batch.simulated) or any(role.model in synthetic for role in batch.roles),
        labelled=labelled,
    )


def _differing(name: str, recipe: Recipe) -> Iterator[str]:
    """Say what of a recipe is not the named recipe's own."""
    own = RECIPES[name]
    for number in NUMBERS:
        if (value := getattr(recipe, number)) != getattr(own, number):
            yield f"{number} = {json.dumps(value, ensure_ascii=False)}"


def _labelled(warehouse: Warehouse) -> dict[str, tuple[int, int, int, int]]:
    """Sum up, of each batch, what people's labels say of the verifiers in use."""
    found = warehouse.read("labelled_agreement").filter(gate=IN_USE)
    sums = found.group_by("batch").agg(
        pl.len(),
        (pl.col("agreed") == pl.col("texts")).sum().alias("right"),
        pl.col("texts").sum(),
        pl.col("agreed").sum(),
    )
    return {batch: tuple(numbers) for batch, *numbers in sums.iter_rows()}


@cache
def _version() -> str:
    """Return the version of this package, and its commit where it is from a repository."""
    commit = _installed_commit() or _commit_here()
    try:
        number = version("autoif-assets")
    except PackageNotFoundError:
        number = "(not installed)"
    return f"{number} (commit `{commit}`)" if commit else number


def _installed_commit() -> str | None:
    """Return the commit that pip installed, if it was asked for one (PEP 610)."""
    try:
        said: Any = json.loads(distribution("autoif-assets").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError, OSError):
        return None
    return (said.get("vcs_info") or {}).get("commit_id") if isinstance(said, dict) else None


def _commit_here() -> str | None:
    """Return the commit of the checkout that this runs from, if it is one."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
