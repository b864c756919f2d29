"""`autoif doctor`: what works here."""

import os
import sys
from typing import TYPE_CHECKING

import click

from autoif_assets.cli.home import data_dir, data_problem, home_note
from autoif_assets.cli.output import say
from autoif_assets.cli.ready import inputs_problem

if TYPE_CHECKING:
    from autoif_assets.endpoint import EndpointSettings
    from autoif_assets.endpoint.checks import EndpointReport

_ROLES = ("supervision", "responder", "judge", "auditor", "nli", "policy")


@click.command()
def doctor() -> None:
    """Say what works here: confinement of verifiers, the models' endpoints, the data folder."""
    from autoif_assets.sandbox import confinement

    report = confinement()
    _say("sandbox", *str(report).splitlines())
    # Of the folder first: what is known of it is known at once.
    folder = data_problem()
    _say("data", str(data_dir()), *_unusable(folder))
    if note := home_note():
        _say("dagster", f"note: {note}")
    inputs = _check_inputs()
    endpoints = _check_endpoints()
    sys.exit(0 if report.level != "none" and not folder and inputs and endpoints else 1)


def _unusable(problem: str | None) -> list[str]:
    return [] if problem is None else [f"NOT USABLE: {problem}"]


def _check_inputs() -> bool:
    """Check the recipe of new batches and the files of seeds and queries."""
    import dagster as dg

    from autoif_assets.resources import configured_resources

    try:
        with dg.build_resources(configured_resources()) as resources:
            recipe, name, inputs = resources.recipe.load(), resources.recipe.name, resources.inputs
            problem = inputs_problem(inputs, recipe, resources.sandbox)
    except ValueError as error:
        _say("recipe", *_unusable(str(error)))
        return False
    _say("recipe", name)
    files = (("seeds", inputs.seeds), ("queries", inputs.queries))
    shown = [f"{what}: {path or 'those of the package'}" for what, path in files]
    shown += [f"labelled: {inputs.labelled}"] if inputs.labelled else []
    _say("inputs", *shown, *_unusable(problem))
    return problem is None


def _check_endpoints() -> bool:
    """Check the endpoint of every role, each once; return whether all can be used."""
    from autoif_assets.endpoint.checks import CHECKED, check_endpoint

    sound = True
    settings, local_nli = _settings()
    shown: dict[str, str] = {}
    for role in _ROLES:
        own = settings[role]
        # A check asks the model several times, so what two roles share is checked once.
        key = own.model_dump_json(include=CHECKED)
        if role == "nli" and local_nli is not None:
            _say(role, f"{local_nli}, a local model (AUTOIF_NLI)")
        elif key in shown:
            _say(role, f"as {shown[key]}")
        else:
            reports = check_endpoint(own)
            for number, report in enumerate(reports, 1):
                several = [f"replica {number} of {len(reports)}"] if len(reports) > 1 else []
                _say(role, *several, *_lines(report, own, role))
            shown[key] = role
            sound &= all(report.problem is None for report in reports)
    return sound


def _settings() -> tuple[dict[str, "EndpointSettings"], str | None]:
    """Return how each role is asked in a run, and the local NLI model where one labels."""
    import dagster as dg

    from autoif_assets.nli import DEFAULT_MODEL
    from autoif_assets.resources import configured_resources

    with dg.build_resources(configured_resources()) as resources:
        settings = {role: getattr(resources, role).settings() for role in _ROLES}
        nli = resources.nli
        return settings, (nli.model or DEFAULT_MODEL) if nli.by == "transformers" else None


def _lines(report: "EndpointReport", own: "EndpointSettings", role: str) -> list[str]:
    lines = [f"{report.model or 'no model'} at {report.base_url or 'no URL'}"]
    variable = own.key_variable
    key = f"{variable} is {'set' if os.environ.get(variable) else 'not set'}"
    lines.append(f"key: {key if variable else 'none, as the host is not the one of supervision'}")
    if report.problem is not None:
        prefix = "AUTOIF" if role == "supervision" else f"AUTOIF_{role.upper()}"
        advice = (
            f"Set {prefix}_BASE_URL, {prefix}_MODEL and, for servers with keys, {prefix}_API_KEY."
        )
        return [*lines, f"NOT USABLE: {report.problem}", advice]
    thoughts = ", after thoughts of its own" if report.reasons else ""
    lines.append(f"answers: {report.answer!r} in {report.latency_s or 0:.2f} s{thoughts}")
    lines += _thoughts(report)
    lines += [f"note: {note}" for note in report.notes]
    length = f"{report.context_length} tokens" if report.context_length else "the server names none"
    lines.append(f"context: {length}")
    many, schema = report.many, report.schema
    if many is not None:
        form = "one request for n completions" if many.works else "one request a completion"
        lines.append(f"several completions: {form} ({many.words})")
    if schema is not None:
        form = "plain text, read leniently" if schema.works is False else "JSON by schema"
        lines.append(f"structured answers: {form} ({schema.words})")
    lines.append(
        f"metrics: {', '.join(report.signals)}"
        if report.signals
        else "metrics: none of vLLM's; answers' latency and errors set the pace"
    )
    return [*lines, f"in flight: at most {own.max_concurrency} requests"]


def _thoughts(report: "EndpointReport") -> list[str]:
    """Say what room there is for thoughts, where the model has some or may have."""
    if report.reasons or report.room:
        return [f"thoughts: room for {report.room} tokens beside the answer's"]
    if report.endless:
        return [
            "thoughts: its answer did not end in 256 tokens; if the model thinks without showing "
            "it, set AUTOIF_THINKING_TOKENS"
        ]
    return []


def _say(topic: str, *lines: str) -> None:
    for number, line in enumerate(lines):
        say(f"{'' if number else topic:<13}{line}")
