"""Calls that are under way, and the HTTP requests they are put in."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autoif_assets.endpoint.budget import Budget, Prices, Spent
from autoif_assets.endpoint.calls import Choice, Reply, Request, Usage
from autoif_assets.endpoint.features import Form
from autoif_assets.endpoint.wire import Failure


@dataclass(frozen=True)
class Settings:
    """Where and how to ask; see `Client`. The URL is the one that may be shown."""

    base_url: str
    model: str
    api_key: str = field(repr=False)
    max_concurrency: int
    timeout_s: float
    max_outage_s: float
    first_contact_s: float
    prices: Prices
    budget: Budget


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


@dataclass(eq=False)
class Job:
    """Consecutive samples of a call that one HTTP request asks for.

    Once a form of the request was refused, ``forms`` are the simpler ones left to try.

    Attributes:
        queued: When it was ready to be sent, in `time.monotonic` seconds.
        queue_wait_s: Seconds from then until its first request was sent.
        started: When its first request was sent, as ISO text in UTC.
        attempts: Requests sent.
        failures: Of these, how many failed in a way that may be the row's fault.
        strikes: The same, timeouts counted for more.
    """

    call: Call
    samples: list[int]
    queued: float = field(default_factory=time.monotonic)
    queue_wait_s: float = 0.0
    started: str | None = None
    attempts: int = 0
    failures: int = 0
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
    if request.scored is not None:
        return _likelihood_body(model, prompt, request.scored.encode("utf-8", "replace").decode())
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


def _likelihood_body(model: str, prompt: str, scored: str) -> dict[str, Any]:
    """Ask vLLM for the log-probability of every token it reads; it has to write one as well.

    With a prompt the scored text is the beginning of an answer that is to be gone on with, so
    that the chat template ends with it; without one it is plain text, without a template.
    """
    reading = {"model": model, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
    if not prompt:
        return reading | {"prompt": scored}
    return reading | {
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": scored},
        ],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def record(
    settings: Settings,
    job: Job,
    form: Form,
    latency_s: float,
    finished: str,
    choices: Sequence[dict[str, str | None]] = (),
    usage: Usage = Usage(),  # noqa: B008 - frozen
    spent: Spent = Spent(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Return the journal's line for a job that brought ``choices``."""
    request = job.call.request
    return {
        "call_id": job.call.id,
        "model": settings.model,
        "base_url": settings.base_url,
        "role": request.role,
        "prompt": request.prompt,
        "parameters": request.parameters(),
        "with_schema": form.with_schema,
        "samples": job.samples[: len(choices)],
        "choices": choices,
        "usage": vars(usage),
        "tokens": spent.tokens,
        "cost": spent.cost,
        "attempts": job.attempts,
        "queue_wait_s": round(job.queue_wait_s, 6),
        "latency_s": round(latency_s, 6),
        "started": job.started,
        "finished": finished,
        "error": None,
        "final": True,
    }
