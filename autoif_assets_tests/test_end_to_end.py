"""The user's own files and batches, through Dagster and the command line."""

import subprocess
import sys

import dagster as dg
import polars as pl
import pytest

from autoif_assets.resources import Inputs
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.simulator.models import MILD

from .assets.pipeline import SMALL, accepted, run_batch, tables
from .environment import paper_environment

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering_sandbox")]

TINY = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 8,
    "verifiers_per_instruction": 5,
    "responses_per_prompt": 3,
}


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SimulatorSettings(**MILD)) as running:
        yield running


def failure(result: dg.ExecuteInProcessResult) -> tuple[str, str, str]:
    """Return the failed step, the message of the error at the root and all that the UI shows."""
    (event,) = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    while error.cause is not None:
        error = error.cause
    return event.step_key, error.message.strip(), event.step_failure_data.error_display_string


@pytest.mark.long
def test_both_files_of_real_queries_become_prompts(shared_data, simulator, tmp_path):
    folder = shared_data / "queries"
    files = sorted(folder.glob("*.json"))
    assert len(files) == 2
    result = run_batch(
        tmp_path,
        simulator.base_url,
        overrides=TINY | {"queries_per_instruction": 6},
        inputs=Inputs(queries=str(folder / "*.json")),
    )
    assert result.success
    t = tables(tmp_path)
    queries = accepted(t["seed_queries"])
    for file in files:
        assert queries.filter(pl.col("source").str.ends_with(file.name)).height > 50
    used = t["augmented_queries"].join(queries, on="query_id")
    assert used["source"].n_unique() == 2
    assert (used["query"] == used["query_right"]).all()
    # Every prompt holds a user's words; nothing of the packaged queries is left.
    assert used.height == t["augmented_queries"].height > 0
    assert t["sft_examples"].height > 0
    assert t["preference_pairs"].height > 0


NO_SERVER = "http://127.0.0.1:9/v1"  # asking it would be another failure
BAD_QUERIES = [
    (None, "no such file"),
    ("{not json", "record 1 is not JSON"),
    ('{"instruction": 5}', "none of 1 records is a usable query (1 no_text)"),
    ('{"text": "What is rain made of?"}', 'the file has: text; expected "conversations"'),
    ('{"instruction": "Hi"}', "none of 1 records is a usable query (1 too_short)"),
    ('{"instruction": "Où est la gare du Nord?"}'.encode("latin-1"), "save the file as UTF-8"),
]


@pytest.mark.parametrize(("content", "words"), BAD_QUERIES)
def test_bad_queries_fail_their_step_with_one_message(tmp_path, content, words):
    path = tmp_path / "mine.jsonl"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run_batch(
        tmp_path / "data", NO_SERVER, inputs=Inputs(queries=str(path)), only="seed_queries"
    )
    assert not result.success
    step, message, shown = failure(result)
    assert step == "seed_queries"
    assert message.startswith(f"autoif_assets.inputs.files.InputError: {path}: ")
    assert words in message
    assert message in shown


def test_bad_seeds_fail_their_step_with_one_message(tmp_path):
    path = tmp_path / "seeds.csv"
    path.write_text("text\nUse no commas.\n")
    # The whole job: nothing that needs the seeds runs without them.
    result = run_batch(tmp_path / "data", NO_SERVER, inputs=Inputs(seeds=str(path)))
    assert not result.success
    step, message, _ = failure(result)
    assert step == "seed_instructions"
    assert f'{path}: the file has: text; expected "instruction"' in message


def test_the_command_line_says_which_files_are_bad(simulator, tmp_path):
    queries, seeds = tmp_path / "q.json", tmp_path / "s.jsonl"
    queries.write_text('[{"instruction": ')
    seeds.write_text('{"text": "Use no commas."}')
    done = autoif_run(
        tmp_path / "data",
        simulator.base_url,
        "b1",
        AUTOIF_QUERIES=str(queries),
        AUTOIF_SEEDS=str(seeds),
    )
    assert done.returncode == 2
    seeds_line, queries_line = done.stderr.splitlines()
    assert "s.jsonl: the file has: text" in seeds_line
    assert "q.json: record 1 is not JSON" in queries_line


@pytest.mark.long
def test_any_text_may_name_a_batch(simulator, tmp_path):
    """By the command; `test_reruns` has another one beside it and runs it again."""
    quoted = """it's "quoted" 50% off / 批次 ünï/code #1"""
    done = autoif_run(tmp_path, simulator.base_url, quoted)
    assert done.returncode == 0, done.stderr[-3000:]
    t = tables(tmp_path)
    assert t["sft_examples"]["batch"].unique().to_list() == [quoted]
    assert t["llm_calls"]["batch"].unique().to_list() == [quoted]


def autoif_run(data, base_url, batch, **variables):
    """Run `autoif run` to its end."""
    environment = paper_environment() | {
        "AUTOIF_DATA": str(data),
        "AUTOIF_BASE_URL": base_url,
        "AUTOIF_MODEL": "autoif-simulator",
        **variables,
    }
    numbers = SMALL | TINY
    overrides = [f"--set={name}={value}" for name, value in numbers.items()]
    return subprocess.run(
        [sys.executable, "-m", "autoif_assets.cli", "run", "--batch", batch, *overrides],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
