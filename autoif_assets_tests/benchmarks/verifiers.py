"""How right the verifiers, instructions, SFT rows and pairs are that each recipe lets through.

    python -m autoif_assets_tests.benchmarks.verifiers [--seeds 3] [--instructions 100]

The simulator knows the truth about every function, case and text. For each share of flawed
candidates, for each number of candidates of eight that share one mistake, for each kind of shared
mistake, and for the simulator as it is by default, the recipes get the same completions. Precision
is the share of what is in use that is right; recall is the share of what is right and distinct
that is in use, of instructions the share of those that can be checked. `lost` says at which gates
right verifiers went. Seeds are those of the model and of what it is asked. Thresholds were chosen
on seeds from 100 on: any below is a fair judge.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import polars as pl

from autoif_assets.method.auditor import audit_prompts, contested, parse_answers
from autoif_assets.method.audits import audit_texts, audit_verifiers, mutant_trials, mutants_of
from autoif_assets.method.back_translation import (
    back_translation_labels,
    back_translation_prompts,
    check_back_translations,
    contradicting,
    nli_pairs,
    nli_prompts,
    parse_back_translations,
    parse_nli,
)
from autoif_assets.method.cross_validation import cross_validate, eligible, judge
from autoif_assets.method.gates import accepted
from autoif_assets.method.probes import BREAKING, OBEYING, parse_probes, probe_texts
from autoif_assets.method.recipe import RECIPES, Recipe
from autoif_assets.method.repairs import NO_REPAIRS, parse_repairs, repair_prompts, to_repair
from autoif_assets.method.responses import parse_responses
from autoif_assets.method.tried import ANSWER_SCHEMA, Tried
from autoif_assets.method.verifiers import (
    parse_boundary_cases,
    parse_candidates,
    verifier_runs,
)
from autoif_assets.resources.sandbox import SandboxResource, SandboxSession
from autoif_assets.sandbox import canonical_source, mutants, quoted_texts, static_check
from autoif_assets.simulator import SimulatorSettings
from autoif_assets.simulator.settings import MISTAKES
from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.benchmarks.worlds import World
from autoif_assets_tests.simulator.models import MILD


@dataclass
class Score:
    """What came of one world under one recipe."""

    used: int = 0
    used_right: int = 0
    right: int = 0
    reachable: int = 0
    instructions: int = 0
    instructions_right: int = 0
    rows: int = 0
    rows_right: int = 0
    pairs: int = 0
    inverted: int = 0
    tokens: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Score") -> "Score":
        return Score(**{n: getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__})

    def figures(self) -> dict[str, float | str]:
        """Return the shares, by what they are of."""

        def share(part: int, whole: int) -> float | str:
            return round(part / whole, 3) if whole else "none"

        return {
            "precision": share(self.used_right, self.used),
            "recall": share(self.used_right, self.right),
            "precision of instructions": share(self.instructions_right, self.instructions),
            "recall of instructions": share(self.instructions_right, self.reachable),
            "SFT rows": self.rows,
            "right": share(self.rows_right, self.rows),
            "pairs": self.pairs,
            "inverted": self.inverted,
            "tokens": self.tokens,
            "right verifiers lost at": ", ".join(f"{n} {k}" for n, k in self.lost.most_common(6)),
        }


class Batch:
    """One world under one recipe, as the assets make it."""

    def __init__(self, world: World, recipe: Recipe, session: SandboxSession):
        self.world, self.recipe, self.session = world, recipe, session
        candidates, cases = parse_candidates(world.verifiers, static_check, canonical_source)
        self.candidates = candidates
        if recipe.boundary_cases:
            close = parse_boundary_cases(world.boundary_cases, cases["case_id"])
            cases = pl.concat([cases, close.select(cases.columns)])
        self.cases = cases
        self.reasons: dict[str, str | None] = {}

    def probes(self) -> pl.DataFrame:
        """Return ``probe_texts``."""
        recipe, world = self.recipe, self.world
        asked = (
            (OBEYING, "response", recipe.obeying_probes_per_instruction),
            (BREAKING, "near_miss", recipe.breaking_probes_per_instruction),
        )
        completions = [
            world.probes(role, count).with_columns(kind=pl.lit(kind))
            for kind, role, count in asked
            if count
        ]
        if not completions:
            completions = [world.probes("response", 1).clear().with_columns(kind=pl.lit(""))]
        return probe_texts(parse_probes(pl.concat(completions)), accepted(self.cases), recipe)

    def tried(self, repairs: pl.DataFrame, probes: pl.DataFrame) -> Tried:
        """Execute functions on all there is to try them on."""
        tried = Tried.of(
            self.candidates, self.cases, repairs, accepted(probes), quoted_texts=quoted_texts
        )
        runs = verifier_runs(tried.functions, tried.texts())
        return replace(tried, outcomes=self.session.run(runs))

    def made(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return ``verifiers`` and the ids of those in use."""
        recipe, world = self.recipe, self.world
        probes, repairs = self.probes(), NO_REPAIRS
        tried = self.tried(repairs, probes)
        for number in range(recipe.repair_rounds):
            chosen = to_repair(tried, judge(tried, recipe), repairs, recipe)
            completions = world.ask("repair", repair_prompts(chosen, world.instructions, recipe))
            known = tried.functions["verifier_id"]
            made = parse_repairs(completions, static_check, canonical_source, known)
            made = made.with_columns(round=pl.lit(number, pl.Int64)).select(repairs.columns)
            repairs = pl.concat([repairs, made])
            tried = self.tried(repairs, probes)
        if recipe.audited_texts_per_instruction:
            texts = contested(tried, eligible(tried, recipe), recipe)
            prompts = audit_prompts(texts, world.instructions, recipe)
            answers = accepted(parse_answers(world.ask("audit", prompts), texts))
            tried = replace(tried, answers=answers.select(*ANSWER_SCHEMA))
        verifiers, cases = cross_validate(tried, recipe)
        translations = self._translated(accepted(verifiers))
        audits = self._audits(accepted(verifiers), cases, probes, translations, tried.answers)
        counts = back_translation_labels(translations)
        rejected = contradicting(recipe)
        self.reasons = {
            **dict(verifiers.select("verifier_id", "reason").iter_rows()),
            **dict(audits.filter(status="rejected").select("verifier_id", "reason").iter_rows()),
        }
        return verifiers, accepted(audits).join(
            counts.filter(rejected), on="instruction_id", how="anti"
        )

    def _audits(
        self,
        verifiers: pl.DataFrame,
        cases: pl.DataFrame,
        probes: pl.DataFrame,
        translations: pl.DataFrame,
        answers: pl.DataFrame,
    ) -> pl.DataFrame:
        """Return ``verifier_audits``."""
        recipe = self.recipe
        changed = mutants_of(verifiers, mutants, recipe)
        texts = audit_texts(accepted(cases), accepted(probes), verifiers, answers, recipe)
        own = self.session.run(verifier_runs(verifiers, texts))
        trials = mutant_trials(changed, verifiers, texts, own)
        theirs = [self.session.run(verifier_runs(tried, on)) for tried, on in trials]
        outcomes = pl.concat([own, *theirs])
        return audit_verifiers(verifiers, texts, outcomes, changed, translations, answers, recipe)

    def _translated(self, verifiers: pl.DataFrame) -> pl.DataFrame:
        """Return ``back_translations``."""
        world, recipe = self.world, self.recipe
        prompts = back_translation_prompts(verifiers, recipe)
        parsed = parse_back_translations(world.ask("back_translation", prompts))
        pairs = nli_pairs(parsed, world.instructions)
        labels = parse_nli(world.ask("nli", nli_prompts(pairs, recipe)))
        return check_back_translations(parsed, labels)

    def score(self) -> Score:
        """Compare with the truth."""
        world = self.world
        verifiers, used = self.made()
        right = {
            row["verifier_id"]
            for row in verifiers.iter_rows(named=True)
            if world.verifier_is_right(row["instruction_id"], row["source"])
        }
        in_use = set(used["verifier_id"])
        wrong = used.filter(~pl.col("verifier_id").is_in(sorted(right)))["instruction_id"]
        instructions = set(used["instruction_id"])
        found = Score(
            used=len(in_use),
            used_right=len(in_use & right),
            right=len(right),
            instructions=len(instructions),
            # One wrong verifier spoils what the others say.
            instructions_right=len(instructions - set(wrong)),
            reachable=world.instructions.height,
            tokens=sum(world.tokens.values()),
            lost=Counter(self.reasons[name] or "contradiction" for name in right - in_use),
        )
        return found + self._data(used)

    def _data(self, used: pl.DataFrame) -> Score:
        """Judge responses by the verifiers in use, and count what would be trained on."""
        responses = parse_responses(self.world.probes("response", 8, queries=3))
        inputs = accepted(responses).select(
            "instruction_id", "prompt_id", input="response", input_id="response_id"
        )
        outcomes = self.session.run(verifier_runs(used, inputs))
        verdicts = outcomes.group_by("input_id").agg(
            passed=(pl.col("outcome") == "pass").sum(),
            judged=pl.col("outcome").is_in(["pass", "fail"]).sum(),
        )
        judged = inputs.join(verdicts.filter(pl.col("judged") > 0), on="input_id")
        found = Score()
        for _, rows in judged.group_by("prompt_id", maintain_order=True):
            good, bad = [], []
            for row in rows.iter_rows(named=True):
                obeys = self.world.obeys(row["instruction_id"], row["input"])
                if row["passed"] / row["judged"] > 0.5:
                    found.rows += 1
                    found.rows_right += obeys
                    good.append(obeys)
                elif row["passed"] == 0:
                    bad.append(obeys)
            for chosen, rejected in zip(good[:2], bad[:2], strict=False):
                found.pairs += 1
                found.inverted += rejected and not chosen
        return found


def worlds(settings: SimulatorSettings, seeds: range, instructions: int) -> Iterator[World]:
    """Yield a world for each seed."""
    for seed in seeds:
        yield World(replace(settings, seed=seed), seed=seed, instructions=instructions)


def conditions() -> dict[str, SimulatorSettings]:
    """Return the models that are tried, by what sets them apart from a mild one."""
    found = {
        f"{rate:.0%} flawed": SimulatorSettings(**{**MILD, "wrong_verifier_rate": rate})
        for rate in (0.1, 0.3, 0.5)
    }
    for m in (2, 4, 6):
        found[f"{m} of 8 alike"] = SimulatorSettings(**{**MILD, "correlated_flaws": m})
    for kind in MISTAKES:
        alike = {"correlated_flaws": 5, "correlated_kind": kind}
        found[f"5 of 8 {kind}"] = SimulatorSettings(**{**MILD, **alike})
    return {**found, "by default": SimulatorSettings()}


def main() -> None:
    """Print a line for each condition and recipe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--instructions", type=int, default=100)
    parser.add_argument("--recipes", nargs="*", default=["paper", "audited"])
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    given = parse(parser)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    with SandboxResource(share=True).session(None) as session, recording("verifiers", given) as add:
        for name, settings in conditions().items():
            if given.only not in name:
                continue
            for recipe in given.recipes:
                score = sum(
                    (
                        Batch(world, RECIPES[recipe], session).score()
                        for world in worlds(settings, seeds, given.instructions)
                    ),
                    Score(),
                )
                add({"model": name, "recipe": recipe, **score.figures()})


if __name__ == "__main__":
    main()
