"""`autoif batch watch`: a batch that another process makes, followed to its end."""

import dagster as dg
import pytest
from click.testing import CliRunner

from autoif_assets.automation.partitions import BATCHES
from autoif_assets.cli import main
from autoif_assets.cli.home import prepare_home
from autoif_assets.cli.watch import _follow, _newest

from .environment import clear

BATCH = {"dagster/partition": "b1"}


@dg.asset
def rows(context) -> dg.MaterializeResult:
    context.log.info("verifier: 1/1 calls")
    return dg.MaterializeResult(metadata={"dagster/row_count": 7})


@dg.asset(deps=[rows])
def fails() -> None:
    raise dg.Failure("no room: make some")


def test_what_a_run_says_is_shown_until_it_is_over(capsys):
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([rows, fails], instance=instance, tags=BATCH, raise_on_error=False)
        capsys.readouterr()
        run = _newest(instance, "b1")
        _follow(instance, run)
    shown = capsys.readouterr().err
    assert "stage 1 of 2, rows, 7 rows, " in shown
    assert " rows: verifier: 1/1 calls\n" in shown
    assert run.run_id not in shown


@pytest.fixture
def watch(tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(BATCHES.name), ["b1"])
    return lambda name: CliRunner().invoke(main, ["batch", "watch", name], catch_exceptions=False)


@pytest.mark.slow
def test_a_batch_that_nobody_makes_is_told(watch):
    assert "There is no batch b2" in watch("b2").output
    done = watch("b1")
    assert (done.exit_code, "No run has made b1 yet" in done.output) == (2, True)
    with dg.DagsterInstance.get() as instance:
        status = dg.DagsterRunStatus.CANCELED
        instance.add_run(dg.DagsterRun(job_name="batch", tags=BATCH, status=status))
    done = watch("b1")
    assert (done.exit_code, "b1 is not complete: the run was cancelled" in done.output) == (1, True)
