"""Telling a server that is away from a request that is bad, and how long to wait for either."""

import random
import time

from autoif_assets.endpoint.errors import Failure, ServerUnreachable

# After so many failures in a row, and no answer for so long, the server counts as away: then one
# small request at a time asks whether it is back, and the rows wait. Where few rows are left their
# failures are few, so that the silence alone must do. Only the small requests can end the run: what
# fails on all that is left, and answers these, is there.
_FAILURES_IN_A_ROW = 10
_SILENT_S = 3.0
_FEW_IN_A_ROW = 2
_LONG_SILENT_S = 10.0
_BACKOFF_S = 0.5
_WORKING_BACKOFF_S = 2.0  # longest pause of a row while the server answers others
_MAX_BACKOFF_S = 20.0
_MAX_RETRY_AFTER_S = 300.0
_TOO_BUSY = (429, 503)
_CHANCE = 1e-6
_MOST_FAILING = 0.9


class Availability:
    """Counts failures since the server's last sign of work, and knows when to give up.

    Attributes:
        reached: Whether such a server is known to be there, be it busy or broken.
        last: The last failure.
    """

    def __init__(
        self, url: str, first_contact_s: float, max_outage_s: float, *, alone: bool = True
    ) -> None:
        """Know nothing of a server yet.

        Args:
            url: Where it is, for people.
            first_contact_s: Seconds a server that never answered may be away.
            max_outage_s: Seconds one that has answered may.
            alone: Whether no other server does its work meanwhile. Where another does, one that
                takes no connection counts as away at once.
        """
        self.reached = False
        self.last: Failure | None = None
        self._url = url
        self._alone = alone
        self._first_contact_s = first_contact_s
        self._max_outage_s = max_outage_s
        self._failures_in_a_row = 0
        self._since: float | None = None
        self._answers = 0
        self._row_failures = 0

    @property
    def is_down(self) -> bool:
        """Whether the server counts as away."""
        # Within what the run may wait, so that nothing waits for longer.
        may_wait_s = self._max_outage_s if self.reached else self._first_contact_s
        failures, silent_s = self._failures_in_a_row, self._silent_s()
        if failures and not self._alone and self.last is not None and self.last.unmade:
            return True
        return (failures >= _FAILURES_IN_A_ROW and silent_s >= min(_SILENT_S, may_wait_s / 4)) or (
            failures >= _FEW_IN_A_ROW and silent_s >= min(_LONG_SILENT_S, may_wait_s / 4)
        )

    def note_work(self) -> None:
        """Note that the server has worked on a request."""
        self.reached = True
        self._failures_in_a_row = 0
        self._since = None

    def note_answer(self) -> None:
        """Note that a row got its completions."""
        self._answers += 1
        self.note_work()

    def note_failure(self, failure: Failure) -> None:
        """Note a failure that may pass."""
        self.last = failure
        self._failures_in_a_row += 1
        # Anything may answer at a wrong URL, so an answer of another kind proves nothing.
        if failure.cause not in ("connection", "body"):
            self.reached = True
        if self._since is None:
            self._since = time.monotonic()

    def note_no_sign(self, failure: Failure) -> None:
        """Note that the server, asked whether it is back, did not answer.

        Raises:
            ServerUnreachable: It has been away for longer than it may, and is alone.
        """
        self.note_failure(failure)
        if self._alone and (words := self.overdue()):
            raise ServerUnreachable(words)

    def overdue(self) -> str | None:
        """Say what to do about a server that has been away for longer than it may; else None."""
        waited, words = self._silent_s(), "" if self.last is None else self.last.words
        if self.reached and waited > self._max_outage_s:
            return (
                f"{self._url} has given no completion for {waited:.0f} s (last: {words}). "
                "Look at the server's log and start it again, then run this again: what is "
                "journaled is not asked again. AUTOIF_MAX_OUTAGE sets a longer wait."
            )
        if not self.reached and waited > self._first_contact_s:
            return (
                f"No completion from {self._url} for {waited:.0f} s ({words}). Check that "
                "the server runs and that AUTOIF_BASE_URL is right: "
                f"`curl {self._url}/models` should list its models."
            )
        return None

    def blames_row(self, failure: Failure) -> bool:
        """Note a row's failure; False if it says nothing about the row, as "come later" does."""
        if failure.status in _TOO_BUSY:
            return False
        self._row_failures += 1
        return True

    def is_chance(self, failures: int) -> bool:
        """Whether a row may have failed so often only because every row often fails.

        With a server that drops most of what it is asked, a fixed number of tries would reject
        good rows: at three failures of four, 12 in a row happen to one row in thirty.
        """
        others = self._row_failures - failures
        share = others / (others + self._answers) if others > 0 else 0.0
        return bool(min(share, _MOST_FAILING) ** failures > _CHANCE)

    def pause_s(self, attempts: int, failure: Failure) -> float:
        """Return the seconds to wait after so many attempts, at least what the server asks for.

        While others are answered a row need not wait long; the longer the server is silent, the
        less it is asked. A server that was never reached is given up on in time.
        """
        longest = min(max(_WORKING_BACKOFF_S, self._silent_s()), _MAX_BACKOFF_S)
        pause = min(_BACKOFF_S * 2.0 ** min(attempts - 1, 10), longest) * random.uniform(0.5, 1.0)
        # A server that asks for more time than it has is tried once more before the run gives up.
        left = max(self._max_outage_s - self._silent_s(), _BACKOFF_S)
        pause = max(pause, min(failure.retry_after_s, _MAX_RETRY_AFTER_S, left))
        return pause if self.reached else min(pause, self._first_contact_s / 4)

    def __str__(self) -> str:
        """Say what is being waited for; empty while the server works."""
        if not self.is_down:
            return ""
        if not self._alone:
            return (
                f"{self._url} is away, and what it was to be asked is for the others ({self.last})"
            )
        return (
            f"waiting for {self._url}, which has completed nothing for "
            f"{self._silent_s():.0f} s ({self.last})"
        )

    def _silent_s(self) -> float:
        since = self._since
        return 0.0 if since is None else time.monotonic() - since
