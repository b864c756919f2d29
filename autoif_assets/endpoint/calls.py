"""What is asked of a model, the HTTP requests it is put in, and what comes back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from autoif_assets.endpoint.budget import Spent, Usage
from autoif_assets.endpoint.errors import Failure
from autoif_assets.endpoint.features import Features, Form
from autoif_assets.endpoint.settings import EndpointSettings
from autoif_assets.method.completions import BROKEN_OFF, CUT_SHORT, FILTERED, WHOLE
from autoif_assets.method.conversations import Message
from autoif_assets.method.ids import canonical_json, content_id
from autoif_assets.method.thoughts import split_reasoning

_CREDENTIALS = ("authorization", "proxy-authorization", "api-key", "x-api-key", "cookie")


@dataclass(frozen=True)
class Request:
    """One prompt and how to sample from it.

    Attributes:
        prompt: The whole user message; the last one, where there are others before it.
        role: What the call is for; a label in journals, and the name of the schema.
        n: Completions wanted.
        temperature: Sampling temperature.
        max_tokens: Most tokens a completion may have.
        seed: Seed of sample 0; sample ``i`` has ``seed + i``, as vLLM counts them.
        schema: JSON schema the completion must follow, or None for free text.
        scored: A text whose log-probabilities are asked for in the place of a completion, as the
            answer to ``prompt`` or, where that is empty, alone. The one choice of the reply is
            then JSON: ``[token id, log-probability]`` of every token the server read, in order.
        context: Messages that come before the prompt.
        logprobs: Tokens whose log-probabilities are told at each place of the answer, where the
            server tells any; 0 for none. The same is asked with and without.
    """

    prompt: str
    role: str
    n: int
    temperature: float
    max_tokens: int
    seed: int
    schema: Mapping[str, Any] | None = None
    scored: str | None = None
    context: Sequence[Message] = ()
    logprobs: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.max_tokens < 1:
            raise ValueError(
                f"A request needs n and max_tokens of at least 1, not n={self.n} and "
                f"max_tokens={self.max_tokens}."
            )

    @property
    def before(self) -> str:
        """The texts that come before the prompt."""
        return "\n".join(message["content"] for message in self.context)

    def parameters(self) -> dict[str, Any]:
        """Return what changes the answer beside the prompt."""
        # Only where they are set: the ids of all other calls stay what they were.
        scored = {} if self.scored is None else {"scored": self.scored}
        context = {"context": list(self.context)} if self.context else {}
        return (
            scored
            | context
            | {
                "n": self.n,
                "temperature": self.temperature,
                "max_tokens": self.max_tokens,
                "seed": self.seed,
                "schema": self.schema,
            }
        )


@dataclass(frozen=True)
class Choice:
    """One completion.

    Attributes:
        text: The answer, without reasoning.
        reasoning: What the model thought before it answered, if the server or a mark in the text
            tells it apart.
        finish_reason: Why the server ended it.
        logprobs: JSON, of each of its last tokens the text and, likeliest first, what might have
            stood there: ``[text, [[text, log-probability], ...]]``; if they were asked for.
    """

    text: str
    reasoning: str | None = None
    finish_reason: str | None = None
    logprobs: str | None = None

    @property
    def cut(self) -> bool:
        """Whether it ended at the most tokens it may have."""
        return self.finish_reason in CUT_SHORT

    @property
    def ended_otherwise(self) -> str | None:
        """The server's word for why it is not whole, where it is not cut either."""
        return None if self.cut or (self.finish_reason or "") in WHOLE else self.finish_reason

    @property
    def broken_off(self) -> bool:
        """Whether the server broke it off for a reason that has nothing to do with the row."""
        return self.finish_reason in BROKEN_OFF

    @property
    def filtered(self) -> bool:
        """Whether it was broken off for what it or its prompt says."""
        return self.finish_reason == FILTERED

    @property
    def shows_thoughts(self) -> bool:
        """Whether the model was thinking: it says so, or its tokens went elsewhere than here."""
        return self.reasoning is not None or (self.cut and not self.text.strip())

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> "Choice":
        """Make a choice of a journal's line, which may have no ``logprobs``."""
        text, thought = split_reasoning(raw["text"])
        parts = [part for part in (raw.get("reasoning"), thought) if part]
        return cls(text, "\n".join(parts) or None, raw.get("finish_reason"), raw.get("logprobs"))


@dataclass(frozen=True)
class Reply:
    """What came back for one request.

    Attributes:
        call_id: Content id of the call; equal requests to one model share it.
        choices: Completions in order of sample; fewer than asked for only beside an error.
        error: The server's words if it refused the request or kept failing on it.
        content: What of the row's own content they object to, if they name it.
    """

    call_id: str
    choices: tuple[Choice, ...]
    error: str | None = None
    content: str | None = None


def call_id(model: str, request: Request, further: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the content id of ``request`` when put to ``model``.

    The role is left out: it names the purpose and does not change the answer.

    Args:
        model: Name of the model.
        request: What is asked.
        further: What else of the endpoint changes the answer, as `further_parameters` gives it.
    """
    identity = {**request.parameters(), "prompt": request.prompt, **further}
    return content_id("call", model, canonical_json(identity))


def further_parameters(settings: EndpointSettings, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what of an endpoint's settings and headers tells its calls from others; only if set.

    The headers' values are hashed, so that none is told. Those that say who asks are left out: as
    with the key, the same is asked when they change.
    """
    telling = {
        name.lower(): value for name, value in headers.items() if name.lower() not in _CREDENTIALS
    }
    hashed = {"extra_headers": content_id("headers", canonical_json(telling))} if telling else {}
    return settings.call_parameters() | hashed


@dataclass
class Call:
    """A distinct request and what has come back for it so far."""

    id: str
    request: Request
    choices: dict[int, Choice]
    error: str | None = None
    content: str | None = None
    open_jobs: int = 0

    def missing(self) -> list[int]:
        """Return the samples still to ask for; none for a call that was refused."""
        if self.error is not None:
            return []
        return [sample for sample in range(self.request.n) if sample not in self.choices]

    def reply(self) -> Reply:
        """Return what the caller gets."""
        samples = sorted(sample for sample in self.choices if sample < self.request.n)
        choices = tuple(self.choices[sample] for sample in samples)
        return Reply(self.id, choices, self.error, self.content)


@dataclass(eq=False)
class Job:
    """Consecutive samples of a call that one HTTP request asks for.

    Attributes:
        queued: When it was ready to be sent, in `time.monotonic` seconds.
        queue_wait_s: Seconds from then until its first request was sent.
        started: When its first request was sent, as ISO text in UTC.
        attempts: Requests sent.
        failures: Of these, how many failed in a way that may be the row's fault.
        strikes: The same, timeouts counted for more.
        room: Tokens for thoughts that the last request was to have beside the answer's; where
            the server has no place for so many, its form has fewer.
        crashes: Errors of the server's own on one form, in a row.
        refused: The forms that were refused so far, with the server's words.
        crashed: One of them, on which it did not refuse but crash.
        forms: The simpler forms left to try.
    """

    call: Call
    samples: list[int]
    queued: float = field(default_factory=time.monotonic)
    queue_wait_s: float = 0.0
    started: str | None = None
    attempts: int = 0
    failures: int = 0
    strikes: int = 0
    room: int = 0
    crashes: int = 0
    refused: dict[Form, str] = field(default_factory=dict)
    crashed: Form | None = None
    forms: list[Form] = field(default_factory=list)

    def has_other_after(self, failure: Failure, form: Form, features: Features) -> bool:
        """Note a refusal; return whether there is another form to try."""
        self.forms = features.left(form, self.call.request, failure, self.refused, self.forms)
        self.refused[form] = failure.words
        return bool(self.forms)

    def has_simpler_after(self, failure: Failure, form: Form, features: Features) -> bool:
        """Note a failure; return whether a simpler form is to be tried.

        That is so where the server crashes on a form again and again. A simpler form that
        crashes, too, makes way for the next; after the last one, the first is tried as before.
        """
        request = self.call.request
        self.crashes = self.crashes + 1 if failure.crash else 0
        if not failure.crash or request.scored is not None:
            return False
        if self.crashed is not None:
            self.forms = self.forms[1:]
            return bool(self.forms)
        patience = features.patience(form, request)
        if not patience or self.crashes < patience:
            return False
        self.crashed, self.refused[form] = form, failure.words
        others = dict.fromkeys([*features.simpler(form, request), *self.forms])
        self.forms = [other for other in others if other not in self.refused]
        return bool(self.forms)

    def start_over(self) -> None:
        """Forget what a server refused: another is to be asked, which may take it."""
        self.crashes, self.crashed, self.forms = 0, None, []
        self.refused.clear()

    def learn(self, form: Form, features: Features) -> None:
        """Note what the server does not take, now that it took a form."""
        if self.refused:
            features.learn(self.refused, form, self.call.request, self.crashed)


def jobs(call: Call) -> list[Job]:
    """Group the missing samples of a call into runs of consecutive ones."""
    groups = consecutive(call.missing())
    call.open_jobs = len(groups)
    return [Job(call, group) for group in groups]


def consecutive(samples: Sequence[int]) -> list[list[int]]:
    """Group samples into runs of consecutive ones."""
    groups: list[list[int]] = []
    for sample in samples:
        if groups and groups[-1][-1] == sample - 1:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return groups


def chat_body(
    settings: EndpointSettings, prompt: str, context: Sequence[Message] = (), **fields: Any
) -> dict[str, Any]:
    """Return the body of a chat completion of one prompt, with what every request of it holds.

    Chat templates take one system message: the endpoint's comes before the conversation's in it.
    """
    told = [*context, {"role": "user", "content": prompt}]
    if settings.system_prompt:
        systems = [settings.system_prompt]
        if told[0]["role"] == "system":
            systems.append(told.pop(0)["content"])
        told.insert(0, {"role": "system", "content": "\n\n".join(systems)})
    messages = [{"role": one["role"], "content": _sendable(one["content"])} for one in told]
    return {**settings.extra_body, "model": settings.model, "messages": messages, **fields}


def body(settings: EndpointSettings, job: Job, form: Form) -> dict[str, Any]:
    """Return the body of the HTTP request for a job in a form the server may take."""
    request = job.call.request
    if request.scored is not None:
        return _likelihood_body(settings, request, request.scored)
    most = {form.cap_name: request.max_tokens + form.room}
    parts = chat_body(settings, request.prompt, request.context, **most)
    if "temperature" not in form.without:
        parts["temperature"] = request.temperature
    if "seed" not in form.without:
        # Below 2**31: some servers keep seeds in 32 bits.
        parts["seed"] = (request.seed + job.samples[0]) % 2**31
    if form.n > 1:
        parts["n"] = form.n
    if request.schema is not None and "schema" not in form.without:
        schema = {"name": request.role, "schema": request.schema, "strict": True}
        parts["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.logprobs and "logprobs" not in form.without:
        parts |= {"logprobs": True, "top_logprobs": request.logprobs}
    return parts


def _likelihood_body(settings: EndpointSettings, request: Request, scored: str) -> dict[str, Any]:
    """Ask vLLM for the log-probability of every token it reads; it has to write one as well.

    With a prompt the scored text is the beginning of an answer that is to be gone on with, so
    that the chat template ends with it; without one it is plain text, without a template.
    """
    reading = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
    if not request.prompt:
        plain = {"model": settings.model, "prompt": _sendable(scored)}
        return {**settings.extra_body, **plain, **reading}
    parts = chat_body(
        settings,
        request.prompt,
        request.context,
        add_generation_prompt=False,
        continue_final_message=True,
        **reading,
    )
    parts["messages"].append({"role": "assistant", "content": _sendable(scored)})
    return parts


def _sendable(text: str) -> str:
    """Replace half an emoji, which can be held in a Python text but not sent."""
    return text.encode("utf-8", "replace").decode()


def record(
    settings: EndpointSettings,
    job: Job,
    form: Form,
    latency_s: float,
    finished: str,
    choices: Sequence[Mapping[str, str | None]] = (),
    usage: Usage = Usage(),  # noqa: B008 - frozen
    spent: Spent = Spent(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Return the journal's line for a job that brought ``choices``."""
    request = job.call.request
    return {
        "call_id": job.call.id,
        "model": settings.model,
        "base_url": settings.public_url,
        "role": request.role,
        "prompt": request.prompt,
        "parameters": request.parameters() | settings.call_parameters(),
        "without": sorted(form.without),
        "room": job.room,
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
        "content": None,
        "final": True,
    }
