"""What a server turns out to take and to refuse, and the simpler forms a request can be put in.

Everything is learnt by asking, in one way: what was never answered is unproven, and where a
request is refused its unproven features are left out until the server answers. What was missing
from the answered form is what the server refuses. A feature that was answered once is proven.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autoif_assets.endpoint.errors import Failure
from autoif_assets.endpoint.settings import EndpointSettings
from autoif_assets.method.ids import canonical_json

if TYPE_CHECKING:
    from autoif_assets.endpoint.calls import Request

AUTOMATIC_ROOM = 8192  # tokens for the thoughts of a model that is seen to think
_LEAST_ROOM = 512  # less is no room for thoughts
# Requests that fail with the same kind of error in a row before a simpler form is tried. Once a
# simpler form helped, the next are tried sooner; so many of them, and it is no chance.
_CRASHES = 4
_CONFIRMED = 3
# What a server calls the features in its refusals.
_NAMES = {
    "n": re.compile(r"(?<![\w'])n(?=\s*(?:=|>|must\b|is\b|should\b))|['\"`]n['\"`]"),
    "schema": re.compile(r"response_format|json_schema|structured|guided|grammar", re.IGNORECASE),
    "seed": re.compile(r"\bseed\b", re.IGNORECASE),
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "max_tokens": re.compile(r"\bmax_(?:completion_)?tokens\b"),
    "logprobs": re.compile(r"logprob|log[ _-]?probabilit", re.IGNORECASE),
}

Feature = tuple[str, Any]
"""Its name; a schema's text or a temperature, where one of them may be taken and another not."""


@dataclass(frozen=True)
class Form:
    """A form to put a request in.

    Attributes:
        n: Completions asked for at once.
        without: Fields that are left out: ``schema``, ``seed``, ``temperature``, ``logprobs``; of
            ``max_tokens`` it is the name that is left, for ``max_completion_tokens``.
        room: Tokens for thoughts, beside those of the answer.
    """

    n: int
    without: frozenset[str] = frozenset()
    room: int = 0

    @property
    def cap_name(self) -> str:
        """The name of the field that limits the tokens."""
        return "max_completion_tokens" if "max_tokens" in self.without else "max_tokens"

    def lacks(self, name: str) -> bool:
        """Whether it is without a feature."""
        return self.n == 1 if name == "n" else name in self.without

    def simplified(self, names: Iterable[str]) -> "Form":
        """Return the form with these features left out."""
        given = set(names)
        n = 1 if "n" in given else self.n
        return replace(self, n=n, without=self.without | (given - {"n"}))


class _Model:
    """What is known of the model, whichever server is asked."""

    def __init__(self) -> None:
        self.thinks = False
        self.notes: list[str] = []


class Features:
    """What a server has taken and refused, for as long as a run asks it.

    Attributes:
        met: Whether a request to the server has ended in any way.
    """

    def __init__(self, model: _Model | None = None) -> None:
        self.met = False
        self._model = model or _Model()
        self._replicas: dict[str, Features] = {}
        self._n_taken = 1
        self._n_limited = False
        self._taken: set[Feature] = set()
        self._refused: set[Feature] = set()
        self._suspected: Counter[Feature] = Counter()
        self._most_room: int | None = None

    @property
    def notes(self) -> list[str]:
        """What the client does differently because of a refusal, for people."""
        return self._model.notes

    @property
    def thinks(self) -> bool:
        """Whether the model was seen to think before it answers."""
        return self._model.thinks

    def of_replica(self, name: str) -> "Features":
        """Return what one of several servers takes and refuses, which is learnt for each.

        The model is the same on all, and so are the notes.
        """
        return self._replicas.setdefault(name, Features(self._model))

    @property
    def cap_name(self) -> str:
        """The name of the field that limits the tokens, as far as is known."""
        refused = ("max_tokens", None) in self._refused
        return Form(1, frozenset({"max_tokens"} if refused else ())).cap_name

    def wanted_room(self, settings: EndpointSettings) -> int:
        """Return the tokens that a completion is to have for thoughts."""
        if settings.thinking_tokens is not None:
            return settings.thinking_tokens
        return AUTOMATIC_ROOM if self.thinks else 0

    def form(self, n: int, request: "Request", settings: EndpointSettings) -> Form:
        """Return the best form for ``n`` completions that is not known to be refused."""
        if self._n_limited:
            n = min(n, self._n_taken)
        without = {name for name, value in _features(request) if (name, value) in self._refused}
        if self._no_temperature():
            without.add("temperature")
        room = 0 if request.scored is not None else self.wanted_room(settings)
        if self._most_room is not None:
            room = min(room, self._most_room)
        return Form(n, frozenset(without if request.schema else without | {"schema"}), room)

    def without_named(self, form: Form, request: "Request", words: str) -> list[Form]:
        """Return the form without what a refusal names, of what is not yet proven."""
        unproven = self._unproven(form, request)
        named = [name for name in unproven if _NAMES[name].search(words)]
        return [form.simplified(named)] if named else []

    def simpler(self, form: Form, request: "Request") -> list[Form]:
        """Return forms without one feature that is not yet proven, then one without all."""
        unproven = self._unproven(form, request)
        groups: list[Sequence[str]] = [[name] for name in unproven]
        if {"n", "schema"} <= set(unproven):
            groups.append(["n", "schema"])
        groups.append(unproven)
        return list(dict.fromkeys(form.simplified(group) for group in groups if group))

    def left(
        self,
        form: Form,
        request: "Request",
        failure: Failure,
        refused: Collection[Form],
        others: Iterable[Form],
    ) -> list[Form]:
        """Return the forms left to try of a request once ``form`` is refused.

        Args:
            form: The form.
            request: What is asked.
            failure: The refusal. Where it names the row's own content, no form would help but
                one that asks for less.
            refused: The forms that were refused before.
            others: Those that were left then.
        """
        if request.scored is not None:
            return []
        if failure.content is None:
            # What was named is left out as well; the rest is tried once, from the first form on.
            more = [] if refused else self.simpler(form, request)
            forms = [*self.without_named(form, request, failure.words), *more, *others]
        else:
            forms = _roomier(form) if failure.content == "length" else []
        return [other for other in dict.fromkeys(forms) if other != form and other not in refused]

    def patience(self, form: Form, request: "Request") -> int:
        """Return how many crashes in a row make a simpler form worth trying; 0 for never."""
        unproven = self._unproven(form, request)
        if not unproven:
            return 0
        # Where one schema was refused, the next is suspected as well.
        suspected = {name for name, _ in (*self._suspected, *self._refused)}
        return _CRASHES if suspected.isdisjoint(unproven) else 1

    def took(self, form: Form, completions: int, request: "Request") -> None:
        """Note that the server answered ``form`` with so many completions."""
        self._n_taken = max(self._n_taken, min(form.n, completions))
        if completions < form.n:
            self._limit_n(f"gave {completions} completions where n={form.n} were asked")
        for name, value in _features(request):
            if name not in form.without:
                self._taken.add((name, value))
                self._suspected.pop((name, value), None)

    def learn(
        self,
        refused: Mapping[Form, str],
        instead: Form,
        request: "Request",
        crashed: Form | None = None,
    ) -> None:
        """Note that the server refused some forms of a request and then took ``instead``.

        Args:
            refused: The forms in their order, with what the server said.
            instead: The one that was answered.
            request: What was asked.
            crashed: One of the forms, on which it failed without refusing it, which may have been
                chance.
        """
        first, words = next(iter(refused.items()))
        if instead.room < first.room and (self._most_room or instead.room) >= instead.room:
            self._most_room = instead.room
            self._note(
                f"The server has no place for {first.room} tokens of thoughts beside the answer "
                f"({words}): it is asked for {instead.room}."
            )
        keys = _keys(request)
        lost = instead.without - first.without | ({"n"} if instead.n < first.n else set())
        for name in sorted(lost):
            feature = (name, keys.get(name))
            if feature in self._refused | self._taken:
                continue
            self._suspected[feature] += 1
            blamed = (said for said in refused.values() if _NAMES[name].search(said))
            chance = crashed is not None and not crashed.lacks(name)
            why = refused[crashed] if chance and crashed else next(blamed, words)
            if not chance or self._suspected[feature] >= _CONFIRMED:
                self._refused.add(feature)
                if name == "n":
                    self._limit_n(f"refuses n={first.n} ({why})")
                else:
                    self._note(_note(name, request, why))

    def saw(self, *, thoughts: bool, settings: EndpointSettings) -> None:
        """Note whether a completion shows that the model thinks before it answers."""
        if not thoughts or self.thinks:
            return
        self._model.thinks = True
        if settings.thinking_tokens is None:
            self._note(
                f"The model thinks before it answers: {AUTOMATIC_ROOM} tokens for that are asked "
                "for beside the answer's; AUTOIF_THINKING_TOKENS sets another number."
            )

    def _note(self, words: str) -> None:
        # Of several servers with one refusal it is told once.
        if words not in self.notes:
            self.notes.append(words)

    def _no_temperature(self) -> bool:
        """Whether some temperature was refused and none was ever taken."""
        refused = {name for name, _ in self._refused}
        return "temperature" in refused - {name for name, _ in self._taken}

    def _unproven(self, form: Form, request: "Request") -> list[str]:
        unproven = ["n"] if form.n > self._n_taken else []
        return unproven + [
            name
            for name, value in _features(request)
            if name not in form.without and (name, value) not in self._taken
        ]

    def _limit_n(self, why: str) -> None:
        if not self._n_limited:
            self._n_limited = True
            self._note(
                f"The server {why}; from now on it is asked for at most {self._n_taken} at once."
            )


def _roomier(form: Form) -> list[Form]:
    """Return forms with less for thoughts, which leave more of the server's room for the row."""
    rooms = []
    room = form.room
    while room:
        room = room // 4 if room // 4 >= _LEAST_ROOM else 0
        rooms.append(replace(form, room=room))
    return rooms


def _features(request: "Request") -> list[Feature]:
    features: list[Feature] = [
        ("seed", None),
        ("temperature", request.temperature),
        ("max_tokens", None),
    ]
    if request.schema is not None:
        features.insert(0, ("schema", canonical_json(request.schema)))
    if request.logprobs:
        # First, for the answer is the same without.
        features.insert(0, ("logprobs", None))
    return features


def _keys(request: "Request") -> dict[str, Any]:
    return dict(_features(request))


def _note(name: str, request: "Request", words: str) -> str:
    if name == "schema":
        return (
            f"The server refuses the JSON schema of {request.role} ({words}); its prompts are "
            "sent without it and the answers read as free text."
        )
    if name == "max_tokens":
        return f"The server refuses max_tokens ({words}); it is sent as max_completion_tokens."
    if name == "logprobs":
        return f"The server refuses logprobs ({words}); answers come without their probabilities."
    value = f" {request.temperature:g}" if name == "temperature" else ""
    return f"The server refuses {name}{value} ({words}); requests are sent without it."
