"""How far a run is, as a terminal and a file are told."""

import io
from contextlib import ExitStack

import dagster as dg
import pytest
from rich.console import Console

from autoif_assets.automation.console import CONSOLE
from autoif_assets.cli.progress import Board, showing
from autoif_assets.endpoint import Progress
from autoif_assets.resources.telling import Remark, Step, Told, listening, tell


def calls(done, total, **counts):
    return Progress(total=total, reused=0, done=done, failed=0, elapsed_s=2.0, **counts)


def board():
    return Board("b1", 3, {"asks": 1_000, "asks_more": 3_000})


def test_stages_rows_tokens_and_cost_are_counted_over_the_whole_batch():
    shown = board()
    assert shown.where() == "0 of 3 stages are done"
    shown.told(Step("asks", "begun"))
    counts = {"prompt_tokens": 300, "completion_tokens": 1_000, "cost": 0.25}
    shown.told(Told("asks", "verifier", 2, 4, calls(2, 4, **counts)))
    assert shown.where().startswith("stage 1 of 3, asks, ")
    assert shown.where().endswith(": 2 of 4 verifier calls")
    shown.told(Step("asks", "made", 7))
    assert shown.told(Step("asks", "done")).startswith("stage 1 of 3, asks, 7 rows, ")
    assert shown.totals().startswith("7 rows, 1,300 tokens, cost 0.25, ")
    # 500 tokens a second, and 3,000 are to come.
    assert shown.left_s() == pytest.approx(6.0)
    assert "about 6.0 s left" in shown.totals()
    shown.told(Step("runs", "begun"))
    shown.told(Told("runs", "sandbox", 10, 40))
    assert shown.where().endswith(": 10 of 40 verifiers run")


def test_nothing_is_said_of_the_time_left_while_nothing_tells():
    assert board().left_s() is None


def test_a_terminal_gets_a_board_and_warnings_above_it(capfd, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with ExitStack() as stack:
        out = stack.enter_context(open("/dev/stderr", "w"))  # noqa: PTH123
        terminal = Console(file=out, force_terminal=True)
        assert stack.enter_context(showing(board(), terminal)) is True
        tell(Step("asks", "begun"))
        tell(Step("asks", "done"))
        tell(Remark("warning: something"))
    shown = capfd.readouterr().err
    assert "stage 1 of 3, asks" in shown and "warning: something" in shown and "1/3" in shown


def test_elsewhere_each_stage_is_a_line(capsys):
    with showing(board(), Console(file=io.StringIO())) as on_terminal:
        assert not on_terminal
        tell(Step("asks", "begun"))
        tell(Remark("warning: the log has it"))
        tell(Step("asks", "made", 7))
        tell(Step("asks", "done"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stage 1 of 3, asks, 7 rows, ")


@dg.op
def says(context):
    context.log.info("words")
    context.log.warning("careful")


@dg.op(ins={"given": dg.In(dg.Nothing)})
def stops():
    raise dg.Failure("no room: make some")


@dg.job(logger_defs={"console": CONSOLE})
def a_job():
    stops(says())


def test_lines_are_brief_and_steps_are_told(capfd):
    heard = []
    config = {"console": {"config": {"brief": True}}}
    with listening(heard.append):
        ran = a_job.execute_in_process(raise_on_error=False, run_config={"loggers": config})
    shown = capfd.readouterr().err
    assert ran.run_id not in shown and "dagster - " not in shown
    assert "says: words" in shown and "warning: says: careful" in shown
    assert shown.count("no room: make some") == 1
    steps = [(one.name, one.what) for one in heard if isinstance(one, Step)]
    assert steps == [("says", "begun"), ("says", "done"), ("stops", "begun"), ("stops", "failed")]
    assert Remark("warning: says: careful") in heard
