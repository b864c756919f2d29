"""Seeing which servers of a run are there: before it, by their figures, and after an outage."""

import asyncio
from collections.abc import Awaitable, Callable

from autoif_assets.endpoint.budget import Budget, Spent, most_tokens
from autoif_assets.endpoint.calls import Job, chat_body
from autoif_assets.endpoint.concurrency import Load, watch
from autoif_assets.endpoint.errors import Failure, NotServed, ServerUnreachable
from autoif_assets.endpoint.lanes import Lane, more_for
from autoif_assets.endpoint.progress import Account
from autoif_assets.endpoint.replicas import Replica, find_replicas, stranger
from autoif_assets.endpoint.settings import EndpointSettings

# A server that refuses every request is not there again in a moment.
_REFUSED_S = 10.0
_LOOK_UP_EVERY_S = 30.0


class Presence:
    """Watches the servers of a run.

    Attributes:
        lost: Requests that are cancelled because their server is gone.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        lanes: list[Lane],
        budget: Budget,
        reserve: Callable[[Spent], bool],
        account: Account,
        wake: Callable[[], None],
    ) -> None:
        """Begin to watch.

        Args:
            settings: Whom and how to ask.
            lanes: The servers; those that their name comes to have later are put there.
            budget: What the run may spend.
            reserve: Reserves of it, or stops the run.
            account: Where failures are counted.
            wake: Called when a server has come or gone, or is known better.
        """
        self._settings = settings
        self._lanes = lanes
        self._budget = budget
        self._reserve = reserve
        self._account = account
        self._wake = wake
        self.lost: set[Job] = set()

    @property
    def alone(self) -> bool:
        """Whether there is one server only."""
        return len(self._lanes) == 1

    async def look(self) -> None:
        """See what several servers serve; one that does not answer may come later.

        Raises:
            EndpointError: One of them is no replica of the others, or refuses the key.
        """
        await asyncio.gather(*map(self._look_at, self._lanes))
        if found := self._stranger():
            raise NotServed(found[1])

    async def follow(self, open_lane: Callable[[Replica], Awaitable[Lane]]) -> None:
        """Look for ever for further addresses of the servers' names, as one started anew has."""
        while any(lane.replica.address for lane in self._lanes):
            await asyncio.sleep(_LOOK_UP_EVERY_S)
            known = {str(lane) for lane in self._lanes}
            for replica in await find_replicas(self._settings):
                if replica.address and str(replica) not in known:
                    lane = await open_lane(replica)
                    if not await self._is_replica(lane):
                        self._account.retried("another model")
                    self._lanes.append(lane)
                    self._wake()

    async def _look_at(self, lane: Lane) -> None:
        try:
            lane.served = await lane.wire.models()
        except Failure as failure:
            if failure.denied or failure.redirected:
                raise await lane.wire.explain(failure) from None
            if failure.status is None:
                lane.availability.note_failure(failure)

    def _stranger(self, *new: Lane) -> tuple[str, str] | None:
        lanes = dict.fromkeys([*self._lanes, *new])
        return stranger(self._settings.model, {str(lane): lane.served for lane in lanes})

    def watch(self, lane: Lane) -> None:
        """Read a server's figures from now on."""

        def seen(load: Load) -> None:
            lane.seen(load, more=more_for(lane, self._lanes))
            self._wake()

        def missed(failure: Failure) -> None:
            # Of one that is alone, its requests tell.
            if not self.alone:
                for job, task in lane.missed(failure):
                    self.lost.add(job)
                    task.cancel()
                self._wake()

        lane.watching = asyncio.create_task(watch(lane.wire.metrics, seen, missed))

    async def turned_away(self, lane: Lane, failure: Failure) -> None:
        """Leave a server to itself that refuses every request, as long as there is another.

        Raises:
            EndpointError: There is none, or what is asked is beyond the model's servers.
        """
        lane.refusal = failure
        others = any(other.refusal is None for other in self._lanes)
        if failure.cause == "unsupported" or not others:
            raise await lane.wire.explain(failure)
        self._account.retried(failure.cause)

    async def probe(self, lane: Lane) -> None:
        """Wait until a server completes a tiny request.

        Raises:
            EndpointError: It, and every other, has been away for longer than it may.
        """
        settings = self._settings
        tiny = chat_body(settings, "Say yes.", (), **{lane.features.cap_name: 1})
        most = settings.prices.spent(most_tokens(settings.system_prompt + "Say yes.", 1, 1))
        tries = 0
        while lane.is_away and (last := lane.refusal or lane.availability.last) is not None:
            tries += 1
            pause_s = lane.availability.pause_s(tries, last)
            await asyncio.sleep(pause_s if lane.refusal is None else max(pause_s, _REFUSED_S))
            if not self._reserve(most):
                break
            spent = Spent(1)
            try:
                spent = settings.prices.spent((await lane.wire.chat(tiny)).usage)
            except Failure as error:
                failure = error
            else:
                if self.alone or await self._is_replica(lane):
                    break
                continue
            finally:
                self._budget.settle(most, spent)
            if failure.stops_the_run:
                await self.turned_away(lane, failure)
                continue
            if not failure.transient or failure.cause == "empty":
                break
            self._account.retried(failure.cause)
            lane.availability.note_no_sign(failure)
            self._check_any()
        self._is_back(lane)

    async def _is_replica(self, lane: Lane) -> bool:
        """Whether a server that is back serves what it did; it may have been started anew."""
        try:
            lane.served = await lane.wire.models()
        except Failure:
            return True  # not every server lists its models
        if found := self._stranger(lane):
            lane.served = []
            lane.refusal = Failure("another model", found[1], 404)
        return lane.refusal is None

    def _is_back(self, lane: Lane) -> None:
        lane.refusal = None
        lane.availability.note_work()
        lane.probing = False
        if lane.watching is not None and lane.watching.done():
            self.watch(lane)

    def _check_any(self) -> None:
        """See that one of several servers may yet come.

        Raises:
            ServerUnreachable: All have been away for longer than they may.
        """
        if self.alone:
            return
        overdue = [lane.availability.overdue() for lane in self._lanes if lane.refusal is None]
        if all(overdue):
            raise ServerUnreachable(
                f"None of the {len(self._lanes)} replicas of {self._settings.model} is there. "
                f"{overdue[-1] if overdue else ''}".rstrip()
            )
