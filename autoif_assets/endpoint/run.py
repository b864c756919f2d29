"""One list of calls, from the first request to the last line in the journal."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from autoif_assets.endpoint.budget import Budget, Spent, Usage, filled, most_tokens
from autoif_assets.endpoint.calls import (
    Call,
    Choice,
    Job,
    body,
    consecutive,
    record,
)
from autoif_assets.endpoint.errors import Failure, TooManyFailed
from autoif_assets.endpoint.features import Features, Form
from autoif_assets.endpoint.journal import Journal
from autoif_assets.endpoint.lanes import Lane, more_for, spread, take_over
from autoif_assets.endpoint.presence import Presence
from autoif_assets.endpoint.progress import Account, Progress
from autoif_assets.endpoint.replicas import Replica, find_replicas
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
        self._calls = calls
        self._first_contact_s = first_contact_s
        self._lanes: list[Lane] = []
        self._account = Account(
            total=len(calls),
            reused=sum(not call.missing() for call in calls),
            failed=sum(call.error is not None for call in calls),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserved: dict[Job, Spent] = {}
        self._shortfalls = Shortfalls(settings, features)
        for call in calls:
            self._shortfalls.add(call.request, call.reply())
        self._too_many: TooManyFailed | None = None
        self._wake = asyncio.Event()
        self._error: BaseException | None = None
        self._main: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._presence = Presence(
            settings, self._lanes, budget, self._reserve, self._account, self._wake.set
        )
        self._stopped = False

    async def ask(self, connect: "Callable[[Replica], Wire]") -> None:
        """Ask until every call is done.

        Args:
            connect: Makes the connections to a server, which are opened and closed here.

        Raises:
            EndpointError: Asking on makes no sense; what came so far is in the journal.
            asyncio.CancelledError: `stop` was called.
        """
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        async with AsyncExitStack() as wires:
            replicas = await find_replicas(self._settings)
            alone = len(replicas) == 1

            async def open_lane(replica: Replica) -> Lane:
                wire = await wires.enter_async_context(connect(replica))
                features = self._features if alone else self._features.of_replica(str(replica))
                return Lane(replica, wire, features, self._first_contact_s, alone=alone)

            self._lanes += [await open_lane(replica) for replica in replicas]
            if self._stopped:
                return
            others: set[asyncio.Task[None]] = set()
            if not alone:
                await self._presence.look()
                others = {asyncio.create_task(self._presence.follow(open_lane))}
            spread(self._calls, self._lanes)
            try:
                await self._drain()
            finally:
                watching = {lane.watching for lane in self._lanes if lane.watching is not None}
                leftover = watching | self._tasks | others
                self._presence.lost.clear()
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
        lanes = list(self._lanes)
        queues = [lane.concurrency.waiting for lane in lanes]
        shown = [waiting for waiting in queues if waiting is not None]
        return self._account.progress(
            sum(lane.concurrency.limit for lane in lanes),
            sum(shown) if shown else None,
            "; ".join(filter(None, (lane.why_away for lane in lanes))) or None,
            tuple(self._features.notes),
        )

    async def _drain(self) -> None:
        account, lanes = self._account, self._lanes
        while account.done < account.total and self._error is None:
            if self._too_many is not None and not account.in_flight:
                self._error = self._too_many
                break
            sent = False
            for lane in lanes:
                if lane.watching is None:
                    self._presence.watch(lane)
                if lane.is_away:
                    if not lane.probing:
                        lane.probing = True
                        self._spawn(self._presence.probe(lane))
                elif self._too_many is None and self._send_some(lane):
                    sent = True
            if sent:
                # Let these reach the network before the next are made: requests made in a clump
                # are answered and handled in a clump, while the server's slots idle.
                await asyncio.sleep(0)
                continue
            await self._wake.wait()
            self._wake.clear()

    def _send_some(self, lane: Lane) -> bool:
        """Send a few requests; return whether more may be sent now."""
        if not lane.ready and not take_over(lane, self._lanes):
            return False
        most_now = self._limit(lane) - lane.in_flight
        for _ in range(min(most_now, len(lane.ready), _CLUMP)):
            job = lane.ready[0]
            request = job.call.request
            form = job.forms[0] if job.forms else self._form(lane, job)
            read = self._settings.system_prompt + request.before + request.prompt
            read += request.scored or ""
            room = request.max_tokens + form.room
            most = most_tokens(read, form.n, room, messages=1 + len(request.context))
            reserved = self._prices.spent(most)
            if not self._reserve(reserved):
                return False
            lane.ready.popleft()
            job.room = lane.features.wanted_room(self._settings)
            self._account.sent()
            lane.in_flight += 1
            self._reserved[job] = reserved
            self._spawn(self._attempt(lane, job, form, most))
        return most_now > _CLUMP and more_for(lane, self._lanes)

    def _limit(self, lane: Lane) -> int:
        """Return how many requests may be in flight: those of one job until the server is met.

        What it refuses, and whether the model thinks, is then learnt from one request and not
        from as many as it is trusted with.
        """
        if lane.features.met:
            return lane.concurrency.limit
        if lane.scout is None and lane.ready:
            lane.scout = lane.ready[0]
            asyncio.get_running_loop().call_later(_SCOUT_S, self._meet, lane)
        return int(bool(lane.ready) and lane.ready[0] is lane.scout)

    def _meet(self, lane: Lane) -> None:
        lane.features.met = True
        self._wake.set()

    def _form(self, lane: Lane, job: Job) -> Form:
        form = lane.features.form(len(job.samples), job.call.request, self._settings)
        if form.n < len(job.samples):
            job = lane.ready.popleft()
            self._split(lane, job, form.n)
            lane.ready.appendleft(job)
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

    async def _attempt(self, lane: Lane, job: Job, form: Form, most: Usage) -> None:
        prices = self._prices
        lane.tasks[job] = asyncio.current_task()
        began = time.monotonic()
        if job.started is None:
            job.started = _now()
            job.queue_wait_s = began - job.queued
        job.attempts += 1
        failure = None
        spent = Spent(1)
        try:
            ask = lane.wire.chat if job.call.request.scored is None else lane.wire.likelihood
            answer = await ask(body(self._settings, job, form))
            spent = prices.spent(filled(answer.usage, most))
        except Failure as error:
            failure = error
        except asyncio.CancelledError:
            if job not in self._presence.lost:
                raise
            self._presence.lost.remove(job)
            failure = Failure("dropped", f"{lane} could not be reached any more")
        finally:
            lane.in_flight -= 1
            del lane.tasks[job]
            self._account.ended()
            self._budget.settle(self._reserved.pop(job), spent)
        latency_s = time.monotonic() - began
        if failure is None:
            self._meet(lane)
            self._answered(lane, job, form, answer, spent, latency_s)
        elif failure.stops_the_run:
            await self._presence.turned_away(lane, failure)
            self._put_first(lane, job)
        elif failure.transient:
            self._failed(lane, job, form, failure, latency_s)
        else:
            self._refused(lane, job, form, failure, latency_s)

    def _split(self, lane: Lane, job: Job, size: int) -> None:
        """Leave ``size`` samples with the job and queue the others next."""
        rest = job.samples[size:]
        job.samples = job.samples[:size]
        job.call.open_jobs += 1
        lane.ready.appendleft(Job(job.call, rest))
        self._wake.set()

    def _answered(
        self, lane: Lane, job: Job, form: Form, answer: Answer, spent: Spent, latency_s: float
    ) -> None:
        call, features = job.call, lane.features
        lane.availability.note_answer()
        lane.concurrency.answered(latency_s, more=more_for(lane, self._lanes))
        choices = answer.choices[: form.n]
        job.learn(form, features)
        features.took(form, len(choices), call.request)
        if len(choices) < len(job.samples):
            self._split(lane, job, len(choices))
        read = [Choice.from_raw(raw) for raw in choices]
        thoughts = answer.thoughts > 0 or any(choice.shows_thoughts for choice in read)
        features.saw(thoughts=thoughts, settings=self._settings)
        self._journal.append(
            record(lane.settings, job, form, latency_s, _now(), choices, answer.usage, spent)
        )
        again = []
        for sample, choice in zip(job.samples, read, strict=True):
            if choice.cut and job.room < features.wanted_room(self._settings):
                again.append(sample)
            else:
                call.choices[sample] = choice
                self._shortfalls.note(call.request, choice)
        self._ask_again(lane, call, again)
        self._close(job)
        self._account.answered(latency_s, answer.usage, spent)
        self._check_share()

    def _ask_again(self, lane: Lane, call: Call, samples: list[int]) -> None:
        """Queue completions that were cut off before it was known that the model thinks."""
        for group in consecutive(samples):
            call.open_jobs += 1
            lane.ready.append(Job(call, group))

    def _check_share(self) -> None:
        """Send no more where what failed is too much already, whatever the rest comes to."""
        if self._too_many is None:
            self._too_many = self._shortfalls.certain()

    def _failed(self, lane: Lane, job: Job, form: Form, failure: Failure, latency_s: float) -> None:
        availability = lane.availability
        self._account.retried(failure.cause)
        empty = failure.cause == "empty"
        if empty:
            # The server works, only not on this row.
            availability.note_work()
            job.learn(form, lane.features)
        else:
            availability.note_failure(failure)
        if failure.unmade and not self._presence.alone:
            # Of the server's, not the row's making; another takes it over.
            self._put_first(lane, job)
            return
        if failure.overload:
            lane.concurrency.overloaded(time.monotonic(), latency_s)
        if job.has_simpler_after(failure, form, lane.features):
            self._put_first(lane, job)
            return
        # Until a request that is refused, or that the server breaks on, has a form that is
        # answered, the others wait.
        crashed = failure.crash and job.crashed is not None
        if crashed or not (failure.crash or empty):
            self._meet(lane)
        if availability.blames_row(failure):
            job.failures += 1
            job.strikes += _STRIKES.get(failure.cause, 1)
        spent = job.strikes >= _MAX_STRIKES
        if spent and (empty or not availability.is_chance(job.failures)):
            words = f"gave up after {job.attempts} attempts; the last one failed: {failure.words}"
            self._give_up(lane, job, form, latency_s, words)
        elif lane.is_away and not self._presence.alone:
            self._put_first(lane, job)
        else:
            pause_s = availability.pause_s(job.attempts, failure)
            asyncio.get_running_loop().call_later(pause_s, self._again, lane, job)

    def _put_first(self, lane: Lane, job: Job) -> None:
        lane.ready.appendleft(job)
        self._wake.set()

    def _again(self, lane: Lane, job: Job) -> None:
        if job is lane.scout:
            self._put_first(lane, job)
        else:
            lane.ready.append(job)
            self._wake.set()

    def _refused(
        self, lane: Lane, job: Job, form: Form, failure: Failure, latency_s: float
    ) -> None:
        """Try simpler forms of a refused request; when none is left, it ends with an error.

        It is final where the server names the row's own content: no other form would help it.
        """
        lane.availability.note_work()
        if job.has_other_after(failure, form, lane.features):
            self._put_first(lane, job)
        else:
            words = failure.words if failure.content else next(iter(job.refused.values()))
            self._give_up(lane, job, form, latency_s, words, content=failure.content)

    def _give_up(
        self,
        lane: Lane,
        job: Job,
        form: Form,
        latency_s: float,
        words: str,
        content: str | None = None,
    ) -> None:
        """Let a call end with an error; a later run asks again unless its content is refused."""
        line = record(lane.settings, job, form, latency_s, _now())
        final = content is not None
        self._journal.append(line | {"error": words, "final": final, "content": content})
        self._account.failed += job.call.error is None
        job.call.error, job.call.content = words, content
        self._shortfalls.note_error(job.call.request, len(job.samples), words, content)
        if job is lane.scout:
            # The next may tell more.
            lane.scout = None
        self._close(job)
        self._check_share()

    def _close(self, job: Job) -> None:
        job.call.open_jobs -= 1
        self._account.done += job.call.open_jobs == 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
