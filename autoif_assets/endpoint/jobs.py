"""Calls that are under way, and the HTTP requests they are put in."""

from dataclasses import dataclass, field
from typing import Any

from autoif_assets.endpoint.calls import Choice, Reply, Request
from autoif_assets.endpoint.features import Form
from autoif_assets.endpoint.wire import Failure


@dataclass(frozen=True)
class Settings:
    """Where and how to ask; see `Client`."""

    base_url: str
    model: str
    api_key: str = field(repr=False)
    max_concurrency: int
    timeout_s: float
    max_outage_s: float
    first_contact_s: float


@dataclass
class Call:
    """A distinct request and what has come back for it so far."""

    id: str
    request: Request
    choices: dict[int, Choice]
    error: str | None = None
    open_jobs: int = 0

    def missing(self) -> list[int]:
        """Return the samples still to ask for; none for a call that was refused."""
        if self.error is not None:
            return []
        return [sample for sample in range(self.request.n) if sample not in self.choices]

    def reply(self) -> Reply:
        """Return what the caller gets."""
        samples = sorted(sample for sample in self.choices if sample < self.request.n)
        return Reply(self.id, tuple(self.choices[sample] for sample in samples), self.error)


@dataclass
class Job:
    """Consecutive samples of a call that one HTTP request asks for.

    Once a form of the request was refused, ``forms`` are the simpler ones left to try.
    """

    call: Call
    samples: list[int]
    started: str | None = None
    attempts: int = 0
    strikes: int = 0
    refused: tuple[Form, Failure] | None = None
    forms: list[Form] = field(default_factory=list)


def jobs(call: Call) -> list[Job]:
    """Group the missing samples of a call into runs of consecutive ones."""
    groups: list[list[int]] = []
    for sample in call.missing():
        if groups and groups[-1][-1] == sample - 1:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    call.open_jobs = len(groups)
    return [Job(call, group) for group in groups]


def body(model: str, job: Job, form: Form) -> dict[str, Any]:
    """Return the body of the HTTP request for a job in a form the server may take."""
    request = job.call.request
    # Half an emoji can be held in a Python text but not sent.
    prompt = request.prompt.encode("utf-8", "replace").decode()
    parts: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        # Below 2**31: some servers keep seeds in 32 bits.
        "seed": (request.seed + job.samples[0]) % 2**31,
    }
    if form.n > 1:
        parts["n"] = form.n
    if form.with_schema:
        schema = {"name": request.role, "schema": request.schema, "strict": True}
        parts["response_format"] = {"type": "json_schema", "json_schema": schema}
    return parts
