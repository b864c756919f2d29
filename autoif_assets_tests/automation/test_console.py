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


@dg.op
def stops():
    try:
        {}["absent"]
    except KeyError as error:
        raise dg.Failure("no room: make some") from error


@dg.op
def breaks():
    {}["absent"]


@dg.job(logger_defs={"console": CONSOLE})
def another_job():
    stops()
    breaks()


def test_a_failure_that_says_why_is_shown_without_its_stack(capfd):
    """Before, a server that was away cost 150 lines, of which two said so."""
    console = {"loggers": {"console": {"config": {}}}}
    another_job.execute_in_process(raise_on_error=False, run_config=console, op_selection=["stops"])
    shown = capfd.readouterr().err
    assert shown.count("no room: make some") == 1
    assert "Stack Trace" not in shown and "KeyError" not in shown
    assert 'Execution of step "stops" failed. no room: make some' in shown


def test_the_stack_is_shown_of_an_error_of_the_code_and_where_it_is_asked_for(capfd):
    for op, config in (("breaks", {}), ("stops", {"stacks": True})):
        console = {"loggers": {"console": {"config": config}}}
        another_job.execute_in_process(raise_on_error=False, run_config=console, op_selection=[op])
        shown = capfd.readouterr().err
        assert "Stack Trace" in shown and "KeyError" in shown
