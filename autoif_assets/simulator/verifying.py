"""What the stand-in model says of verifiers: it writes, corrects and describes them, and audits."""

import re
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

from autoif_assets.method.ids import derived_seed
from autoif_assets.simulator import grammar
from autoif_assets.simulator.constraints import Constraint
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.instructions import read_instruction, write_instruction
from autoif_assets.simulator.mistakes import Mistake, mistake_of, shared_rank
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.simulator.truth import NON_EMPTY
from autoif_assets.simulator.verifiers import (
    CONSTANTS,
    invert_source,
    read_verifier,
    spoil_source,
    stated_in,
    write_buggy,
    write_verifier,
)

_VAGUE = (
    "Write a clear and helpful answer.",
    "Follow the form that the code expects.",
    "Answer in a suitable way.",
)
# How many of those who misread an instruction do so in one sample.
_MISREADS = 0.85
# Of the cases that come with a shared mistake, those at the line, where it shows if anywhere.
_SHOWN = 0.3
# Of one-sided cases, those whose inputs are alike in shape, and of the others those that all obey.
_ALIKE, _ALL_OBEY = 0.5, 0.7
# Of an auditor's errors, those that it makes with a text each time it is asked.
_LASTING_ERRORS = 0.5


def misread(instruction: str, constraint: Constraint, settings: SimulatorSettings) -> Constraint:
    """Return what the model takes an instruction for: for some, consistently something close."""
    rng = Random(derived_seed("misread", str(settings.seed), instruction))
    if rng.random() < settings.misread_rate:
        return grammar.near(constraint, rng)
    return constraint


def _meant(
    instruction: str, constraint: Constraint, rng: Random, settings: SimulatorSettings
) -> Constraint:
    """Return what one sample takes an instruction for.

    A misread instruction is misread by most samples alike, so that they agree with one another
    and only back-translation can tell.
    """
    understood = misread(instruction, constraint, settings)
    if understood != constraint and rng.random() >= _MISREADS:
        return constraint
    return understood


def write_checks(
    variables: Mapping[str, str], seed: int, rng: Random, settings: SimulatorSettings
) -> str | dict[str, Any]:
    """Answer the verifier prompt: a function and its cases.

    Args:
        variables: The prompt's.
        seed: The sample's.
        rng: Source of every choice but those that samples share.
        settings: The model's rates.
    """
    instruction = variables["instruction"].strip()
    constraint = read_instruction(instruction)
    if constraint is None:
        return _unusable(rng)
    rank = shared_rank(instruction, seed, settings)
    if rank is not None:
        mistake = mistake_of(instruction, constraint, settings.correlated_kind, settings.seed)
        cases = _mistaken_cases(instruction, mistake, rng, settings)
        return {"func": mistake.write(rank, rng), "cases": cases}
    meant = _meant(instruction, constraint, rng, settings)
    source = write_verifier(meant, rng)
    luck = rng.random()
    if luck < settings.wrong_verifier_rate:
        source = _wrong_source(meant, rng)
    elif luck < settings.wrong_verifier_rate + settings.defect_rate:
        source = spoil_source(source, rng)
    return {"func": source, "cases": _cases(instruction, meant, rng, settings)}


def write_checks_with_query(
    variables: Mapping[str, str], seed: int, rng: Random, settings: SimulatorSettings
) -> str | dict[str, Any]:
    """Answer the prompt that shows the query; nothing that can be checked here needs it."""
    answer = write_checks(variables, seed, rng, settings)
    if not isinstance(answer, str):
        answer["cases"] = [{"query": None, **case} for case in answer["cases"]]
    return answer


def _wrong_source(constraint: Constraint, rng: Random) -> str:
    """Return a verifier that gives verdicts, some of them wrong."""
    luck = rng.random()
    if luck < 0.5:
        return invert_source(write_verifier(constraint, rng))
    if luck < 0.7:
        return write_buggy(constraint, rng) or rng.choice(CONSTANTS)
    if luck < 0.8:
        return rng.choice(CONSTANTS)
    if luck < 0.9:
        return write_verifier(grammar.near(constraint, rng), rng)
    return write_verifier(grammar.far(constraint, rng), rng)


def _cases(
    instruction: str, constraint: Constraint, rng: Random, settings: SimulatorSettings
) -> list[dict[str, Any]]:
    """Return three cases, as the prompt asks for."""
    outputs, alike = _plan(instruction, rng, settings)
    inputs = (_input(constraint, wanted, rng, alike=alike) for wanted in outputs)
    return _labelled(inputs, lambda text: grammar.holds(constraint, text), rng, settings)


def _mistaken_cases(
    instruction: str, mistake: Mistake, rng: Random, settings: SimulatorSettings
) -> list[dict[str, Any]]:
    """Return cases as the author of a mistake labels them."""
    outputs, alike = _plan(instruction, rng, settings)
    inputs = (_mistaken_input(mistake, wanted, rng, alike) for wanted in outputs)
    return _labelled(inputs, mistake.test, rng, settings)


def _plan(instruction: str, rng: Random, settings: SimulatorSettings) -> tuple[list[bool], bool]:
    """Return which labels the inputs of three cases are written for, and whether they are alike.

    One-sided inputs are so for all samples of an instruction: either their labels are all the
    same, or what obeys is one short sentence, and what breaks is none that tried.
    """
    outputs = rng.choice(([True, False, True], [True, False, False], [True, True, False]))
    shared = Random(derived_seed("one-sided", str(settings.seed), instruction))
    if shared.random() >= settings.one_sided_cases_rate:
        return outputs, False
    if shared.random() < _ALIKE:
        return outputs, True
    return [shared.random() < _ALL_OBEY] * len(outputs), False


def _input(constraint: Constraint, obeys: bool, rng: Random, *, alike: bool) -> str:
    write = grammar.satisfy if obeys else grammar.violate
    if not alike:
        return write(constraint, rng, size=rng.randint(1, 3))
    plain = Draft(rng, size=1).body()
    return plain if grammar.holds(constraint, plain) == obeys else write(constraint, rng, size=1)


def _mistaken_input(mistake: Mistake, obeys: bool, rng: Random, alike: bool) -> str:
    if obeys and mistake.literals:
        return rng.choice(mistake.literals)
    if rng.random() < _SHOWN and not alike:
        return grammar.narrow(mistake.meant, rng, obeys=obeys)
    return _input(mistake.meant, obeys, rng, alike=alike)


def _labelled(
    inputs: Iterable[str], test: Callable[[str], bool], rng: Random, settings: SimulatorSettings
) -> list[dict[str, Any]]:
    cases = []
    for text in inputs:
        output = test(text)
        if rng.random() < settings.wrong_case_rate:
            output = not output
        cases.append({"input": text, "output": output})
    return cases


def _unusable(rng: Random) -> str | dict[str, Any]:
    """Answer an instruction that no program can check as models do: with words or wishful code."""
    if rng.random() < 0.4:
        return "No short program can check this instruction, so I leave the function out."
    return {"func": _wishful(rng), "cases": _guessed_cases(3, rng)}


def _wishful(rng: Random) -> str:
    name = rng.choice(("judge_style", "measure_feeling", "language_model", "find_rhymes"))
    return f"def evaluate(response):\n    return {name}(response) > 0.{rng.randint(1, 9)}"


def _guessed_cases(count: int, rng: Random) -> list[dict[str, Any]]:
    draft = Draft(rng, size=1)
    return [{"input": draft.body(), "output": rng.random() < 0.5} for _ in range(count)]


def boundary_cases(
    variables: Mapping[str, str], rng: Random, settings: SimulatorSettings
) -> dict[str, Any]:
    """Answer the prompt for texts at the line between obeying and breaking an instruction."""
    instruction = variables["instruction"].strip()
    constraint = read_instruction(instruction)
    if constraint is None:
        # It names labels all the same; nobody can say which are right.
        return {"cases": _guessed_cases(6, rng)}
    meant = _meant(instruction, constraint, rng, settings)
    inputs = (
        grammar.narrow(meant, rng, obeys=obeys, size=rng.randint(1, 2))
        for obeys in (True, True, True, False, False, False)
    )
    return {"cases": _labelled(inputs, lambda text: grammar.holds(meant, text), rng, settings)}


def repair(
    variables: Mapping[str, str], rng: Random, settings: SimulatorSettings
) -> dict[str, Any]:
    """Answer the prompt to correct a function: rightly, by the same flaw, or by another one."""
    instruction = variables["instruction"].strip()
    constraint = read_instruction(instruction)
    if constraint is None:
        return {"func": _wishful(rng)}
    meant = _meant(instruction, constraint, rng, settings)
    if rng.random() < settings.repair_rate:
        return {"func": write_verifier(meant, rng)}
    same = rng.random() < 0.5
    return {"func": variables["source"].strip() if same else _wrong_source(meant, rng)}


def audit(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> dict[str, Any]:
    """Answer whether a text obeys an instruction.

    Half of the errors are made with a text each time that it is asked about, so that asking again
    takes away the other half only.
    """
    instruction, text = variables["instruction"].strip(), variables["response"]
    lasting = Random(derived_seed("audit", str(settings.seed), instruction, text))
    constraint = read_instruction(instruction)
    obeys = lasting.random() < 0.5 if constraint is None else grammar.holds(constraint, text)
    always = _LASTING_ERRORS * settings.auditor_error_rate
    now = (settings.auditor_error_rate - always) / (1 - always)
    if lasting.random() < always or rng.random() < now:
        obeys = not obeys
    return {"obeys": "yes" if obeys else "no"}


def certainty(variables: Mapping[str, str], answer: str, settings: SimulatorSettings) -> float:
    """Return how likely an auditor finds the word that it has answered: 0.5 to 1.

    It is the surer of two draws where it is right, and one draw where it is not. So of a right and
    a wrong answer the right one is the surer in two cases of three: Qwen2.5-Coder-1.5B (Q4_K_M)
    finds yes likelier for a text that obeys than for one that does not in 66 % of pairs, of 40 and
    72 clear texts for the packaged seeds.
    """
    instruction, text = variables["instruction"].strip(), variables["response"]
    constraint = read_instruction(instruction)
    said = re.search(r"\b(?:yes|no)\b", answer)
    is_right = (
        constraint is not None
        and said is not None
        and grammar.holds(constraint, text) == (said[0] == "yes")
    )
    rng = Random(derived_seed("certainty", str(settings.seed), instruction, text))
    draws = [rng.random(), rng.random()]
    return 0.5 + (max(draws) if is_right else draws[0]) / 2


def back_translation(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> str:
    """Answer the prompt for the instruction that a function was written for."""
    source = variables["source"].strip()
    # A constant says nothing of the instruction it was written for.
    if source in CONSTANTS:
        return rng.choice(NON_EMPTY)
    # A comment is believed: it is easier to read than the code.
    constraint = stated_in(source) or read_verifier(source).constraint
    luck = rng.random()
    if constraint is None or luck < settings.vague_rate:
        return rng.choice(_VAGUE)
    if luck < settings.vague_rate + settings.unfaithful_rate:
        constraint = grammar.near(constraint, rng)
    return write_instruction(constraint, rng)
