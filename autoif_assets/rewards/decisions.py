"""What outcomes of verifiers mean: a component for an instruction, a reward for an answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

Component = Literal["pass", "fail", "none"]
Mode = Literal["all", "mean", "components"]
OnNoVerdict = Literal["none", "zero", "raise"]

MODES: tuple[Mode, ...] = ("all", "mean", "components")
"""How components become one number.

`all`: 1 where each passes, 0 where one fails. `mean`: the share that passes. `components`: the
same share of those that have a verdict, for trainers that weigh the components themselves.
"""
ON_NO_VERDICT: tuple[OnNoVerdict, ...] = ("none", "zero", "raise")
EMPTY = "empty answer"


class Reward(TypedDict):
    """What a completion is worth.

    Attributes:
        reward: From 0 to 1; None where the verifiers do not decide.
        components: What each instruction's verifiers say.
        reasons: Why a component is none, or the reward 0 without a verifier; for people.
    """

    reward: float | None
    components: dict[str, Component]
    reasons: list[str]


class NoVerdict(RuntimeError):
    """The verifiers do not decide about a completion, and the caller wanted to be told so."""


def component(outcomes: Sequence[str]) -> Component:
    """Decide by the majority of an instruction's verifiers.

    As where the data was made, half of the verifiers without a verdict are too many. Neither a
    tie nor a crash is a majority, so nothing is decided by them.
    """
    passed, failed = outcomes.count("pass"), outcomes.count("fail")
    if 2 * (passed + failed) <= len(outcomes) or passed == failed:
        return "none"
    return "pass" if passed > failed else "fail"


def reason(instruction_id: str, outcomes: Sequence[str]) -> str:
    """Say why a component is none."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(outcomes).items()))
    return f"{instruction_id}: no majority ({counts})"


def reward_of(components: Mapping[str, Component], mode: Mode) -> float | None:
    """Return the number that components amount to; None where they do not decide it."""
    said = list(components.values())
    passed, unknown = said.count("pass"), said.count("none")
    if mode == "all":
        # One that fails decides, whatever the others would have said.
        return 0.0 if "fail" in said else None if unknown else 1.0
    if mode == "mean" and unknown:
        return None
    return passed / (len(said) - unknown) if len(said) > unknown else None


def without_none(made: Reward, mode: Mode, on_no_verdict: OnNoVerdict) -> Reward:
    """Do with a reward that may be none what the caller wants.

    Raises:
        NoVerdict: The caller wants that.
    """
    if on_no_verdict == "zero":
        counted: dict[str, Component] = {
            name: "fail" if said == "none" else said for name, said in made["components"].items()
        }
        return {**made, "reward": reward_of(counted, mode)}
    if on_no_verdict == "raise" and made["reward"] is None:
        raise NoVerdict(
            f"The verifiers do not decide: {'; '.join(made['reasons'])}. Leave the sample out of "
            "the group's statistics (on_no_verdict='none'), or see slow_verifiers()."
        )
    return made


def vetoed(made: Reward, good: bool | None, on_no_verdict: OnNoVerdict) -> Reward:
    """Multiply a reward by what a judge says; one that failed has not judged.

    Raises:
        NoVerdict: It failed, and the caller wants to be told so.
    """
    if good:
        return made
    said = "judge: no" if good is False else "judge: no answer"
    worth = None if good is None and on_no_verdict != "zero" else 0.0
    if worth is None and on_no_verdict == "raise":
        raise NoVerdict("The judge gave no answer. See whether its server is well.")
    return {**made, "reward": worth, "reasons": [*made["reasons"], said]}


def empty(instruction_ids: Sequence[str]) -> Reward:
    """Return the reward of a completion without an answer: 0, whatever an instruction asks."""
    return {
        "reward": 0.0,
        "components": dict.fromkeys(instruction_ids, "fail"),
        "reasons": [EMPTY],
    }
