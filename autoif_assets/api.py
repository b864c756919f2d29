"""The Python API: what `import autoif_assets as autoif` offers, loaded when it is first used.

In a notebook all of it can be called as it is: nothing here minds that an event loop runs.
"""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, overload

import duckdb
import polars as pl

from autoif_assets.datasets import KTO, PREFERENCE, REWARD, SFT, SPLITS
from autoif_assets.method.recipe import Recipe, make_recipe
from autoif_assets.method.responses import verify_responses
from autoif_assets.method.verifiers import verifier_runs
from autoif_assets.resources import SandboxResource
from autoif_assets.resources.settings import settings, variables
from autoif_assets.resources.storage import configured_warehouse, exported
from autoif_assets.sandbox import needs_query, static_check

if TYPE_CHECKING:
    import datasets
    import pandas

__all__ = ["RunFailed", "dataset", "preview", "run", "sql", "verify"]

# What an endpoint takes beside its settings: secrets, which are in the environment alone.
_SECRETS = {"api_key": "api_key_variable", "extra_headers": "extra_headers_variable"}
_LAST_LINES = 3  # of a run, which say why it failed


class RunFailed(RuntimeError):
    """A batch or a preview was not made; the message is the end of what the run said."""


@overload
def dataset(
    name: str = ...,
    split: Literal["train", "eval"] = ...,
    format: Literal["polars"] = ...,
    *,
    data: Path | str | None = ...,
) -> pl.DataFrame: ...


@overload
def dataset(
    name: str = ...,
    split: Literal["train", "eval"] = ...,
    *,
    format: Literal["datasets"],
    data: Path | str | None = ...,
) -> "datasets.Dataset": ...


@overload
def dataset(
    name: str = ...,
    split: Literal["train", "eval"] = ...,
    *,
    format: Literal["pandas"],
    data: Path | str | None = ...,
) -> "pandas.DataFrame": ...


def dataset(
    name: str = "sft",
    split: Literal["train", "eval"] = "train",
    format: Literal["polars", "datasets", "pandas"] = "polars",
    *,
    data: Path | str | None = None,
) -> Any:
    """Return a split of an exported dataset: messages as trainers take them, with ids and scores.

    Args:
        name: Folder of the export: ``sft``, ``preference``, ``kto``, ``reward``, or
            ``online/POLICY``.
        split: ``train`` or ``eval``, which share neither an instruction nor a query.
        format: ``polars``, ``datasets`` (of Hugging Face, as TRL takes it) or ``pandas``.
        data: The data folder; that of the settings (AUTOIF_DATA) if None.

    Raises:
        ValueError: There is no such split or format.
        FileNotFoundError: There is no such export yet.
        ImportError: The library of the format is not installed.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; there are {' and '.join(SPLITS)}.")
    if format not in ("polars", "datasets", "pandas"):
        raise ValueError(f"The format is {format!r}; take 'polars', 'datasets' or 'pandas'.")
    exports = _folder(data) / "exports"
    # A policy's folder is named as its exports name it.
    head, slash, policy = name.partition("/")
    folder = exports / head / policy.replace("/", "%2F") if slash else exports / name
    if head != "hub":
        exported(configured_warehouse(_folder(data)), folder.relative_to(exports).as_posix())
    wholes = sorted({kind.formats[0].path(split) for kind in (KTO, PREFERENCE, REWARD, SFT)})
    path = next((folder / whole for whole in wholes if (folder / whole).is_file()), None)
    if path is None:
        there = sorted(
            found.parents[1].relative_to(exports).as_posix().replace("%2F", "/")
            for whole in wholes
            for found in exports.glob(f"**/{whole}")
        )
        told = f"there are {', '.join(there)}" if there else "run a batch, which exports at its end"
        raise FileNotFoundError(f"No dataset {name!r} is in {exports}; {told}.")
    rows = pl.read_parquet(path)
    if format == "polars":
        return rows
    try:
        if format == "pandas":
            return rows.to_pandas()
        from datasets import Dataset
    except ImportError as error:
        raise ImportError(
            f"The format {format!r} needs {error.name or format}: pip install 'autoif-assets[hub]'."
        ) from error
    return Dataset.from_polars(rows)


def sql(
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    data: Path | str | None = None,
) -> pl.DataFrame:
    """Ask the tables, as they were published last.

    Args:
        query: In DuckDB's SQL; the tables are in the schema ``autoif`` (docs/tables.md).
        parameters: What stands for ``?`` or ``$name`` in it.
        data: The data folder; that of the settings (AUTOIF_DATA) if None.

    Raises:
        WarehouseError: Nothing is published in this folder.
        duckdb.Error: It cannot be answered.
    """
    with _published(data) as con:
        relation = con.sql(query, params=parameters)
        # Older versions of DuckDB return nothing for a statement that is no query.
        return pl.DataFrame() if relation is None else pl.DataFrame(relation.to_arrow_table())


def verify(
    instruction_or_source: str,
    responses: str | Sequence[str],
    *,
    queries: str | Sequence[str] | None = None,
    modules: Sequence[str] = (),
    data: Path | str | None = None,
) -> pl.DataFrame:
    """Say which responses follow an instruction, by running verifiers on them in the sandbox.

    Args:
        instruction_or_source: An instruction of the tables, by its text or its id, whose verifiers
            in use are run; or the source of a function ``evaluate(response)``.
        responses: One or several.
        queries: What each of them answers, or one for all, for verifiers that ask for it.
        modules: Installed modules that the verifiers may import beside the standard ones; those
            of the tables also have what their batch allows.
        data: The data folder; that of the settings (AUTOIF_DATA) if None.

    Returns:
        A row a response: ``response``, ``passed`` (null where the verifiers gave no verdict, which
        is no failure), ``pass_rate``, ``reason`` and ``outcomes``, that of each verifier.

    Raises:
        ValueError: The source cannot be a verifier, no verifier of the instruction is in use, or
            there are not as many queries as responses.
        WarehouseError: Nothing is published in this folder.
        SandboxUnavailable: This machine cannot confine verifiers.
    """
    texts = [responses] if isinstance(responses, str) else list(responses)
    asked = [queries] * len(texts) if queries is None or isinstance(queries, str) else list(queries)
    if len(asked) != len(texts):
        raise ValueError(f"There are {len(texts)} responses and {len(asked)} queries.")
    if "def evaluate" in instruction_or_source:
        if why := static_check(instruction_or_source, modules):
            raise ValueError(f"The source cannot be run as a verifier: {why}.")
        verifiers = pl.DataFrame({"verifier_id": ["given"], "source": [instruction_or_source]})
        allowed = list(modules)
    else:
        verifiers, allowed = _in_use(instruction_or_source, data)
        allowed = list(dict.fromkeys([*allowed, *modules]))
    inputs = pl.DataFrame(
        {"input_id": list(map(str, range(len(texts)))), "input": texts, "query": asked},
        schema={"input_id": pl.String, "input": pl.String, "query": pl.String},
    ).with_columns(instruction_id=pl.lit("given"))
    runs = verifier_runs(
        verifiers.with_columns(instruction_id=pl.lit("given")),
        inputs if queries is not None else inputs.drop("query"),
        needs_query,
    )
    with SandboxResource().session(None, allowed) as session:
        outcomes = session.run(runs)
    answered = inputs.select("instruction_id", response_id="input_id", prompt_id="input_id")
    verdicts = verify_responses(answered, outcomes, make_recipe("paper"))
    return verdicts.select(
        response=inputs["input"],
        passed=pl.when(pl.col("reason").is_null() | (pl.col("reason") == "low_pass_rate")).then(
            pl.col("status") == "accepted"
        ),
        pass_rate="pass_rate",
        reason="reason",
        outcomes="outcomes",
    )


def run(
    batch: str = "batch-1",
    *,
    recipe: str | None = None,
    numbers: Mapping[str, Any] | None = None,
    endpoints: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: Path | str | None = None,
    queries: Path | str | None = None,
    prompts: Path | str | None = None,
    max_requests: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    replace: bool = False,
    data: Path | str | None = None,
) -> pl.DataFrame:
    """Make a batch and the exports, as ``autoif run`` does, and print what that says.

    It runs in a process of its own: the environment and the event loop of this one stay as they
    are. What is not given is as the settings say. A batch that is complete is not made again, and
    one that was stopped goes on where it was.

    Args:
        batch: Key of the batch.
        recipe: ``audited``, ``paper`` or ``authors_code``.
        numbers: Numbers that replace the recipe's, such as ``{"responses_per_prompt": 4}``.
        endpoints: Whom to ask, by role (``supervision``, ``responder``, ``judge``, ``auditor``,
            ``nli``): settings of `autoif settings` such as ``base_url`` and ``model``, and
            ``api_key``, which is handed on and stored nowhere.
        seeds: File of the seed instructions.
        queries: File or files of the user queries.
        prompts: Folder of Jinja files that replace packaged prompts.
        max_requests: Stop before more requests are sent.
        max_tokens: Stop before more tokens are spent, in and out.
        max_cost: Stop before it costs more.
        replace: Discard what the batch holds if this asks for another recipe or model than its
            first run pinned.
        data: The data folder; that of the settings (AUTOIF_DATA) if None.

    Returns:
        What each gate kept and why it rejected the rest: the rows of ``autoif.funnel``.

    Raises:
        ValueError: A role or one of its settings is not known.
        RunFailed: The batch was not made. The same call goes on: what was paid is not asked again.
    """
    command = ["run", "--batch", batch, *_numbers(recipe, numbers)]
    caps = {"requests": max_requests, "tokens": max_tokens, "cost": max_cost}
    for name, cap in caps.items():
        command += [] if cap is None else [f"--max-{name}", str(cap)]
    command += ["--replace", "--yes"] if replace else []
    _follow(command, _environment(seeds, queries, prompts, data, endpoints))
    return sql(
        "SELECT * EXCLUDE (batch) FROM autoif.funnel WHERE batch = ?"
        " ORDER BY position, status, rows DESC, reason",
        [batch],
        data=data,
    )


def preview(
    instructions: int = 5,
    *,
    max_requests: int = 20,
    batch: str | None = None,
    recipe: str | None = None,
    numbers: Mapping[str, Any] | None = None,
    endpoints: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: Path | str | None = None,
    queries: Path | str | None = None,
    prompts: Path | str | None = None,
    data: Path | str | None = None,
) -> dict[str, pl.DataFrame]:
    """Send a few instructions through every stage, as ``autoif preview`` does, and print them.

    No batch is made and no table written. The answers are kept: ``autoif.run`` of the batch with
    the same recipe, models and seeds does not ask for them again.

    Args:
        instructions: How many go, the first of the seeds.
        max_requests: Most HTTP requests; where all instructions need more, fewer of them go.
        batch: Key of the batch whose run is to go on with the answers; ``batch-1``, or the next
            that is new, if None.
        recipe: As of `run`, and so are the other arguments.
        numbers: As there.
        endpoints: As there.
        seeds: As there.
        queries: As there.
        prompts: As there.
        data: As there.

    Returns:
        The rows by table, such as ``verifiers`` and ``responses``, without the column ``batch``.

    Raises:
        ValueError: A role or one of its settings is not known.
        RunFailed: It could not be asked; the message is the end of what was said.
    """
    command = ["preview", "-n", str(instructions), "--max-requests", str(max_requests)]
    command += [] if batch is None else ["--batch", batch]
    environment = _environment(seeds, queries, prompts, data, endpoints)
    with TemporaryDirectory() as folder:
        _follow([*command, *_numbers(recipe, numbers), "--out", folder], environment)
        return {path.stem: pl.read_parquet(path) for path in sorted(Path(folder).glob("*.parquet"))}


def _numbers(recipe: str | None, numbers: Mapping[str, Any] | None) -> list[str]:
    """Return the options of a command that say by which recipe."""
    options = [] if recipe is None else ["--recipe", recipe]
    for name, value in (numbers or {}).items():
        options += ["--set", f"{name}={json.dumps(value)}"]
    return options


def _environment(
    seeds: Path | str | None,
    queries: Path | str | None,
    prompts: Path | str | None,
    data: Path | str | None,
    endpoints: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, str]:
    """Return the environment of a command that is to take these in the place of the settings."""
    files = {"SEEDS": seeds, "QUERIES": queries, "PROMPTS": prompts, "DATA": data}
    return {
        **os.environ,
        **{
            f"AUTOIF_{name}": str(Path(path).expanduser())
            for name, path in files.items()
            if path is not None
        },
        **_endpoint_variables(endpoints or {}),
        # What it says is shown as it comes.
        "PYTHONUNBUFFERED": "1",
    }


def _folder(data: Path | str | None) -> Path:
    return Path(settings().data if data is None else data).expanduser().absolute()


def _published(data: Path | str | None) -> duckdb.DuckDBPyConnection:
    """Open the published copy; only as long as it is asked, for runs replace it."""
    return configured_warehouse(_folder(data)).reader()


def _in_use(instruction: str, data: Path | str | None) -> tuple[pl.DataFrame, list[str]]:
    """Return the verifiers in use of an instruction, and the modules its batches allow."""
    found = sql(
        "SELECT verifier_id, source, numbers FROM autoif.verifier_gallery"
        " LEFT JOIN autoif.batches USING (batch)"
        " WHERE instruction_status = 'accepted' AND ? IN (instruction, instruction_id)"
        " ORDER BY verifier_id, batch",
        [instruction],
        data=data,
    )
    if found.is_empty():
        raise ValueError(
            f"No verifier in use is of the instruction {instruction!r}. Give its text or its id as "
            "autoif.verifier_gallery has it, or the source of a function evaluate(response)."
        )
    said = [json.loads(numbers) for numbers in found["numbers"] if numbers]
    modules = [name for of in said for name in of.get("modules") or _MODULES]
    verifiers = found.select("verifier_id", "source").unique("verifier_id", maintain_order=True)
    return verifiers, list(dict.fromkeys(modules))


_MODULES: Sequence[str] = Recipe.model_fields["modules"].get_default(call_default_factory=True)


def _endpoint_variables(endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the environment variables that say whom a run is to ask."""
    known: dict[str, dict[str, str]] = {}
    for path, variable in variables().items():
        if path[0] == "endpoints":
            known.setdefault(path[1], {})[path[2]] = variable
    found = {}
    for role, given in endpoints.items():
        if role not in known:
            raise ValueError(f"There is no role {role!r}; there are {', '.join(known)}.")
        of_role = known[role]
        names = {name: v for name, v in of_role.items() if name not in _SECRETS.values()}
        names |= {name: of_role[setting] for name, setting in _SECRETS.items()}
        for name, value in given.items():
            if name not in names:
                raise ValueError(
                    f"An endpoint has no setting {name!r} here; it has {', '.join(sorted(names))}."
                )
            if isinstance(value, list | tuple):
                value = ",".join(map(str, value))
            found[names[name]] = value if isinstance(value, str) else json.dumps(value)
    return found


def _follow(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command of `autoif` and print what it says, as it comes.

    Raises:
        RunFailed: It ended otherwise than well.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        [sys.executable, "-m", "autoif_assets.cli", *command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                # Not by the child itself: a notebook shows what this process prints.
                print(line, end="", flush=True)
                if line.strip():
                    last.append(line.strip())
        except BaseException:
            # Of a notebook only the kernel is interrupted. What was paid is in the journals.
            process.send_signal(signal.SIGINT)
            raise
    if process.returncode:
        raise RunFailed("\n".join(last) or f"The run ended with exit code {process.returncode}.")
