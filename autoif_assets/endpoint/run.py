"""One list of calls, from the first request to the last line in the journal."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from autoif_assets.endpoint.calls import Choice
from autoif_assets.endpoint.errors import AccessDenied, EndpointError, NotServed
from autoif_assets.endpoint.features import Features, Form
from autoif_assets.endpoint.jobs import Call, Job, Settings, body, jobs
from autoif_assets.endpoint.journal import Journal
from autoif_assets.endpoint.outage import Outage
from autoif_assets.endpoint.pace import Load, Pace
from autoif_assets.endpoint.progress import Progress, quantiles
from autoif_assets.endpoint.wire import Answer, Failure, Usage, Wire

_MAX_STRIKES = 12
_TIMEOUT_STRIKES = 3  # a timeout costs minutes, so few of them are enough
_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 20.0
_MAX_RETRY_AFTER_S = 300.0
_METRICS_EVERY_S = 1.0
_CLUMP = 2  # requests made before the event loop sends them
_DENIED = (401, 402, 403)
_MISSING = (404, 405)
_TOO_BUSY = (429, 503)


class Run:
    """Asks for what is missing of some calls; the answers land in the calls and the journal."""

    def __init__(
        self, settings: Settings, features: Features, journal: Journal, calls: list[Call], url: str
    ) -> None:
        self._settings = settings
        self._features = features
        self._journal = journal
        self._calls = calls
        self._url = url
        self._pace = Pace(settings.max_concurrency, settings.timeout_s)
        self._outage = Outage(url, settings.first_contact_s, settings.max_outage_s)
        self._ready = deque(job for call in calls for job in jobs(call))
        self._reused = self._done = sum(call.open_jobs == 0 for call in calls)
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._probing = False
        self._wake = asyncio.Event()
        self._error: BaseException | None = None
        self._main: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._retries: Counter[str] = Counter()
        self._requests = 0
        self._usage: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._began = time.monotonic()

    async def ask(self) -> None:
        """Ask until every call is done.

        Raises:
            EndpointError: Asking on makes no sense; what came so far is in the journal.
            asyncio.CancelledError: `stop` was called.
        """
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        settings = self._settings
        async with Wire(
            settings.base_url, settings.api_key, settings.timeout_s, settings.max_concurrency
        ) as wire:
            if self._stopped:
                return
            watch = asyncio.create_task(self._watch(wire))
            try:
                await self._drain(wire)
            finally:
                leftover = {watch, *self._tasks}
                for task in leftover:
                    task.cancel()
                await asyncio.gather(*leftover, return_exceptions=True)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Cancel all that is under way; may be called from another thread."""
        self._stopped = True
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)

    def progress(self) -> Progress:
        """Return a snapshot; may be called from another thread."""
        return Progress(
            total=len(self._calls),
            reused=self._reused,
            done=self._done,
            failed=sum(call.error is not None for call in self._calls),
            in_flight=self._in_flight,
            limit=self._pace.limit,
            waiting=self._pace.waiting,
            requests=self._requests,
            retries=dict(self._retries),
            prompt_tokens=self._usage["prompt_tokens"],
            cached_tokens=self._usage["cached_tokens"],
            completion_tokens=self._usage["completion_tokens"],
            elapsed_s=time.monotonic() - self._began,
            latency_s=quantiles(list(self._latencies)),
            outage=str(self._outage) or None,
            notes=tuple(self._features.notes),
        )

    async def _drain(self, wire: Wire) -> None:
        while self._done < len(self._calls) and self._error is None:
            if self._outage.on:
                if not self._probing:
                    self._probing = True
                    self._spawn(self._probe(wire))
            else:
                room = self._pace.limit - self._in_flight
                for _ in range(min(room, len(self._ready), _CLUMP)):
                    self._in_flight += 1
                    self._spawn(self._attempt(self._ready.popleft(), wire))
                if room > _CLUMP and self._ready:
                    # Let these reach the network before the next are made: requests made in a
                    # clump are answered and handled in a clump, while the server's slots idle.
                    await asyncio.sleep(0)
                    continue
            await self._wake.wait()
            self._wake.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and self._error is None:
            self._error = task.exception()
        self._wake.set()

    async def _attempt(self, job: Job, wire: Wire) -> None:
        request = job.call.request
        if job.forms:
            form = job.forms[0]
        else:
            form = self._features.form(len(job.samples), request.schema)
            if form.n < len(job.samples):
                self._split(job, form.n)
        job.started = job.started or _now()
        job.attempts += 1
        began = time.monotonic()
        failure = None
        try:
            answer = await wire.chat(body(self._settings.model, job, form))
        except Failure as error:
            failure = error
        finally:
            self._in_flight -= 1
        self._requests += 1
        latency_s = time.monotonic() - began
        if failure is None:
            self._answered(job, form, answer, latency_s)
        elif failure.status in _DENIED or failure.status in _MISSING:
            raise await self._explain(failure, wire)
        elif failure.transient:
            self._failed(job, form, failure, latency_s)
        else:
            self._refused(job, form, failure, latency_s)

    def _split(self, job: Job, size: int) -> None:
        """Leave ``size`` samples with the job and queue the others next."""
        rest = job.samples[size:]
        job.samples = job.samples[:size]
        job.call.open_jobs += 1
        self._ready.appendleft(Job(job.call, rest))
        self._wake.set()

    def _answered(self, job: Job, form: Form, answer: Answer, latency_s: float) -> None:
        call = job.call
        self._outage.over()
        self._latencies.append(latency_s)
        self._pace.answered(latency_s, more=bool(self._ready))
        self._usage.update({k: v for k, v in vars(answer.usage).items() if v is not None})
        choices = answer.choices[: form.n]
        if job.refused is not None:
            refused, failure = job.refused
            self._features.refused(refused, form, call.request, failure.words)
        self._features.took(form, len(choices), call.request)
        if len(choices) < len(job.samples):
            self._split(job, len(choices))
        self._write(job, form, latency_s, choices, answer.usage)
        for sample, raw in zip(job.samples, choices, strict=True):
            call.choices[sample] = Choice.from_raw(raw)
        self._close(job)

    def _failed(self, job: Job, form: Form, failure: Failure, latency_s: float) -> None:
        self._retries[failure.cause] += 1
        self._outage.count(failure)
        if failure.overload:
            self._pace.overloaded(time.monotonic(), latency_s)
        # Being told to come back later says nothing about this row.
        if failure.status not in _TOO_BUSY:
            job.strikes += _TIMEOUT_STRIKES if failure.cause == "timeout" else 1
        if job.strikes >= _MAX_STRIKES:
            words = f"gave up after {job.attempts} attempts; the last one failed: {failure.words}"
            self._give_up(job, form, latency_s, words, final=False)
        else:
            delay = self._outage.patience_s(_backoff(job.attempts, failure))
            asyncio.get_running_loop().call_later(delay, self._again, job)

    def _again(self, job: Job) -> None:
        self._ready.append(job)
        self._wake.set()

    def _refused(self, job: Job, form: Form, failure: Failure, latency_s: float) -> None:
        """Try simpler forms of a refused request; when none is left, the row is at fault."""
        self._outage.over()
        if job.refused is None:
            job.refused = (form, failure)
            job.forms = self._features.simpler(form, job.call.request)
        else:
            job.forms = job.forms[1:]
        if job.forms:
            self._ready.appendleft(job)
        else:
            self._give_up(job, form, latency_s, job.refused[1].words, final=True)

    def _give_up(self, job: Job, form: Form, latency_s: float, words: str, *, final: bool) -> None:
        """Let a call end with an error; a later run asks again unless it is final."""
        self._write(job, form, latency_s, error=words, final=final)
        job.call.error = words
        self._close(job)

    def _close(self, job: Job) -> None:
        job.call.open_jobs -= 1
        self._done += job.call.open_jobs == 0

    def _write(
        self,
        job: Job,
        form: Form,
        latency_s: float,
        choices: tuple[dict[str, str | None], ...] = (),
        usage: Usage = Usage(),  # noqa: B008 - frozen
        error: str | None = None,
        *,
        final: bool = True,
    ) -> None:
        request = job.call.request
        self._journal.append(
            {
                "call_id": job.call.id,
                "model": self._settings.model,
                "base_url": self._url,
                "role": request.role,
                "prompt": request.prompt,
                "parameters": request.parameters(),
                "with_schema": form.with_schema,
                "samples": job.samples[: len(choices)],
                "choices": choices,
                "usage": vars(usage),
                "attempts": job.attempts,
                "latency_s": round(latency_s, 6),
                "started": job.started,
                "finished": _now(),
                "error": error,
                "final": final,
            }
        )

    async def _probe(self, wire: Wire) -> None:
        """Wait until the server completes a tiny request."""
        say_yes = {"role": "user", "content": "Say yes."}
        tiny = {"model": self._settings.model, "messages": [say_yes], "max_tokens": 1}
        tries = 0
        while self._outage.on and self._outage.last is not None:
            tries += 1
            await asyncio.sleep(self._outage.patience_s(_backoff(tries, self._outage.last)))
            try:
                await wire.chat(tiny)
            except Failure as error:
                failure = error
            else:
                break
            if failure.status in _DENIED or failure.status in _MISSING:
                raise await self._explain(failure, wire)
            if not failure.transient:
                break
            self._retries[failure.cause] += 1
            self._outage.count(failure)
        self._outage.over()
        self._probing = False

    async def _watch(self, wire: Wire) -> None:
        """Follow the server's own figures; a server without any is left alone."""
        seen = False
        while True:
            try:
                load = Load.parse(await wire.metrics())
            except Failure:
                load = None
            if load is not None:
                seen = True
                self._pace.observe(load)
                self._wake.set()
            elif not seen:
                return
            await asyncio.sleep(_METRICS_EVERY_S)

    async def _explain(self, failure: Failure, wire: Wire) -> EndpointError:
        model = self._settings.model
        try:
            served = "It serves: " + ", ".join(await wire.models()) + "."
        except Failure as other:
            served = f"Asked for its models it says: {other.words}."
        if failure.status in _DENIED:
            return AccessDenied(
                f"{self._url} refused the request for model {model!r} ({failure.words}). {served} "
                "Check the key in AUTOIF_API_KEY and that it may use this model."
            )
        return NotServed(
            f"{self._url} has no chat completions for model {model!r} ({failure.words}). {served} "
            "Set AUTOIF_MODEL to a served name; the URL usually ends in /v1 (AUTOIF_BASE_URL)."
        )


def _backoff(attempts: int, failure: Failure) -> float:
    """Return the seconds to wait after so many attempts, at least what the server asks for."""
    delay = min(_MAX_BACKOFF_S, _BACKOFF_S * 2.0 ** min(attempts - 1, 10))
    return max(delay * random.uniform(0.5, 1.0), min(failure.retry_after_s, _MAX_RETRY_AFTER_S))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
