"""Rewards for RL trainers: the server of an export's verifiers."""

import os
from pathlib import Path

import click

from autoif_assets.cli.home import open_warehouse
from autoif_assets.cli.output import say


@click.group()
def rewards() -> None:
    """Verifiers as rewards for RL trainers."""


@rewards.command("serve")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder exports/reward, or a verifiers.jsonl. [default: of the data folder]",
)
@click.option("--host", default="127.0.0.1", help="Another than loopback needs a token.")
@click.option("--port", default=8300, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--workers", default=0, type=click.IntRange(0), help="0: one a core.")
@click.option("--token-variable", metavar="NAME", help="Variable that holds the callers' token.")
@click.option("--strict", is_flag=True, help="Each verifier in a process of its own; slower.")
@click.option("--deadline", default=10.0, type=click.FloatRange(0.1), help="Seconds of a batch.")
@click.option(
    "--max-verifiers", default=3, type=click.IntRange(1), help="Asked of an instruction, at most."
)
@click.option(
    "--max-items", default=32_768, type=click.IntRange(1), help="Completions held at a time."
)
@click.option("--module", "modules", multiple=True, help="Module that verifiers may import.")
@click.option(
    "--judge-url", metavar="URL", help="OpenAI-compatible server of a judge that may veto rewards."
)
@click.option("--judge-model", metavar="NAME", help="Its model.")
@click.option("--judge-key-variable", metavar="NAME", help="Variable that holds its key.")
def rewards_serve(
    data: Path | None,
    host: str,
    port: int,
    workers: int,
    token_variable: str | None,
    strict: bool,
    deadline: float,
    max_verifiers: int,
    max_items: int,
    modules: tuple[str, ...],
    judge_url: str | None,
    judge_model: str | None,
    judge_key_variable: str | None,
) -> None:
    """Serve the rewards of an export until interrupted.

    Routes: /score, /get_reward (OpenRLHF), /verify (NeMo Gym), /health, /metrics.
    """
    from autoif_assets.resources.storage import exported
    from autoif_assets.rewards import Scorer
    from autoif_assets.rewards.judge import ModelJudge
    from autoif_assets.rewards.server import check_address, run

    token = os.environ.get(token_variable, "") if token_variable else ""
    if token_variable and not token:
        raise click.ClickException(
            f"The variable {token_variable} is empty or not set; put the callers' token there."
        )
    if (judge_url is None) != (judge_model is None):
        raise click.ClickException("A judge needs both --judge-url and --judge-model.")
    check_address(host, token)
    judge = None
    if judge_url is not None and judge_model is not None:
        judge = ModelJudge(judge_url, judge_model, os.environ.get(judge_key_variable or "", ""))
    scorer = Scorer(
        data if data is not None else exported(open_warehouse(), "reward"),
        workers=workers,
        share=not strict,
        max_verifiers=max_verifiers,
        deadline_s=deadline,
        modules=modules,
        judge_veto=judge,
    )
    level = scorer.engine.confinement

    def ready(url: str) -> None:
        say(f"Rewards of {len(scorer.bank)} instructions at {url} (confinement: {level}).")

    run(scorer, host, port, token, ready, max_items=max_items)
    say("Rewards are no longer served.", err=True)
