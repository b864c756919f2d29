"""What the method makes fits every table it goes to.

One small batch runs through the functions in the order of the flow, without a model or a sandbox.
Each result is stamped with the keys of its slice and conforms to its table, also where several
tables take the rows of one function: a column that is added to one of them only is found here.
"""

import json
from dataclasses import replace

import polars as pl
import pytest

from autoif_assets.method.auditor import audit_prompts, contested, parse_answers
from autoif_assets.method.audits import (
    audit_texts,
    audit_verifiers,
    mutants_of,
    verdict_matrix,
)
from autoif_assets.method.back_translation import (
    check_back_translations,
    nli_pairs,
    parse_back_translations,
    parse_nli,
    verify_instructions,
)
from autoif_assets.method.cross_validation import cross_validate, eligible, judge
from autoif_assets.method.gates import accepted
from autoif_assets.method.holdout import Sides
from autoif_assets.method.instructions import augment_instructions
from autoif_assets.method.labelled import (
    judged_verifiers,
    labelled_agreement,
    labelled_texts,
)
from autoif_assets.method.likelihoods import likelihood_texts, parse_likelihoods
from autoif_assets.method.online import (
    online_pairs,
    policy_responses,
    policy_verdicts,
    scorecard,
)
from autoif_assets.method.pairs import gather_pairs, instruction_pairs, query_pairs
from autoif_assets.method.probes import parse_probes, probe_prompts, probe_texts
from autoif_assets.method.queries import augment_queries, filter_queries, probe_queries
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.repairs import NO_REPAIRS, parse_repairs, repair_prompts, to_repair
from autoif_assets.method.resampling import (
    FURTHER,
    NEAR,
    parse_further,
    parse_further_scores,
    verdicts_with_scores,
    verify_further,
)
from autoif_assets.method.responses import (
    parse_responses,
    parse_scores,
    verify_responses,
)
from autoif_assets.method.rl import rl_prompts
from autoif_assets.method.seeds import select_instructions, select_queries
from autoif_assets.method.training import (
    kto_examples,
    sft_examples,
)
from autoif_assets.method.tried import ANSWER_SCHEMA
from autoif_assets.method.verifiers import parse_candidates
from autoif_assets.warehouse.tables import TABLES
from autoif_assets.warehouse.writing import conform
from autoif_assets_tests.method.frames import completions, outcomes, tried

# Rows of these are no output of the method: registries, journals and exports write them.
WRITTEN_ELSEWHERE = {
    *("batches", "input_sets", "policies", "llm_calls"),
    *("dataset_splits", "dataset_left_out"),
}
RECIPE = make_recipe(
    "paper",
    {
        "queries_per_instruction": 2,
        "likelihood_of": "judged",
        "obeying_probes_per_instruction": 2,
        "breaking_probes_per_instruction": 2,
        "audited_texts_per_instruction": 9,
    },
)
SLICE = {"batch": "b", "policy": "p"}


def answers(rows, texts):
    """Whole completions: of each row one a text, beside its columns that are keys."""
    keys = {name: kind for name, kind in rows.schema.items() if name not in ("raw", "sample")}
    return completions(
        *(
            {**row, "raw": text, "sample": sample}
            for row in rows.iter_rows(named=True)
            for sample, text in enumerate(texts)
        ),
        **keys,
    )


def said(responses, **by_text):
    """Outcomes of verifiers v and w: the same for all, by the text of the response."""
    rows = responses.select("response_id", "response").rows()
    said = {key: by_text[text] for key, text in rows}
    return outcomes({"v": said, "w": said})


def made():
    """Run a batch and a policy's round through the method; return its rows by table."""
    rows = {}
    seed = {"source": "f", "line": [1], "text": "Use no commas.", "category": "punctuation"}
    none = {"reason": pl.String, "verifier": pl.String, "cases": pl.String}
    rows["seed_instructions"] = select_instructions(
        pl.DataFrame({**seed, **dict.fromkeys(none)}, schema_overrides=none)
    )
    queries = [f"Why is the sky blue on day {n}?" for n in range(3)]
    candidates = pl.DataFrame(
        {"source": "f", "line": range(3), "text": queries, "context": None, "reason": None},
        schema_overrides={"context": pl.String, "reason": pl.String},
    )
    rows["seed_queries"] = select_queries(candidates, 5, 100)
    seeds = accepted(rows["seed_instructions"])
    rows["augmented_instructions"] = augment_instructions(
        completions({"raw": "- Begin with Oh."}), seeds, seeds.clear(), RECIPE, "b"
    )
    instructions = accepted(rows["augmented_instructions"])
    cases = [{"input": "yes", "output": True}, {"input": "no, no", "output": False}]
    rows["verifier_candidates"], rows["test_cases"] = parse_candidates(
        answers(
            instructions.select("instruction_id"),
            [json.dumps({"func": f"def evaluate(r): {n}", "cases": cases}) for n in range(3)],
        ),
        lambda source: None,
        str.strip,
    )
    functions, cases = accepted(rows["verifier_candidates"]), accepted(rows["test_cases"])
    wanted = probe_prompts(
        probe_queries(instructions, accepted(rows["seed_queries"]), RECIPE, "b"), RECIPE
    )
    written = [answers(wanted[kind].drop("prompt", "context"), ["yes", "no"]) for kind in wanted]
    rows["probe_texts"] = probe_texts(parse_probes(pl.concat(written)), cases, RECIPE)
    probes = accepted(rows["probe_texts"])
    of = tried(functions, cases, outcomes({}), probes=probes)
    # Two say what is expected of cases and yes to all else, the third says no.
    third = functions.filter(pl.int_range(pl.len()).over("instruction_id") == 2)["verifier_id"]
    texts = of.texts().join(cases.select("expected", input_id="case_id"), on="input_id", how="left")
    says_yes = pl.col("expected").fill_null(True) & ~pl.col("verifier_id").is_in(third.implode())
    votes = (
        functions.select("verifier_id", "instruction_id")
        .join(texts, on="instruction_id")
        .select(
            "verifier_id",
            "input_id",
            outcome=pl.when(says_yes).then(pl.lit("pass")).otherwise(pl.lit("fail")),
            detail=pl.lit(None, pl.String),
        )
    )
    of = replace(of, outcomes=votes)
    checked = judge(of, RECIPE)
    chosen = to_repair(of, checked, NO_REPAIRS, RECIPE)
    repaired = parse_repairs(
        answers(
            repair_prompts(chosen, instructions, RECIPE).drop("prompt"),
            [json.dumps({"func": "def evaluate(r): 9"})],
        ),
        lambda source: None,
        str.strip,
        functions["verifier_id"],
    )
    rows["verifier_repairs"] = repaired.with_columns(round=pl.lit(1, pl.Int64))
    texts = contested(of, eligible(of, RECIPE), RECIPE)
    asked = audit_prompts(texts, instructions, RECIPE).drop("prompt")
    rows["auditor_answers"] = parse_answers(answers(asked, ['{"obeys": "yes"}']), texts)
    answered = accepted(rows["auditor_answers"]).select(*ANSWER_SCHEMA)
    rows["verifiers"], rows["verifier_cases"] = cross_validate(
        replace(of, answers=answered), RECIPE
    )
    verifiers, cases = accepted(rows["verifiers"]), accepted(rows["verifier_cases"])
    translated = parse_back_translations(
        answers(verifiers.select("verifier_id", "instruction_id"), ["Use no comma at all."])
    )
    pairs = nli_pairs(translated, instructions)
    labels = parse_nli(answers(pairs.select("pair_id"), ['{"label": "entailment"}']))
    rows["back_translations"] = check_back_translations(translated, labels)
    changed = mutants_of(verifiers, lambda source, limit: [], RECIPE)
    audited = audit_verifiers(
        verifiers,
        *(audit_texts(cases, probes, verifiers, answered, RECIPE), votes, changed),
        *(rows["back_translations"], answered, RECIPE),
    )
    rows["verifier_audits"] = audited
    rows["verdict_matrix"] = verdict_matrix(accepted(audited), probes, votes)
    labels = pl.DataFrame(
        {"instruction": instructions["instruction"], "response": "ok", "query": None},
        schema_overrides={"query": pl.String},
    )
    texts = labelled_texts(labels.with_columns(follows=True))
    judged = judged_verifiers(rows["verifiers"], audited)
    ok = dict.fromkeys(texts["input_id"], "pass")
    rows["labelled_agreement"] = labelled_agreement(
        judged, texts, outcomes(dict.fromkeys(judged["verifier_id"], ok))
    )
    rows["verified_instructions"] = verify_instructions(
        instructions,
        accepted(audited),
        cases,
        rows["back_translations"],
        rows["verdict_matrix"].select("instruction_id", "base_rate", "own_rate"),
        RECIPE,
    )
    verified = accepted(rows["verified_instructions"])
    queries = accepted(rows["seed_queries"])
    prompts = augment_queries(verified, queries, rows["verdict_matrix"], RECIPE, "b")
    rows["augmented_queries"] = prompts
    asked = prompts.select("prompt_id", "instruction_id")
    verdict = {"good": "pass", "bad": "fail", "miss": "fail", "more": "pass"}
    rows["responses"] = parse_responses(answers(asked, ["good", "bad"]))
    responses = accepted(rows["responses"])
    rows["response_verdicts"] = verify_responses(responses, said(responses, **verdict), RECIPE)
    ids = ("response_id", "prompt_id", "instruction_id")
    rows["response_scores"] = parse_scores(
        answers(accepted(rows["response_verdicts"]).select(ids), ['{"score": 9}']), RECIPE
    )
    more = ((NEAR, answers(asked.head(1), ["miss"])), (FURTHER, answers(asked.tail(1), ["more"])))
    rows["further_responses"] = pl.concat(
        parse_further(said_more, origin, responses["response_id"]) for origin, said_more in more
    )
    further = accepted(rows["further_responses"])
    rows["further_verdicts"] = verify_further(further, said(further, **verdict), RECIPE)
    rows["further_scores"] = parse_further_scores(
        answers(accepted(rows["further_verdicts"]).select(ids), ['{"score": 9}']),
        rows["further_verdicts"],
        RECIPE,
    )
    assessed = verdicts_with_scores(
        *(rows["response_verdicts"], rows["response_scores"]),
        *(rows["further_verdicts"], rows["further_scores"]),
    )
    texts = pl.concat(frame.select("response_id", "response") for frame in (responses, further))
    rows["filtered_queries"] = filter_queries(prompts, assessed, RECIPE)
    wanted = likelihood_texts(texts, assessed, prompts, RECIPE).drop("prompt", "context", "scored")
    rows["response_likelihoods"] = parse_likelihoods(answers(wanted, ["[[1, -0.5]]"]))
    of_pairs = assessed.drop("instruction_id")
    material = (accepted(rows["filtered_queries"]), prompts, texts, of_pairs)
    likelihoods = rows["response_likelihoods"]
    rows["sft_examples"] = sft_examples(*material, likelihoods, RECIPE)
    rows["kto_examples"] = kto_examples(*material)
    rows["instruction_preference_pairs"] = instruction_pairs(
        verified, verifiers, cases, RECIPE, "b"
    )
    rows["query_preference_pairs"] = query_pairs(verified, *material, likelihoods, RECIPE, "b")
    levels = [(name, rows[f"{name}_preference_pairs"]) for name in ("instruction", "query")]
    rows["preference_pairs"] = gather_pairs(levels, RECIPE)
    sides = Sides(frozenset(verified["instruction_id"][:1]))
    rows["rl_prompts"] = rl_prompts(prompts, rows["filtered_queries"], verified, sides, RECIPE)
    rows["policy_responses"] = policy_responses(answers(asked, ["good", "bad"]), sides)
    own = accepted(rows["policy_responses"])
    rows["policy_verdicts"] = policy_verdicts(own, said(own, **verdict), RECIPE)
    rows["online_preference_pairs"] = online_pairs(
        prompts.drop("query"),
        *(own.select("response_id", "response"), rows["policy_verdicts"].drop("instruction_id")),
        *(rows["filtered_queries"], accepted(rows["sft_examples"]), RECIPE, "b/p"),
    )
    rows["policy_scorecard"] = scorecard(
        *(rows[name].filter(split="eval") for name in ("policy_responses", "policy_verdicts")),
        *(verified, RECIPE),
    )
    return rows


@pytest.fixture(scope="module")
def rows():
    return made()


def test_every_table_of_the_method_has_rows_here(rows):
    assert set(rows) == set(TABLES) - WRITTEN_ELSEWHERE
    assert [name for name, frame in rows.items() if frame.is_empty()] == []


@pytest.mark.parametrize("name", sorted(set(TABLES) - WRITTEN_ELSEWHERE))
def test_rows_conform_to_their_table(rows, name):
    table = TABLES[name]
    keys = {key: SLICE[key] for key in table.partitions}
    stamped = rows[name].with_columns(pl.lit(value).alias(key) for key, value in keys.items())
    assert conform(table, stamped, [keys] if keys else []).height == rows[name].height
