"""The client of one model endpoint."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from autoif_assets.endpoint.budget import Budget
from autoif_assets.endpoint.calls import (
    Call,
    Reply,
    Request,
    call_id,
    further_parameters,
)
from autoif_assets.endpoint.errors import EndpointError, Failure
from autoif_assets.endpoint.features import Features
from autoif_assets.endpoint.journal import Journal, JournaledCall
from autoif_assets.endpoint.progress import Progress
from autoif_assets.endpoint.replicas import Replica
from autoif_assets.endpoint.run import Run
from autoif_assets.endpoint.settings import Credentials, EndpointSettings

if TYPE_CHECKING:
    from autoif_assets.endpoint.wire import Wire


class Client:
    """Asks one model of an OpenAI-compatible server, or of several that all serve it.

    What the server turns out not to support is remembered in its features.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        credentials: Credentials | None = None,
        *,
        budget: Budget | None = None,
        features: Features | None = None,
        first_contact_s: float = 20.0,
        progress_every_s: float = 5.0,
    ) -> None:
        """Describe the endpoint; nothing is sent yet.

        Args:
            settings: Whom and how to ask.
            credentials: The key and further headers; None for those of the variables that the
                settings name.
            budget: Caps to keep, shared with the other clients of the run; None for no caps.
            features: What is known of the server, shared with the other clients that ask it in
                this run; None for nothing.
            first_contact_s: Seconds a server that never answered is tried for.
            progress_every_s: Seconds between calls of ``on_progress``.

        Raises:
            EndpointError: The URL is not one or holds a password, or the key, a header or a
                field of the body cannot be sent.
        """
        self.base_url = settings.public_url
        self.model = settings.model
        settings.check_extra_body()
        self._settings = settings
        # A key of the SDK's own variables is for the server alone that it is meant for.
        self._credentials = {
            one.base_url: one.credentials if credentials is None else credentials
            for one in settings.replicas
        }
        headers = next(iter(self._credentials.values())).headers
        self._further = further_parameters(settings, headers)
        self._budget = budget or Budget()
        self._first_contact_s = first_contact_s
        self._progress_every_s = progress_every_s
        self._features = Features() if features is None else features

    def __repr__(self) -> str:
        return f"Client({self.base_url!r}, {self.model!r})"

    def complete(
        self,
        requests: Sequence[Request],
        journal: Journal,
        on_progress: Callable[[Progress], None] | None = None,
        before: Callable[[], None] | None = None,
    ) -> list[Reply]:
        """Answer ``requests`` from the journal and, for what is missing, from the server.

        Equal requests are one call. Every answer is in the journal before it counts, so that
        after any interruption the same call of this method asks only for the rest.

        Args:
            requests: What to ask.
            journal: Where answers are looked up and written.
            on_progress: Called in this thread every few seconds and once at the end, also of a
                run that fails. An exception from it, like Ctrl-C, stops all requests and comes
                out of here.
            before: Called before anything is asked; not where the journal has it all. An
                exception from it comes out of here.

        Returns:
            One reply per request, in the same order. A request the server refused, or kept
            failing on, has an error in its reply.

        Raises:
            BudgetSpent: The next request might exceed a cap; what was in flight has ended.
            TooManyFailed: More failed or was cut off than may, whatever the rest comes to.
            EndpointError: The server is away, or refuses the key or the model; or no answer
                could be journaled.
        """
        calls: dict[str, Call] = {}
        # Equal requests share a call, whose answer each of them gets.
        ids = [call_id(self.model, request, self._further) for request in requests]
        journaled = {key: journal.call(key) for key in dict.fromkeys(ids)}
        room = self._wanted_room(journaled.values())
        for key, request in zip(ids, requests, strict=True):
            if key not in calls:
                known = journaled.pop(key)
                known.drop_cut(room)
                calls[key] = Call(key, request, known.choices, known.error, known.content)
        run = Run(
            self._settings,
            self._budget,
            self._features,
            journal,
            list(calls.values()),
            self._first_contact_s,
        )
        try:
            if any(call.missing() for call in calls.values()):
                journal.check()
                if before is not None:
                    before()
                self._ask(run, on_progress)
        except EndpointError:
            if on_progress is not None:
                on_progress(run.progress())
            raise
        if on_progress is not None:
            on_progress(run.progress())
        replies = {key: call.reply() for key, call in calls.items()}
        return [replies[key] for key in ids]

    def _wanted_room(self, journaled: Iterable[JournaledCall]) -> int:
        """Return the tokens that completions are to have for thoughts, as far as is known now."""
        for call in journaled:
            thoughts = any(choice.shows_thoughts for choice in call.choices.values())
            self._features.saw(thoughts=thoughts, settings=self._settings)
        return self._features.wanted_room(self._settings)

    def models(self) -> list[str]:
        """Return the names of the models the server lists.

        Raises:
            EndpointError: It does not answer or does not list them.
        """

        async def ask() -> list[str]:
            async with self._wire(self._settings.replicas[0], 1) as wire:
                return await wire.models()

        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(asyncio.run, ask()).result()
            except Failure as failure:
                words = failure.words
        raise EndpointError(
            f"{self.base_url} does not list its models ({words}). Check that the server runs and "
            "that AUTOIF_BASE_URL and AUTOIF_API_KEY are right."
        )

    def _ask(self, run: Run, on_progress: Callable[[Progress], None] | None) -> None:
        # The event loop has a thread of its own: a caller may have a loop already, and an
        # exception that a signal handler raises in the main thread would otherwise surface in
        # whatever callback of the loop happens to run.
        with ThreadPoolExecutor(1, "autoif-endpoint") as pool:
            asking = pool.submit(asyncio.run, run.ask(self._connect))
            try:
                while not wait([asking], self._progress_every_s).done:
                    if on_progress is not None:
                        on_progress(run.progress())
            except BaseException:
                run.stop()
                raise
        asking.result()

    def _connect(self, replica: Replica) -> "Wire":
        return self._wire(replica.settings, self._settings.max_concurrency, replica.address)

    def _wire(self, settings: EndpointSettings, connections: int, address: str = "") -> "Wire":
        # The SDK takes a second to import, which a run that finds all in its journal is spared.
        from autoif_assets.endpoint.wire import Wire

        return Wire(settings, self._credentials[settings.base_url], connections, address)
