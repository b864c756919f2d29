"""`autoif demo`, `demo-llm` and `demo-loop`: a batch without a server of one's own."""

import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import click

from autoif_assets.cli.home import DEMO_MODEL, data_dir, open_warehouse, program, typed
from autoif_assets.cli.output import say
from autoif_assets.cli.policies import add_policy, print_scorecard, run_round, train_next
from autoif_assets.cli.runs import parse_override, resource_config, run_batch
from autoif_assets.cli.servers import ask_only, module_server, server


@click.command()
@click.option("--batch", default="demo", help="Key of the batch.")
def demo(batch: str) -> None:
    """Run one batch against the built-in simulator: synthetic data that shows the machinery."""
    click.secho(
        "The demo's model is a simulator: its data is synthetic and shows the machinery only.",
        bold=True,
    )
    with server("simulate", "--port", "0", "--model", DEMO_MODEL) as base_url:
        ask_only(base_url, DEMO_MODEL)
        before = completions_served(base_url)
        run_batch(batch, resource_config(overrides=_ALL_PAIRS))
        # Self-alignment: the policy is the supervision model, at whatever port it is now.
        add_policy("demo-policy", model=DEMO_MODEL)
        run_round("demo-policy", batch, resource_config(overrides=_ALL_PAIRS))
        print_scorecard(batch)
        click.echo(f"Requests to the simulator: {completions_served(base_url) - before}")
    print_examples(batch)


def print_examples(batch: str) -> None:
    """Print a row and a pair of a batch, and what a person may type next."""
    from autoif_assets.cli.pages import TEXT_CHARS, console, pair_page, panel, plain

    warehouse, terminal = open_warehouse(), console()
    rows = warehouse.query(
        "SELECT example_id, prompt, response, score FROM autoif.sft_examples"
        " WHERE batch = ? AND status = 'accepted' ORDER BY score DESC, example_id LIMIT 1",
        [batch],
    ).to_dicts()
    pairs = warehouse.query(
        "SELECT * FROM autoif.preference_pairs WHERE batch = ? AND status = 'accepted'"
        " ORDER BY level DESC, margin DESC, pair_id LIMIT 1",
        [batch],
    ).to_dicts()
    for row in rows:
        title = f"SFT example {row['example_id']}, score {row['score']:g}"
        prompt = plain(row["prompt"], TEXT_CHARS, style="bold")
        terminal.print(panel(title, prompt, plain(row["response"], TEXT_CHARS)))
    for pair in pairs:
        terminal.print(pair_page(f"Preference pair {pair['pair_id']}", pair))
    say("\nWhere the pair comes from, the UI, and a look at what your own model makes:")
    for pair in pairs:
        say(f"  {typed('show', pair['pair_id'])}")
    # Its server is gone: what is made in the UI needs another.
    say(f"  {typed('dev', '--simulate')}")
    own = "AUTOIF_DATA=mine AUTOIF_BASE_URL=http://localhost:8000/v1 AUTOIF_MODEL=NAME"
    say(f"  {own} {shlex.quote(program())} preview")


# What the recipe leaves out for its cost: the simulator's answers cost nothing. Fewer instructions
# than the recipe's, for somebody is waiting.
_ALL_PAIRS = {
    "instructions_per_batch": 40,
    "near_misses_per_prompt": 4,
    "further_responses_per_prompt": 8,
    "score_failing": True,
    "likelihood_of": "kept",
    "spin_pairs": True,
}

# A small batch: as much as a laptop's CPU does while a person waits.
SMALL = {
    "instructions_per_batch": 2,
    "instructions_per_call": 2,
    "seed_examples_per_call": 12,
    "seeds_per_batch": 10,
    "verifiers_per_instruction": 4,
    "back_translations_per_instruction": 2,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
    # No request asks for more completions than the server computes at a time.
    "obeying_probes_per_instruction": 4,
    "breaking_probes_per_instruction": 2,
    "self_instruct_max_tokens": 200,
    "verifier_max_tokens": 384,
    "boundary_cases_max_tokens": 384,
    "repair_max_tokens": 384,
    "response_max_tokens": 128,
}


@click.command("demo-llm")
@click.option("--batch", default="demo", help="Key of the batch.")
@click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Replace a number; repeatable."
)
def demo_llm(batch: str, overrides: tuple[str, ...]) -> None:
    """Run one small batch against a real small model on this machine's CPU."""
    from autoif_assets.localmodel import DEFAULT_MODEL, fetch, running

    # Not beside the simulator's synthetic data.
    os.environ["AUTOIF_DATA"] = os.environ.get("AUTOIF_DATA") or str(data_dir() / "demo-llm")
    model = os.environ.get("AUTOIF_LOCAL_MODEL") or DEFAULT_MODEL
    gguf = fetch(model)
    click.echo(f"Serving {gguf.name} with llama.cpp; its log is quiet, the run's is not.")
    with running(gguf, slots=SMALL["responses_per_prompt"]) as base_url:
        ask_only(base_url, gguf.stem)
        # More requests than slots would only wait in the server and run into the time limit.
        os.environ["AUTOIF_MAX_CONCURRENCY"] = "2"
        numbers = {**SMALL, **dict(map(parse_override, overrides))}
        config = resource_config(overrides=numbers)
        # Its answers are kept short: some are cut off, and that is meant to be.
        config["supervision"]["config"]["max_failed_share"] = 0.5
        run_batch(batch, config)


# A tiny model learns from few rows only with steps far bigger than the paper's.
_TINY_TRAINING = (
    "batch=8 per_device_train_batch_size=8 bf16=false use_cpu=true gradient_checkpointing=false "
    "max_length=1024 warmup_steps=0 logging_steps=5"
)
_TINY = {
    "instructions_per_batch": 8,
    "seeds_per_batch": 30,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 4,
    "responses_per_prompt": 4,
    "eval_share": 0.2,
    # A model that learns next to nothing has next to no pairs of its own.
    "spin_pairs": True,
    # Bytes, for the tiny model's tokens are bytes.
    "response_max_tokens": 160,
}


@click.command("demo-loop")
@click.option("--model", help="Folder of a small model; a tiny one of random weights if not given.")
def demo_loop(model: str | None) -> None:
    """Run SFT and two DPO iterations for real, on a tiny model on this machine's CPU.

    Needs the extra `train`. It proves the mechanics: the data is the simulator's, and a model of
    random weights learns nothing that one would call following instructions.
    """
    from importlib.util import find_spec
    from pathlib import Path

    if not all(map(find_spec, ("trl", "transformers", "torch"))):
        raise click.ClickException("Install the extra first: pip install 'autoif-assets[train]'.")
    os.environ["AUTOIF_DATA"] = os.environ.get("AUTOIF_DATA") or str(data_dir() / "demo-loop")
    base = Path(model) if model else data_dir() / "checkpoints" / "tiny"
    if not (base / "config.json").exists():
        from autoif_assets.recipes.tiny_model import make_tiny_model

        make_tiny_model(base)
    config = resource_config(overrides=_TINY)
    # A policy of random weights hardly ever ends an answer.
    sampling = {"policy": {"config": {"max_failed_share": 1.0}}}
    trainer = f"{sys.executable} -m autoif_assets.recipes.trl_train {_TINY_TRAINING}"
    # With DPO a third of the step: the model is trained already.
    rates = {"sft": "learning_rate=3e-3 num_train_epochs=8", "online": "learning_rate=1e-3"}
    with server("simulate", "--port", "0", "--model", DEMO_MODEL) as base_url:
        ask_only(base_url, DEMO_MODEL)
        run_batch("loop", config)
    add_policy("base", model="base", checkpoint=str(base.absolute()))
    steps = [("base", "sft-0", "sft"), ("sft-0", "dpo-1", "online"), ("dpo-1", "dpo-2", "online")]
    _sample("base", config | sampling)
    for previous, following, data in steps:
        click.secho(f"Training {following} from {previous} on {data} data", bold=True)
        command = {"trainer": {"config": {"command": f"{trainer} {rates[data]}"}}}
        train_next(previous, following, data, {**config, **command})
        _sample(following, config | sampling)
    print_scorecard("loop")


def _sample(name: str, config: Mapping[str, Any]) -> None:
    """Serve a policy's checkpoint as long as the online assets of the batch ask it."""
    from dataclasses import replace

    from autoif_assets.warehouse import find_policy, register_policy

    warehouse = open_warehouse()
    policy = find_policy(warehouse, name)
    assert policy.checkpoint is not None
    serving = ("autoif_assets.serving.checkpoint", policy.checkpoint, "--model", policy.model)
    with module_server(*serving) as base_url:
        register_policy(warehouse, replace(policy, base_url=base_url))
        run_round(name, "loop", config)


def completions_served(base_url: str) -> int:
    """Return how many completion requests the simulator has answered."""
    import json
    from urllib.request import urlopen

    with urlopen(base_url.removesuffix("/v1") + "/debug/stats") as reply:
        return int(json.load(reply)["served"])
