"""Telling a server that is away from a request that is bad."""

import time

from autoif_assets.endpoint.errors import ServerUnreachable
from autoif_assets.endpoint.wire import Failure

# So many failures in a row mean that the server is away, not that a row is bad: then one small
# request at a time asks whether it is back, and the rows wait.
_FAILURES_IN_A_ROW = 10


class Outage:
    """Counts failures since the server's last sign of work, and knows when to give up.

    Attributes:
        reached: Whether such a server is known to be there, be it busy or broken.
        last: The last failure.
    """

    def __init__(self, url: str, first_contact_s: float, max_outage_s: float) -> None:
        self.reached = False
        self.last: Failure | None = None
        self._url = url
        self._first_contact_s = first_contact_s
        self._max_outage_s = max_outage_s
        self._failures = 0
        self._since: float | None = None

    @property
    def on(self) -> bool:
        """Whether the server counts as away."""
        return self._failures >= _FAILURES_IN_A_ROW

    def over(self) -> None:
        """Note that the server has worked on a request."""
        self.reached = True
        self._failures = 0
        self._since = None

    def count(self, failure: Failure) -> None:
        """Note a failure that may pass.

        Raises:
            ServerUnreachable: The server has been failing for longer than it may.
        """
        self.last = failure
        self._failures += 1
        # Anything may answer at a wrong URL, so an answer of another kind proves nothing.
        if failure.cause not in ("connection", "body"):
            self.reached = True
        if self._since is None:
            self._since = time.monotonic()
        waited = time.monotonic() - self._since
        if self.reached and waited > self._max_outage_s:
            raise ServerUnreachable(
                f"{self._url} has given no completion for {waited:.0f} s (last: {failure.words}). "
                "Look at the server's log and start it again, then run this again: what is "
                "journaled is not asked again. AUTOIF_MAX_OUTAGE sets a longer wait."
            )
        if not self.reached and waited > self._first_contact_s:
            raise ServerUnreachable(
                f"No completion from {self._url} for {waited:.0f} s ({failure.words}). Check that "
                "the server runs and that AUTOIF_BASE_URL is right: "
                f"`curl {self._url}/models` should list its models."
            )

    def patience_s(self, delay_s: float) -> float:
        """Shorten a pause so that a server that was never reached is given up on in time."""
        return delay_s if self.reached else min(delay_s, self._first_contact_s / 4)

    def __str__(self) -> str:
        """Say what is being waited for; empty while the server works."""
        since = self._since
        if not self.on or since is None:
            return ""
        return (
            f"waiting for {self._url}, which has completed nothing for "
            f"{time.monotonic() - since:.0f} s ({self.last})"
        )
