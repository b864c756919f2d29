"""What runs say on a terminal: neither what directs it, nor what was not begun."""

import dagster as dg

from autoif_assets.automation.console import CONSOLE


@dg.op
def says(context):
    context.log.info("a server's \x1b[31mred\u202e words\nin two lines")
    raise dg.Failure("the \x1b[2J reason")


@dg.op
def follows(context, given): ...


@dg.job(logger_defs={"console": CONSOLE})
def a_job():
    follows(follows(says()))


def test_a_terminal_shows_no_controls_and_no_steps_that_were_not_begun(capfd):
    ran = a_job.execute_in_process(
        raise_on_error=False, run_config={"loggers": {"console": {"config": {}}}}
    )
    assert not ran.success
    shown = capfd.readouterr().err
    assert "a server's [31mred words\nin two lines" in shown
    assert "the [2J reason" in shown
    assert "\u202e" not in shown and "\x1b[31mred" not in shown and "\x1b[2J" not in shown
    assert "Not executing" not in shown
    # The run's own log keeps both.
    with dg.DagsterInstance.ephemeral() as instance:
        kept = a_job.execute_in_process(instance=instance, raise_on_error=False)
        words = [entry.user_message for entry in instance.all_logs(kept.run_id)]
    assert sum(" Not executing." in text for text in words) == 2
    assert "a server's \x1b[31mred\u202e words\nin two lines" in words
