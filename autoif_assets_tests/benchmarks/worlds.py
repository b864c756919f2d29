"""Instructions, a stand-in model's answers and the truth about them, in one process.

    world = World(SimulatorSettings(wrong_verifier_rate=0.3), seed=1, instructions=50, candidates=8)
    candidates, cases = parse_candidates(world.verifiers, static_check, canonical_source)
    world.verifier_is_right(instruction_id, source)

No server and no Dagster: prompts go to the simulator's engine as an endpoint's requests do, with
seeds derived in the same way, and come back as the frames that ``method`` reads. Equal arguments
give equal worlds.
"""

import json
from collections.abc import Iterator
from functools import cached_property
from random import Random
from typing import Any

import polars as pl

from autoif_assets.endpoint.responses import read_answer
from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.method.auditor import ALTERNATIVES
from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.gates import accepted
from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import PAPER, Recipe
from autoif_assets.method.verifiers import verifier_prompts
from autoif_assets.simulator import SimulatorSettings, grammar
from autoif_assets.simulator.constraints import Constraint
from autoif_assets.simulator.engine import Engine
from autoif_assets.simulator.families import family_of
from autoif_assets.simulator.instructions import read_instruction, write_instruction
from autoif_assets.simulator.mistakes import mistake_of, shared_rank
from autoif_assets.simulator.requests import ChatRequest, token_count
from autoif_assets.simulator.truth import case_truth, verifier_truth

_MAX_TOKENS = 2048
_TEMPERATURE = 0.8


class World:
    """What a batch sees of one model, and what it does not see: the truth.

    Attributes:
        instructions: ``instruction_id``, ``instruction``, ``category``.
        tokens: Completion tokens that were asked for so far, by role.

    Args:
        settings: The model. Another ``settings.seed`` is another model.
        seed: Of what it is asked: the instructions drawn, the queries and the requests' seeds.
        instructions: How many; of the packaged ones there may be fewer.
        candidates: Samples of the verifier prompt (K).
        packaged: Takes the packaged seed instructions that the simulator can check, in the
            place of instructions that its grammar draws.
        recipe: Gives templates and modules.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        seed: int = 0,
        instructions: int = 50,
        candidates: int = 8,
        *,
        packaged: bool = False,
        recipe: Recipe = PAPER,
    ):
        self.settings = settings
        self.seed = seed
        self.candidates = candidates
        self.recipe = recipe
        self.tokens: dict[str, int] = {}
        self._engine = Engine(settings)
        rng = Random(derived_seed("world", str(seed)))
        found = _packaged(rng) if packaged else _drawn(rng)
        self._constraints: dict[str, Constraint] = {}
        self._texts: dict[str, str] = {}
        for text, constraint in found:
            key = content_id("instruction", text)
            self._texts[key], self._constraints[key] = text, constraint
            if len(self._texts) == instructions:
                break
        self.instructions = pl.DataFrame(
            [
                {
                    "instruction_id": key,
                    "instruction": self._texts[key],
                    "category": family_of(constraint).category,
                }
                for key, constraint in self._constraints.items()
            ]
        )

    # What is asked

    def ask(self, role: str, prompts: pl.DataFrame, samples: int = 1) -> pl.DataFrame:
        """Return completions as ``RoleEndpoint.complete`` does.

        Args:
            role: A key of ``PROMPTS``; the answer's schema is that of the row's ``template``.
            prompts: ``prompt``, perhaps ``template``, and the ids that completions carry.
            samples: Completions of each.
        """
        ids = prompts.drop("prompt", "template", strict=False)
        templates = (
            prompts["template"] if "template" in prompts.columns else [role] * prompts.height
        )
        rows: list[tuple[object, ...]] = []
        numbers: list[int] = []
        for number, (prompt, template) in enumerate(zip(prompts["prompt"], templates, strict=True)):
            seed = self._request_seed(role, prompt)
            body, _ = self._engine.answer(self._request(prompt, template, samples, seed))
            spent = body["usage"]["completion_tokens"]
            self.tokens[role] = self.tokens.get(role, 0) + spent
            call_id = content_id("call", role, prompt, str(seed), str(samples))
            for choice, told in zip(body["choices"], _logprobs(body), strict=True):
                message = choice["message"]
                rows.append(
                    (
                        *(call_id, choice["index"], message["content"]),
                        *(message.get("reasoning"), choice["finish_reason"], None),
                        told,
                    )
                )
                numbers.append(number)
        schema = {**COMPLETION_SCHEMA, "logprobs": pl.String}
        completions = pl.DataFrame(rows, schema=schema, orient="row")
        if role != "audit":
            completions = completions.drop("logprobs")
        return pl.concat([ids[numbers], completions], how="horizontal")

    def ask_rows(self, role: str, rows: pl.DataFrame, samples: int = 1) -> pl.DataFrame:
        """Fill a role's template from the columns named like its variables, and ask.

        Args:
            role: A key of ``PROMPTS``: ``boundary_cases``, ``repair``, ``audit``,
                ``back_translation``, ``nli`` and so on.
            rows: The variables; ``modules`` and ``language`` may be missing. Columns that end in
                ``_id`` are carried.
            samples: Completions of each row.
        """
        optional = {
            name: ""
            for name in ("modules", "language")
            if name in PROMPTS[role].variables and name not in rows.columns
        }
        prompt = PROMPTS[role].of(self.recipe.prompts).render_rows(rows, **optional)
        carried = [n for n in rows.columns if n.endswith("_id") and n not in COMPLETION_SCHEMA]
        ids = rows.select(carried)
        return self.ask(role, ids.with_columns(prompt), samples)

    def _request_seed(self, role: str, prompt: str) -> int:
        return derived_seed(f"world-{self.seed}", "0", role, prompt)

    def _request(self, prompt: str, template: str, samples: int, seed: int) -> ChatRequest:
        return ChatRequest(
            model=self.settings.models[0],
            prompt=prompt,
            prompt_tokens=token_count(prompt) + 4,
            n=samples,
            temperature=_TEMPERATURE,
            max_tokens=_MAX_TOKENS,
            seed=seed,
            stop=(),
            schema=PROMPTS[template].schema,
            choices=None,
            top_logprobs=ALTERNATIVES if template == "audit" else None,
        )

    # What every batch asks

    @cached_property
    def verifiers(self) -> pl.DataFrame:
        """Completions of the verifier prompt, ``candidates`` of each instruction."""
        prompts = verifier_prompts(self.instructions, self.recipe)
        return self.ask("verifier", prompts, self.candidates)

    @cached_property
    def boundary_cases(self) -> pl.DataFrame:
        """One completion of the boundary prompt of each instruction."""
        return self.ask_rows("boundary_cases", self.instructions)

    @cached_property
    def shared_mistakes(self) -> pl.DataFrame:
        """Which samples of ``verifiers`` share a mistake: ``instruction_id``, ``sample``, ``kind``.

        What a refused or broken answer would have held is named as well.
        """
        rows = []
        prompts = verifier_prompts(self.instructions, self.recipe)
        for key, prompt in prompts.select("instruction_id", "prompt").iter_rows():
            text, seed = self._texts[key], self._request_seed("verifier", prompt)
            kind = mistake_of(
                text, self._constraints[key], self.settings.correlated_kind, self.settings.seed
            ).kind
            rows += [
                (key, sample, kind)
                for sample in range(self.candidates)
                if shared_rank(text, seed + sample, self.settings) is not None
            ]
        schema = {"instruction_id": pl.String, "sample": pl.Int64, "kind": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def probes(self, role: str, samples: int, queries: int = 1) -> pl.DataFrame:
        """Return completions of a role that writes responses, on sampled queries.

        Args:
            role: ``response`` obeys the instruction, ``near_miss`` breaks it; both at the
                model's ``violation_rate``.
            samples: Completions of each prompt.
            queries: Prompts of each instruction.
        """
        return self.ask_rows(role, self.prompts(queries), samples)

    def prompts(self, queries: int = 1) -> pl.DataFrame:
        """Return ``prompt_id``, ``query_id``, ``instruction_id``, ``instruction``, ``query``."""
        rows = []
        for key, text in self._texts.items():
            rng = Random(derived_seed("queries", str(self.seed), key))
            rows += [
                {
                    "prompt_id": content_id("prompt", key, query),
                    "query_id": content_id("query", query),
                    "instruction_id": key,
                    "instruction": text,
                    "query": query,
                }
                for query in rng.sample(self._queries, queries)
            ]
        return pl.DataFrame(rows)

    @cached_property
    def _queries(self) -> list[str]:
        recipe = self.recipe
        found = read_seed_queries(None, None, recipe.query_min_chars, recipe.query_max_chars)
        return accepted(found)["query"].to_list()

    # What is true

    def constraint(self, instruction_id: str) -> Constraint:
        """Return what an instruction demands."""
        return self._constraints[instruction_id]

    def verifier_is_right(self, instruction_id: str, source: str) -> bool:
        """Return whether a verifier tests what its instruction demands, on every text."""
        return bool(verifier_truth(self._texts[instruction_id], source)["right"])

    def case_is_right(self, instruction_id: str, text: str, expected: bool) -> bool:
        """Return whether a test case carries the right label."""
        return bool(case_truth(self._texts[instruction_id], text, expected)["right"])

    def obeys(self, instruction_id: str, text: str) -> bool:
        """Return whether a text follows an instruction."""
        return grammar.holds(self._constraints[instruction_id], text)


def _drawn(rng: Random) -> Iterator[tuple[str, Constraint]]:
    """Yield distinct instructions of the grammar."""
    known = set()
    while True:
        constraint = grammar.draw(rng)
        text = write_instruction(constraint, rng)
        # What is demanded is what the wording says, not what it was made from.
        if constraint in known or read_instruction(text) != constraint:
            continue
        known.add(constraint)
        yield text, constraint


def _packaged(rng: Random) -> Iterator[tuple[str, Constraint]]:
    """Yield the packaged seed instructions that can be read, in random order."""
    seeds = accepted(read_seed_instructions(None))["instruction"].to_list()
    rng.shuffle(seeds)
    for text in seeds:
        constraint = read_instruction(text)
        if constraint is not None:
            yield text, constraint


def _logprobs(body: dict[str, Any]) -> list[str | None]:
    """Return the log-probabilities of each choice as the endpoint's client reads them."""
    if all(choice["logprobs"] is None for choice in body["choices"]):
        return [None] * len(body["choices"])
    answer = read_answer(json.dumps(body).encode(), logprobs=True)
    return [choice.get("logprobs") for choice in answer.choices]
