"""What of the completions did not come, or not whole, and whether a stage can do without it."""

from collections import Counter
from dataclasses import dataclass, field

from autoif_assets.endpoint.calls import Choice, Reply, Request
from autoif_assets.endpoint.errors import TooManyFailed
from autoif_assets.endpoint.features import Features
from autoif_assets.endpoint.settings import EndpointSettings

_ENOUGH = 100  # completions that must be lacking before a run is stopped half-way
_SOME_ROOM = 4096  # tokens that are suggested for thoughts where there were none
_SHOWN = 2  # different words of the server
_CHARS = 300  # of each


@dataclass
class _Shortfall:
    """The completions for one role.

    Attributes:
        wanted: How many were wanted.
        cut: How many ended at the most tokens they may have.
        ended: How many else are not whole, by the server's word for why.
        failed: How many did not come, by what the server said.
        too_long: How many of these it said to be of too long a row.
        filtered: How many it did not let through for what they or their prompts say, by its words.
        max_tokens: Most tokens of an answer.
    """

    max_tokens: int
    wanted: int = 0
    cut: int = 0
    too_long: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)

    @property
    def lacking(self) -> int:
        return self.cut + self.ended.total() + self.failed.total()

    @property
    def possible(self) -> int:
        """How many could have come: what a filter stops says something of its row."""
        return self.wanted - self.filtered.total()


class Shortfalls:
    """Counts by role what failed technically or was cut off.

    Neither says anything of the row. Where it is more than may be, the rows would be those of
    another model, or none, and the stage stops. What is refused as too long counts, too: how much
    the server takes, and how much is kept free for the answer, are settings. What a filter stops
    does not, as long as anything comes: no setting of ours would let that row through.
    """

    def __init__(self, settings: EndpointSettings, features: Features) -> None:
        self._settings = settings
        self._features = features
        self._roles: dict[str, _Shortfall] = {}

    def add(self, request: Request, reply: Reply) -> None:
        """Count what was wanted, and what of it is known to lack."""
        found = self._roles.setdefault(request.role, _Shortfall(request.max_tokens))
        found.wanted += request.n
        for choice in reply.choices:
            self.note(request, choice)
        if reply.error is not None:
            lacking = request.n - len(reply.choices)
            self.note_error(request, lacking, reply.error, reply.content)

    def note(self, request: Request, choice: Choice) -> None:
        """Count a completion that came."""
        found = self._roles[request.role]
        found.cut += choice.cut
        if choice.filtered:
            found.filtered[f"ended by {choice.finish_reason!r}"] += 1
        elif choice.ended_otherwise is not None:
            found.ended[choice.ended_otherwise] += 1

    def note_error(
        self, request: Request, completions: int, words: str, content: str | None = None
    ) -> None:
        """Count completions that did not come.

        Args:
            request: What was asked.
            completions: How many of it did not come.
            words: What the server said.
            content: What of the row it objects to, if it names it.
        """
        found = self._roles[request.role]
        (found.filtered if content == "filter" else found.failed)[words] += completions
        found.too_long += completions if content == "length" else 0

    def certain(self) -> TooManyFailed | None:
        """Return the error of a run that cannot come to less than too much, or None."""
        for role, found in self._roles.items():
            if found.lacking >= _ENOUGH and found.lacking > self._share * found.possible:
                return TooManyFailed(self._words(role, found))
        return None

    def check(self) -> None:
        """See whether the stage can do with what came.

        A single one of several is no share of anything.

        Raises:
            TooManyFailed: It cannot.
        """
        for role, found in self._roles.items():
            several = found.lacking > 1 or found.possible == 1
            none = not found.possible and self._share < 1 and found.wanted
            if none or (several and found.lacking > self._share * found.possible):
                raise TooManyFailed(self._words(role, found))

    @property
    def _share(self) -> float:
        return self._settings.max_failed_share

    def _words(self, role: str, found: _Shortfall) -> str:
        settings = self._settings
        what = []
        if found.failed:
            what.append(f"{found.failed.total()} failed ({_quoted(found.failed)})")
        if found.filtered:
            what.append(
                f"{found.filtered.total()} were stopped by a filter ({_quoted(found.filtered)})"
            )
        room = self._features.wanted_room(settings)
        if found.cut:
            beside = f" and {room} for thoughts" if room else ""
            what.append(
                f"{found.cut} were cut off at {found.max_tokens} tokens for the answer{beside}"
            )
        if found.ended:
            named = ", ".join(f"{name!r}" for name, _ in found.ended.most_common(_SHOWN))
            what.append(f"{found.ended.total()} are not whole (the server ended them by {named})")
        without = found.lacking + found.filtered.total()
        return (
            f"{without} of {found.wanted} completions of {settings.model} at "
            f"{settings.public_url} for {role} are of no use: {', '.join(what)}. A stage may lack "
            f"{self._share:.0%} (AUTOIF_MAX_FAILED_SHARE). "
            f"{' '.join(self._advice(role, found, room))} What was answered is journaled and not "
            "asked again."
        )

    def _advice(self, role: str, found: _Shortfall, room: int) -> list[str]:
        advice = []
        if found.cut:
            more = f"set AUTOIF_THINKING_TOKENS to {max(2 * room, _SOME_ROOM)} or so"
            advice.append(
                f"The model thinks before it answers: {more}; only what was cut off is asked again."
                if self._features.thinks
                else f"If the model thinks before it answers, {more}: only what was cut off is "
                f"asked again. Else set {role}_max_tokens above {found.max_tokens}."
            )
        if found.ended:
            advice.append("What the server broke off is asked again by the next run.")
        if found.failed:
            advice.append("See to what the server says, then run again: failed calls are repeated")
            advice[-1] += ", those that are too long with --ask-refused." if found.too_long else "."
        if found.filtered:
            advice.append("What a filter stopped is asked again with --ask-refused.")
        return advice


def _quoted(said: Counter[str]) -> str:
    return "; ".join(
        f"{count} of them: {words[:_CHARS]}" for words, count in said.most_common(_SHOWN)
    )
