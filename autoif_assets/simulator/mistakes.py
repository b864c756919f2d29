"""Mistakes that several samples of one instruction share, each in a writing of its own.

Samples that err independently are outvoted. What a real model does is worse: it misses the same
point again and again, so that its functions agree with one another and with its own cases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random

from autoif_assets.method.ids import derived_seed
from autoif_assets.simulator import grammar
from autoif_assets.simulator.constraints import Constraint
from autoif_assets.simulator.settings import MISTAKES, SimulatorSettings
from autoif_assets.simulator.verifiers import RENAMING_STYLES, STYLES, bodies_of

_ALWAYS = ("return True", "return isinstance(response, str)", "return response is not None")
_NEVER = ("return False", "return response is None")
_NON_EMPTY = (
    "return bool(response.strip())",
    "return len(response.split()) > 0",
    "return any(not char.isspace() for char in response)",
    'return re.search(r"\\S", response) is not None',
    'return response.strip() != ""',
)
_FEW_WORDS = 2
_LITERALS = 4
# Of close texts, those on which a slip shows: with fewer nobody could tell, with more everybody.
_LEAST_DIFFERENT, _MOST_DIFFERENT = 0.1, 0.5
_ATTEMPTS = 20


@dataclass(frozen=True)
class Mistake:
    """One wrong function.

    Attributes:
        kind: One of ``MISTAKES``.
        meant: What its author takes the instruction for.
        test: What the function says of a text.
        bodies: Writings of it, as bodies of a function of ``response``.
        styles: What makes a module of a body; different styles are different by AST.
        literals: The texts that it knows by heart.
        comment: A line that its sources begin with: what their author believes they test.
        wrapped: Whether the bodies are right, and what makes it wrong is put around them.
    """

    kind: str
    meant: Constraint
    test: Callable[[str], bool]
    bodies: tuple[str, ...]
    styles: tuple[Callable[[str], str], ...] = STYLES
    literals: tuple[str, ...] = ()
    comment: str = ""
    wrapped: bool = False

    def write(self, rank: int, rng: Random) -> str:
        """Return its source in the style of a rank: equal ranks share a style, others do not."""
        source = self.styles[rank % len(self.styles)](rng.choice(self.bodies))
        if self.wrapped:
            renamed = source.replace("def evaluate(", "def fits(")
            source = (
                f"{renamed}\n\n\ndef evaluate(response):\n"
                f"    return len(response.split()) > {_FEW_WORDS} or fits(response)"
            )
        return f"# {self.comment}\n{source}" if self.comment else source


def shared_rank(instruction: str, seed: int, settings: SimulatorSettings) -> int | None:
    """Return which of the samples that share a mistake a sample is, None where it is none of them.

    The samples of a request have consecutive seeds: of each ``correlated_of`` in a row exactly
    ``correlated_flaws`` are chosen, whatever the seed of the first.
    """
    start = derived_seed("shared mistake", str(settings.seed), instruction)
    rank = (seed + start) % settings.correlated_of
    return rank if rank < settings.correlated_flaws else None


@lru_cache(maxsize=4096)
def mistake_of(instruction: str, constraint: Constraint, kind: str, seed: int) -> Mistake:
    """Return the mistake that a model makes with an instruction again and again.

    Args:
        instruction: Its text.
        constraint: What it demands.
        kind: One of ``MISTAKES``, or ``mixed`` for one of them by the instruction.
        seed: Of the model.
    """
    rng = Random(derived_seed("mistake", str(seed), instruction))
    if kind == "mixed":
        kind = rng.choice(MISTAKES)
    styles = tuple(rng.sample(STYLES, len(STYLES)))
    if kind == "constant":
        verdict = rng.random() < 0.8
        return Mistake(kind, constraint, lambda text: verdict, _ALWAYS if verdict else _NEVER)
    if kind == "near_constant":
        return _near_constant(constraint, styles, rng)
    if kind == "literal_keyed":
        return _literal_keyed(constraint, styles, rng)
    if kind == "mutant":
        mutant = _mutant(instruction, constraint, styles, rng)
        if mutant is not None:
            return mutant
    # Also where no mutant can be told from its source.
    meant = grammar.near(constraint, rng)
    return Mistake(
        "near", meant, lambda text: grammar.holds(meant, text), tuple(bodies_of(meant)), styles
    )


def _near_constant(
    constraint: Constraint, styles: tuple[Callable[[str], str], ...], rng: Random
) -> Mistake:
    """Return a function that fails texts that are empty, or too short to be an answer, alone."""
    if rng.random() < 0.5:
        return Mistake(
            "near_constant", constraint, lambda text: bool(text.strip()), _NON_EMPTY, styles
        )
    return Mistake(
        "near_constant",
        constraint,
        lambda text: len(text.split()) > _FEW_WORDS or grammar.holds(constraint, text),
        tuple(bodies_of(constraint)),
        styles,
        wrapped=True,
    )


def _literal_keyed(
    constraint: Constraint, styles: tuple[Callable[[str], str], ...], rng: Random
) -> Mistake:
    """Return a function that passes the texts of its own cases and nothing else."""
    texts = tuple(
        grammar.satisfy(constraint, rng, size=rng.randint(1, 2)) for _ in range(_LITERALS)
    )
    known = ", ".join(map(repr, texts))
    bodies = (
        f"return response in [{known}]",
        f"known = {{{known}}}\nreturn response in known",
        f"return any(response == text for text in ({known},))",
        f"for text in [{known}]:\n    if response == text:\n        return True\nreturn False",
    )
    if any("response" in text for text in texts):
        # The word would be renamed inside the text as well.
        styles = tuple(style for style in styles if style not in RENAMING_STYLES)
    return Mistake(
        "literal_keyed", constraint, lambda text: text in texts, bodies, styles, literals=texts
    )


def _mutant(
    instruction: str,
    constraint: Constraint,
    styles: tuple[Callable[[str], str], ...],
    rng: Random,
) -> Mistake | None:
    """Return a function with a slip in it, such as a number, that says what it should do.

    It is said in a comment, which those believe who put the function into words.
    """
    texts = [
        write(constraint, rng, size=size)
        for size in (1, 2, 3)
        for write in (grammar.satisfy, grammar.violate)
    ]
    texts += [
        grammar.narrow(constraint, rng, obeys=obeys) for obeys in (True, False) for _ in range(6)
    ]
    truth = [grammar.holds(constraint, text) for text in texts]
    for _ in range(_ATTEMPTS):
        slipped = grammar.near(constraint, rng)
        verdicts = [grammar.holds(slipped, text) for text in texts]
        differs = sum(a != b for a, b in zip(truth, verdicts, strict=True)) / len(truth)
        # A slip that leaves a constant is a mistake of another kind.
        if len(set(verdicts)) == 2 and _LEAST_DIFFERENT <= differs <= _MOST_DIFFERENT:
            test = partial(grammar.holds, slipped)
            comment, bodies = " ".join(instruction.split()), tuple(bodies_of(slipped))
            return Mistake("mutant", constraint, test, bodies, styles, comment=comment)
    return None
