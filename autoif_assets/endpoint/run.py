"""One list of calls, from the first request to the last line in the journal."""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from autoif_assets.endpoint.availability import Availability
from autoif_assets.endpoint.budget import Budget, Spent, Usage, filled, most_tokens
from autoif_assets.endpoint.calls import (
    Call,
    Choice,
    Job,
    body,
    chat_body,
    consecutive,
    jobs,
    record,
)
from autoif_assets.endpoint.concurrency import ConcurrencyLimit, Load, watch
from autoif_assets.endpoint.errors import Failure, TooManyFailed
from autoif_assets.endpoint.features import Features, Form
from autoif_assets.endpoint.journal import Journal
from autoif_assets.endpoint.progress import Account, Progress
from autoif_assets.endpoint.responses import Answer
from autoif_assets.endpoint.settings import EndpointSettings
from autoif_assets.endpoint.shortfall import Shortfalls

if TYPE_CHECKING:
    from autoif_assets.endpoint.wire import Wire

_MAX_STRIKES = 12
# A timeout costs minutes, and an answer without completions is hardly chance: few are enough.
_STRIKES = {"timeout": 3, "empty": 4}
_SCOUT_S = 30.0  # the first request is not waited for any longer
_CLUMP = 2  # requests made before the event loop sends them
_BUDGET_EVERY_S = 0.2


class Run:
    """Asks for what is missing of some calls; the answers land in the calls and the journal."""

    def __init__(
        self,
        settings: EndpointSettings,
        budget: Budget,
        features: Features,
        journal: Journal,
        calls: list[Call],
        first_contact_s: float,
    ) -> None:
        self._settings = settings
        self._budget = budget
        self._prices = settings.prices
        self._features = features
        self._journal = journal
        self._concurrency = ConcurrencyLimit(settings.max_concurrency, settings.timeout_s)
        self._availability = Availability(
            settings.public_url, first_contact_s, settings.max_outage_s
        )
        # Neighbours share the beginnings of their prompts, which the server then has cached.
        ordered = sorted(calls, key=lambda call: (call.request.before, call.request.prompt))
        self._ready = deque(job for call in ordered for job in jobs(call))
        self._account = Account(
            total=len(calls),
            reused=sum(call.open_jobs == 0 for call in calls),
            failed=sum(call.error is not None for call in calls),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserved: dict[Job, Spent] = {}
        self._shortfalls = Shortfalls(settings, features)
        for call in calls:
            self._shortfalls.add(call.request, call.reply())
        self._too_many: TooManyFailed | None = None
        self._scout: Job | None = None
        self._probing = False
        self._wake = asyncio.Event()
        self._error: BaseException | None = None
        self._main: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    async def ask(self, wire: "Wire") -> None:
        """Ask until every call is done.

        Args:
            wire: Opened and closed here.

        Raises:
            EndpointError: Asking on makes no sense; what came so far is in the journal.
            asyncio.CancelledError: `stop` was called.
        """
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        async with wire:
            if self._stopped:
                return
            watching = asyncio.create_task(watch(wire.metrics, self._seen))
            try:
                await self._drain(wire)
            finally:
                leftover = {watching, *self._tasks}
                for task in leftover:
                    task.cancel()
                await asyncio.gather(*leftover, return_exceptions=True)
                # Of requests that were cancelled before they were sent.
                for reserved in self._reserved.values():
                    self._budget.settle(reserved, Spent())
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Cancel all that is under way; may be called from another thread."""
        self._stopped = True
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)

    def progress(self) -> Progress:
        """Return a snapshot; may be called from another thread."""
        return self._account.progress(
            self._concurrency.limit,
            self._concurrency.waiting,
            str(self._availability) or None,
            tuple(self._features.notes),
        )

    async def _drain(self, wire: "Wire") -> None:
        account = self._account
        while account.done < account.total and self._error is None:
            if self._too_many is not None and not account.in_flight:
                self._error = self._too_many
                break
            if self._availability.is_down:
                if not self._probing:
                    self._probing = True
                    self._spawn(self._probe(wire))
            elif self._too_many is None and self._send_some(wire):
                # Let these reach the network before the next are made: requests made in a clump
                # are answered and handled in a clump, while the server's slots idle.
                await asyncio.sleep(0)
                continue
            await self._wake.wait()
            self._wake.clear()

    def _send_some(self, wire: "Wire") -> bool:
        """Send a few requests; return whether more may be sent now."""
        room = self._limit() - self._account.in_flight
        for _ in range(min(room, len(self._ready), _CLUMP)):
            job = self._ready[0]
            request = job.call.request
            form = job.forms[0] if job.forms else self._form(job)
            read = self._settings.system_prompt + request.before + request.prompt
            read += request.scored or ""
            room = request.max_tokens + form.room
            most = most_tokens(read, form.n, room, messages=1 + len(request.context))
            reserved = self._prices.spent(most)
            if not self._reserve(reserved):
                return False
            self._ready.popleft()
            job.room = self._features.wanted_room(self._settings)
            self._account.sent()
            self._reserved[job] = reserved
            self._spawn(self._attempt(job, form, most, wire))
        return room > _CLUMP and bool(self._ready)

    def _limit(self) -> int:
        """Return how many requests may be in flight: those of one job until the server is met.

        What it refuses, and whether the model thinks, is then learnt from one request and not
        from as many as it is trusted with.
        """
        if self._features.met:
            return self._concurrency.limit
        if self._scout is None and self._ready:
            self._scout = self._ready[0]
            asyncio.get_running_loop().call_later(_SCOUT_S, self._meet)
        return int(bool(self._ready) and self._ready[0] is self._scout)

    def _meet(self) -> None:
        self._features.met = True
        self._wake.set()

    def _form(self, job: Job) -> Form:
        form = self._features.form(len(job.samples), job.call.request, self._settings)
        if form.n < len(job.samples):
            job = self._ready.popleft()
            self._split(job, form.n)
            self._ready.appendleft(job)
        return form

    def _reserve(self, most: Spent) -> bool:
        """Reserve for a request; if it does not fit even with nothing in flight, stop."""
        budget, account = self._budget, self._account
        if budget.reserve(most):
            return True
        if not budget.in_flight:
            self._error = budget.stop(most, account.done, account.total)
            self._wake.set()
        elif not account.in_flight:
            # Another client of this run has requests under way that may cost less than feared.
            asyncio.get_running_loop().call_later(_BUDGET_EVERY_S, self._wake.set)
        return False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and self._error is None:
            self._error = task.exception()
        self._wake.set()

    async def _attempt(self, job: Job, form: Form, most: Usage, wire: "Wire") -> None:
        prices = self._prices
        began = time.monotonic()
        if job.started is None:
            job.started = _now()
            job.queue_wait_s = began - job.queued
        job.attempts += 1
        failure = None
        spent = Spent(1)
        try:
            ask = wire.chat if job.call.request.scored is None else wire.likelihood
            answer = await ask(body(self._settings, job, form))
            spent = prices.spent(filled(answer.usage, most))
        except Failure as error:
            failure = error
        finally:
            self._account.ended()
            self._budget.settle(self._reserved.pop(job), spent)
        latency_s = time.monotonic() - began
        if failure is None:
            self._meet()
            self._answered(job, form, answer, spent, latency_s)
        elif failure.stops_the_run:
            raise await wire.explain(failure)
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

    def _answered(
        self, job: Job, form: Form, answer: Answer, spent: Spent, latency_s: float
    ) -> None:
        call, features = job.call, self._features
        self._availability.note_answer()
        self._concurrency.answered(latency_s, more=bool(self._ready))
        choices = answer.choices[: form.n]
        job.learn(form, features)
        features.took(form, len(choices), call.request)
        if len(choices) < len(job.samples):
            self._split(job, len(choices))
        read = [Choice.from_raw(raw) for raw in choices]
        thoughts = answer.thoughts > 0 or any(choice.shows_thoughts for choice in read)
        features.saw(thoughts=thoughts, settings=self._settings)
        self._journal.append(
            record(self._settings, job, form, latency_s, _now(), choices, answer.usage, spent)
        )
        again = []
        for sample, choice in zip(job.samples, read, strict=True):
            if choice.cut and job.room < features.wanted_room(self._settings):
                again.append(sample)
            else:
                call.choices[sample] = choice
                self._shortfalls.note(call.request, choice)
        self._ask_again(call, again)
        self._close(job)
        self._account.answered(latency_s, answer.usage, spent)
        self._check_share()

    def _ask_again(self, call: Call, samples: list[int]) -> None:
        """Queue completions that were cut off before it was known that the model thinks."""
        for group in consecutive(samples):
            call.open_jobs += 1
            self._ready.append(Job(call, group))

    def _check_share(self) -> None:
        """Send no more where what failed is too much already, whatever the rest comes to."""
        if self._too_many is None:
            self._too_many = self._shortfalls.certain()

    def _failed(self, job: Job, form: Form, failure: Failure, latency_s: float) -> None:
        self._account.retried(failure.cause)
        empty = failure.cause == "empty"
        if empty:
            # The server works, only not on this row.
            self._availability.note_work()
            job.learn(form, self._features)
        else:
            self._availability.note_failure(failure)
        if failure.overload:
            self._concurrency.overloaded(time.monotonic(), latency_s)
        if job.has_simpler_after(failure, form, self._features):
            self._put_first(job)
            return
        # Until a request that is refused, or that the server breaks on, has a form that is
        # answered, the others wait.
        crashed = failure.crash and job.crashed is not None
        if crashed or not (failure.crash or empty):
            self._meet()
        if self._availability.blames_row(failure):
            job.failures += 1
            job.strikes += _STRIKES.get(failure.cause, 1)
        spent = job.strikes >= _MAX_STRIKES
        if spent and (empty or not self._availability.is_chance(job.failures)):
            words = f"gave up after {job.attempts} attempts; the last one failed: {failure.words}"
            self._give_up(job, form, latency_s, words)
        else:
            pause_s = self._availability.pause_s(job.attempts, failure)
            asyncio.get_running_loop().call_later(pause_s, self._again, job)

    def _put_first(self, job: Job) -> None:
        self._ready.appendleft(job)
        self._wake.set()

    def _again(self, job: Job) -> None:
        if job is self._scout:
            self._put_first(job)
        else:
            self._ready.append(job)
            self._wake.set()

    def _refused(self, job: Job, form: Form, failure: Failure, latency_s: float) -> None:
        """Try simpler forms of a refused request; when none is left, it ends with an error.

        It is final where the server names the row's own content: no other form would help it.
        """
        self._availability.note_work()
        if job.has_other_after(failure, form, self._features):
            self._put_first(job)
        else:
            words = failure.words if failure.content else next(iter(job.refused.values()))
            self._give_up(job, form, latency_s, words, content=failure.content)

    def _give_up(
        self, job: Job, form: Form, latency_s: float, words: str, content: str | None = None
    ) -> None:
        """Let a call end with an error; a later run asks again unless its content is refused."""
        line = record(self._settings, job, form, latency_s, _now())
        final = content is not None
        self._journal.append(line | {"error": words, "final": final, "content": content})
        self._account.failed += job.call.error is None
        job.call.error, job.call.content = words, content
        self._shortfalls.note_error(job.call.request, len(job.samples), words, content)
        if job is self._scout:
            # The next may tell more.
            self._scout = None
        self._close(job)
        self._check_share()

    def _close(self, job: Job) -> None:
        job.call.open_jobs -= 1
        self._account.done += job.call.open_jobs == 0

    async def _probe(self, wire: "Wire") -> None:
        """Wait until the server completes a tiny request."""
        settings = self._settings
        tiny = chat_body(settings, "Say yes.", (), **{self._features.cap_name: 1})
        most = self._prices.spent(most_tokens(settings.system_prompt + "Say yes.", 1, 1))
        tries = 0
        while self._availability.is_down and self._availability.last is not None:
            tries += 1
            await asyncio.sleep(self._availability.pause_s(tries, self._availability.last))
            if not self._reserve(most):
                break
            spent = Spent(1)
            try:
                spent = self._prices.spent((await wire.chat(tiny)).usage)
            except Failure as error:
                failure = error
            else:
                break
            finally:
                self._budget.settle(most, spent)
            if failure.stops_the_run:
                raise await wire.explain(failure)
            if not failure.transient or failure.cause == "empty":
                break
            self._account.retried(failure.cause)
            self._availability.note_no_sign(failure)
        self._availability.note_work()
        self._probing = False

    def _seen(self, load: Load) -> None:
        account = self._account
        busy = bool(self._ready) and account.in_flight >= self._concurrency.limit
        self._concurrency.observe(load, time.monotonic(), more=busy)
        self._wake.set()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
