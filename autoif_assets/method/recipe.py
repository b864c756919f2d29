"""Recipes, the numbers of the method: the paper's, the authors' code's, a user's overrides."""

import json
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from autoif_assets.method.prompts import PROMPTS, PromptError

_OPERATORS = {">": operator.gt, ">=": operator.ge}
_ANSWER = "Tokens of the answer; thoughts have those of the endpoint's thinking_tokens beside."
_COUNTED = "[3.3]; a Chinese, Japanese or Korean character counts as two"
_THRESHOLD = re.compile(r"(>=|>)\s*(\d+(?:\.\d+)?)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MOST_PROBLEMS = 3  # told at a time


class RecipeError(ValueError):
    """A recipe that a person asked for is none; the message says why and what there is.

    Attributes:
        names: Of the numbers it is about.
    """

    def __init__(self, message: str, names: Iterable[str] = ()):
        super().__init__(message)
        self.names = tuple(names)


@dataclass(frozen=True)
class Threshold:
    """A bound such as ``> 0.5`` or ``>= 8``; whether it is strict changes the yield."""

    symbol: str
    value: float

    @classmethod
    def parse(cls, text: str) -> "Threshold":
        """Read ``"> 0.5"`` or ``">= 8"``.

        Raises:
            ValueError: The text is not a comparison sign and a number.
        """
        match = _THRESHOLD.fullmatch(text.strip())
        if match is None:
            number = _NUMBER.search(text)
            raise ValueError(f'{text!r} is no bound; write ">= {number[0] if number else 8}"')
        return cls(match[1], float(match[2]))

    def accepts(self, values: pl.Expr) -> pl.Expr:
        """Return the Boolean expression ``values <sign> bound``; null stays null."""
        return _OPERATORS[self.symbol](values, self.value)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return f"{self.symbol} {self.value:g}"


class Recipe(BaseModel):
    """Every number the method uses; the defaults are the paper's (arXiv 2406.13542)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, description="Every random choice derives from this and the batch's key.")

    language: str | None = Field(
        None,
        pattern=r"^[^\W\d_][^\n{}]{1,59}$",
        description="Language, such as German, that new instructions and responses are asked for "
        "in; null: that of the seeds and queries.",
    )
    prompts: dict[str, str] = Field(
        {},
        description="Templates in the place of the packaged prompts, by role.",
    )

    instructions_per_batch: int = Field(
        100, ge=0, description="New instructions asked for by self-instruct, K [3.2, App. C]."
    )
    instructions_per_call: int = Field(
        50, ge=1, description="New instructions asked for in one completion."
    )
    seed_examples_per_call: int = Field(
        36, ge=1, description="Seed instructions shown in one self-instruct prompt."
    )
    seeds_per_batch: int | None = Field(
        None, ge=0, description="Seeds not yet in another batch that join this one; null: all."
    )
    coverage: Literal["free", "even"] = Field(
        "free",
        description="Whether new instructions are asked for as they come, or half of them of the "
        "categories of which there are few.",
    )
    categorise: bool = Field(
        False,
        description="Also ask of which of the seeds' categories each new instruction is.",
    )
    verifiers_per_instruction: int = Field(
        8, ge=1, description="Completions per instruction, each a function and its cases [3.2]."
    )
    min_verifiers: int = Field(
        1, ge=1, description="Distinct functions an instruction needs before cross-validation."
    )
    min_cases: int = Field(
        1, ge=1, description="Distinct cases an instruction needs before cross-validation."
    )
    modules: list[str] = Field(
        [],
        description="Installed modules that verifiers may import besides the standard library, as "
        "module or, where a function must load its data first, module:function.",
    )
    case_agreement: str = Field(
        "> 0.5", description="Share of functions that must agree with a case [3.2]."
    )
    verifier_agreement: str = Field(
        "> 0.5", description="Share of surviving cases a function must agree with [3.2]."
    )
    boundary_cases: bool = Field(
        False, description="Also ask for cases close to the line, six an instruction, in one call."
    )
    count_samples: bool = Field(
        False,
        description="Whether a function votes once for each sample that wrote it; if not, once.",
    )
    reject_constants: bool = Field(
        False,
        description="Whether functions that say the same of every text that is not their own case "
        "are rejected and have no vote.",
    )
    min_cases_per_label: int = Field(
        0, ge=0, description="Surviving cases of each label that a verifier needs."
    )
    surviving_cases: str = Field(
        ">= 0", description="Share of an instruction's cases that must survive."
    )
    agreement_by_label: str = Field(
        ">= 0", description="Share of the surviving cases of each label a function agrees with."
    )
    obeying_probes_per_instruction: int = Field(
        0, ge=0, description="Responses that are to obey, sampled to try verifiers on."
    )
    breaking_probes_per_instruction: int = Field(
        0, ge=0, description="Responses that are to break the instruction, for the same."
    )
    probe_texts_per_batch: int = Field(
        2000, ge=0, description="Texts of a batch on which all its verifiers are tried, at most."
    )
    sibling_agreement: str = Field(
        ">= 0",
        description="Share of an instruction's own probe texts on which a function agrees with "
        "the majority.",
    )
    reject_fragile: bool = Field(
        False,
        description="Whether functions go that give no verdict on Markdown, other line ends, other "
        "scripts and the like.",
    )
    mutants_per_verifier: int = Field(
        0, ge=0, description="Slightly changed copies of a verifier; it goes if one does better."
    )
    min_base_rate: float = Field(
        0, ge=0, le=1, description="Least share of the probe texts that an instruction holds for."
    )
    max_base_rate: float = Field(
        1, ge=0, le=1, description="Most, of the probe texts written for other instructions."
    )
    repair_rounds: int = Field(
        0, ge=0, description="Times that functions which failed are sent back to be corrected."
    )
    repairs_per_instruction: int = Field(
        2, ge=1, description="Functions of an instruction sent back in a round."
    )
    audited_texts_per_instruction: int = Field(
        0, ge=0, description="Texts on which verifiers differ that the auditor judges."
    )
    auditor_min_agreement: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Where the auditor agrees with no function on more of these, it is doubted.",
    )
    contradiction_rejects: Literal["instruction", "verifier"] = Field(
        "instruction",
        description="What a back-translation that contradicts rejects; of verifiers half and more "
        "take the instruction along.",
    )
    back_translations_per_instruction: int | None = Field(
        None, ge=1, description="Verifiers back-translated per instruction; null: all [3.2]."
    )
    queries_per_instruction: int = Field(
        16, ge=1, description="User queries joined to each verified instruction [3.3]."
    )
    query_min_chars: int = Field(20, ge=0, description=f"A query is longer than this {_COUNTED}.")
    query_max_chars: int = Field(300, ge=1, description=f"A query is shorter than this {_COUNTED}.")
    conversations: Literal["first_turn", "keep"] = Field(
        "first_turn",
        description="What of a conversation is asked: its first human turn, if that stands alone; "
        "or its last human turn with all that was said before, messages in and messages out.",
    )
    responses_per_prompt: int = Field(
        8, ge=1, description="Responses sampled per augmented query, K [3.3]."
    )
    response_pass_rate: str = Field(
        "> 0.5", description="Share of verifiers a response must pass [3.3]."
    )
    min_score: str = Field(">= 8", description="Quality score (0-10) a response must reach [3.3].")
    chosen_pass_rate: str = Field(
        "> 0.5", description="Share of verifiers a chosen response passes; a rejected passes none."
    )
    chosen_per_prompt: int = Field(2, ge=1, description="Chosen responses drawn per prompt [3.4].")
    rejected_per_prompt: int = Field(
        2, ge=1, description="Rejected responses drawn per prompt [3.4]."
    )
    pairs_per_prompt: int = Field(4, ge=1, description="Most pairs of a prompt.")
    near_identical: str = Field(
        ">= 0.9",
        description="Similarity of chosen and rejected (runs of three words they share) at which "
        "a pair is dropped.",
    )
    reject_degenerate: bool = Field(
        False,
        description="Whether pairs go whose rejected text is noise or repeats itself, unless the "
        "chosen one does, too.",
    )
    min_rejected_score: str = Field(
        ">= 0",
        description="Quality score (0-10) that a rejected response must reach, of those that have "
        "one; needs score_failing.",
    )
    near_misses_per_prompt: int = Field(
        0, ge=0, description="Violating responses asked for where a prompt has only good ones."
    )
    further_responses_per_prompt: int = Field(
        0, ge=0, description="Further responses sampled where all of a prompt's fail."
    )
    score_failing: bool = Field(
        False, description="Also score responses that pass no verifier, for pairs with two scores."
    )
    policy_responses_per_prompt: int = Field(
        8, ge=1, description="Responses a policy samples per prompt, K of pass@K [3.4]."
    )
    bootstrap_samples: int = Field(
        1000, ge=1, description="Draws behind the intervals of a policy's scorecard."
    )
    eval_share: float = Field(
        0.05, ge=0, lt=1, description="Share of instructions whose data goes to the eval split."
    )
    split_queries: bool = Field(
        True,
        description="Whether held-out instructions draw from a tenth of the queries that no other "
        "draws from; if not, as in older batches, all draw from all.",
    )

    difficulty_k: int = Field(1, ge=1, description="k of a prompt's pass@k (arXiv 2107.03374).")
    difficulty: Literal["all", "drop_0_and_1", "band"] = Field(
        "all", description="Which prompts become training data, by their pass@k."
    )
    difficulty_min: float = Field(0.2, ge=0, le=1, description="Least pass@k of `band`.")
    difficulty_max: float = Field(0.8, ge=0, le=1, description="Most pass@k of `band`.")
    rl_difficulty: Literal["all", "drop_0_and_1", "band"] = Field(
        "drop_0_and_1",
        description="Which prompts are for RL, by the share of their responses that pass: a group "
        "that all or none passes gives no gradient.",
    )
    rl_difficulty_min: float = Field(0.1, ge=0, le=1, description="Least share of `band` for RL.")
    rl_difficulty_max: float = Field(0.9, ge=0, le=1, description="Most share of `band` for RL.")
    likelihood_of: Literal["none", "kept", "judged"] = Field(
        "none",
        description="Responses whose log-probabilities the supervision model tells, two requests "
        "each: none; kept: those that passed and scored well; judged: also those that failed.",
    )
    ifd_min_quantile: float = Field(
        0.0, ge=0, le=1, description="SFT examples below this quantile of IFD go (2308.12032)."
    )
    ifd_max_quantile: float = Field(
        1.0, ge=0, le=1, description="SFT examples above this quantile of IFD go."
    )
    ifd_below: float | None = Field(
        None, gt=0, description="SFT examples need an IFD below this; 1 in 2308.12032; null: any."
    )
    sft_max_chars: int | None = Field(
        None, ge=1, description="SFT examples have at most this many characters; null: any number."
    )
    pair_order: Literal["random", "likelihood"] = Field(
        "random",
        description="Which responses are paired first: drawn ones that even out the lengths, or "
        "the most likely, whatever their lengths (2304.05302).",
    )
    contrast_min_gap: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Online pairs need a prompt at which the supervision model's pass rate is "
        "higher by this than the policy's (2310.02263); null: any prompt.",
    )
    spin_pairs: bool = Field(
        False,
        description="Also pair SFT responses with the policy's own to the prompt (2401.01335).",
    )

    self_instruct_temperature: float = Field(1.0, ge=0, le=2)
    category_temperature: float = Field(0.0, ge=0, le=2)
    verifier_temperature: float = Field(0.8, ge=0, le=2)
    boundary_cases_temperature: float = Field(0.8, ge=0, le=2)
    repair_temperature: float = Field(0.8, ge=0, le=2)
    audit_temperature: float = Field(0.0, ge=0, le=2)
    back_translation_temperature: float = Field(0.0, ge=0, le=2)
    nli_temperature: float = Field(0.0, ge=0, le=2)
    response_temperature: float = Field(0.8, ge=0, le=2, description="As online sampling [3.4].")
    near_miss_temperature: float = Field(0.8, ge=0, le=2, description="As for responses.")
    policy_temperature: float = Field(0.8, ge=0, le=2, description="Online sampling [3.4].")
    score_temperature: float = Field(0.0, ge=0, le=2)
    self_instruct_max_tokens: int = Field(4096, ge=1, description=_ANSWER)
    category_max_tokens: int = Field(32, ge=1, description=_ANSWER)
    verifier_max_tokens: int = Field(1024, ge=1, description=_ANSWER)
    boundary_cases_max_tokens: int = Field(1024, ge=1, description=_ANSWER)
    repair_max_tokens: int = Field(1024, ge=1, description=_ANSWER)
    audit_max_tokens: int = Field(32, ge=1, description=_ANSWER)
    back_translation_max_tokens: int = Field(128, ge=1, description=_ANSWER)
    nli_max_tokens: int = Field(32, ge=1, description=_ANSWER)
    response_max_tokens: int = Field(2048, ge=1, description=_ANSWER)
    near_miss_max_tokens: int = Field(2048, ge=1, description=_ANSWER)
    score_max_tokens: int = Field(256, ge=1, description=_ANSWER)

    @field_validator(
        "case_agreement",
        "verifier_agreement",
        "surviving_cases",
        "agreement_by_label",
        "sibling_agreement",
        "response_pass_rate",
        "min_score",
        "chosen_pass_rate",
        "near_identical",
        "min_rejected_score",
        mode="before",
    )
    @classmethod
    def _canonical_bound(cls, given: object) -> str:
        return str(Threshold.parse(str(given)))

    @field_validator("prompts")
    @classmethod
    def _fillable(cls, given: dict[str, str]) -> dict[str, str]:
        for role, text in given.items():
            if role not in PROMPTS:
                raise ValueError(f"there is no prompt {role}; there are {', '.join(PROMPTS)}")
            # Every batch is pinned to all prompts: the packaged ones need no look each time.
            if text == PROMPTS[role].source:
                continue
            try:
                PROMPTS[role].of({role: text}).check()
            except PromptError as error:
                raise ValueError(f"{role}: {error}") from None
        return given

    @model_validator(mode="after")
    def _selections_fit(self) -> "Recipe":
        for what in ("difficulty_{}", "rl_difficulty_{}", "ifd_{}_quantile"):
            least, most = (what.format(side) for side in ("min", "max"))
            if getattr(self, least) > getattr(self, most):
                raise ValueError(f"{least} is above {most}")
        chosen_by_ifd = (self.ifd_min_quantile, self.ifd_max_quantile, self.ifd_below)
        if self.likelihood_of == "none" and chosen_by_ifd != (0, 1, None):
            raise ValueError("a selection by IFD needs likelihood_of to be kept or judged")
        if self.min_rejected_score != ">= 0" and not self.score_failing:
            raise ValueError("min_rejected_score needs score_failing: no other failing has a score")
        if self.pair_order == "likelihood" and self.likelihood_of != "judged":
            raise ValueError("pair_order likelihood needs likelihood_of to be judged")
        return self

    def bound(self, name: str) -> Threshold:
        """Return the bound stored under ``name``, such as ``"response_pass_rate"``."""
        return Threshold.parse(getattr(self, name))


# What a person sets by name; prompts are files.
NUMBERS = tuple(name for name in Recipe.model_fields if name != "prompts")

PAPER = Recipe()  # type: ignore[call-arg]
AUTHORS_CODE = Recipe.model_validate(
    {
        "min_verifiers": 3,
        "min_cases": 10,
        "case_agreement": "> 0",
        "verifier_agreement": ">= 0.8",
        "back_translations_per_instruction": 3,
        "response_pass_rate": "> 0",
        "min_score": "> 8",
        "chosen_pass_rate": ">= 0.5",
    }
)
# Agreement is not correctness: the paper's rules, and what else tells right verifiers.
AUDITED = Recipe.model_validate(
    {
        "coverage": "even",
        "categorise": True,
        "boundary_cases": True,
        "count_samples": True,
        "reject_constants": True,
        "min_cases_per_label": 3,
        "surviving_cases": "> 0.5",
        "agreement_by_label": ">= 0.8",
        "obeying_probes_per_instruction": 8,
        "breaking_probes_per_instruction": 4,
        "sibling_agreement": ">= 0.9",
        "reject_fragile": True,
        "mutants_per_verifier": 20,
        "min_base_rate": 0.02,
        "max_base_rate": 0.9,
        "repair_rounds": 1,
        "audited_texts_per_instruction": 8,
        "contradiction_rejects": "verifier",
        # 164 of the demo's 3,922 pairs, whose rejected text is symbols: what a judge of any sort
        # tells apart without the instruction. Of 915 responses of real models none.
        "reject_degenerate": True,
    }
)
RECIPES = {"audited": AUDITED, "paper": PAPER, "authors_code": AUTHORS_CODE}
DEFAULT_RECIPE = "audited"
BEFORE: Mapping[str, Any] = MappingProxyType({"split_queries": False, "reject_degenerate": False})
"""What numbers were, in effect, before there were any: what was made without them keeps to that."""


def make_recipe(name: str = DEFAULT_RECIPE, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return a named recipe with some numbers replaced.

    Raises:
        RecipeError: The recipe or a number's name is unknown, or a value is out of range.
    """
    if name not in RECIPES:
        raise RecipeError(f"there is no recipe {name!r}; the recipes are {', '.join(RECIPES)}")
    try:
        return Recipe.model_validate({**RECIPES[name].model_dump(), **(overrides or {})})
    except ValidationError as error:
        found = error.errors()[:_MOST_PROBLEMS]
        problems = [problem(one, Recipe.model_fields) for one in found]
        names = [str(one["loc"][0]) for one in found if one["loc"]]
        raise RecipeError("; ".join(problems), names) from None


def problem(error: Mapping[str, Any], names: Iterable[str]) -> str:
    """Say in a few words what one value of a model is wrong about.

    Args:
        error: Pydantic's.
        names: Of the fields that there are beside the one it is about.
    """
    name = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        near = get_close_matches(name, list(names), n=1, cutoff=0.5)
        return f"there is no {name}" + (f"; did you mean {near[0]}?" if near else "")
    said = error["msg"].removeprefix("Value error, ")
    if not name or error["type"] == "value_error":
        return f"{name}: {said}" if name else said
    return f"{name} is {json.dumps(error['input'], default=str)[:80]}: {said[0].lower()}{said[1:]}"
