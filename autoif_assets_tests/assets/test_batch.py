"""One whole batch: what the tables hold fits together, and the gates keep what is true."""

import json

import duckdb
import polars as pl
import pytest

from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import make_recipe
from autoif_assets.rewards import Scorer
from autoif_assets.sandbox import Outcome, Sandbox, Unit
from autoif_assets.simulator.truth import truth
from autoif_assets.warehouse import TABLES, Warehouse, changed_seeds, content_hash

from .pipeline import KEY, SMALL, accepted, exported, exports, tables

pytestmark = pytest.mark.slow

# A table, the column that points to a parent, and where the parent must have been accepted.
PARENTS = [
    ("verifier_candidates", "instruction_id", "augmented_instructions"),
    ("test_cases", "instruction_id", "augmented_instructions"),
    ("verifiers", "verifier_id", "verifier_candidates"),
    ("verifier_cases", "case_id", "test_cases"),
    ("back_translations", "verifier_id", "verifiers"),
    ("verified_instructions", "instruction_id", "augmented_instructions"),
    ("augmented_queries", "instruction_id", "verified_instructions"),
    ("augmented_queries", "query_id", "seed_queries"),
    ("responses", "prompt_id", "augmented_queries"),
    ("response_verdicts", "response_id", "responses"),
    ("response_scores", "response_id", "response_verdicts"),
    ("further_responses", "prompt_id", "augmented_queries"),
    ("further_verdicts", "response_id", "further_responses"),
    ("further_scores", "response_id", "further_verdicts"),
    ("filtered_queries", "prompt_id", "augmented_queries"),
    ("sft_examples", "response_id", "response_scores further_scores"),
    ("kto_examples", "response_id", "responses further_responses"),
    ("kto_examples", "prompt_id", "filtered_queries"),
    ("sft_examples", "prompt_id", "filtered_queries"),
    ("instruction_preference_pairs", "instruction_id", "verified_instructions"),
    ("instruction_preference_pairs", "chosen_id:case_id", "verifier_cases"),
    ("instruction_preference_pairs", "rejected_id:case_id", "verifier_cases"),
    ("query_preference_pairs", "prompt_id", "filtered_queries"),
    ("query_preference_pairs", "chosen_id:response_id", "response_scores further_scores"),
    ("query_preference_pairs", "rejected_id:response_id", "responses further_responses"),
]


@pytest.fixture(scope="module")
def t(made):
    return tables(made.data)


@pytest.fixture(scope="module")
def verdicts(t):
    """Verdicts with the texts they are about and the truth about these."""
    joined = (
        t["response_verdicts"]
        .join(t["responses"].select("response_id", "response").unique(), on="response_id")
        .join(
            t["augmented_queries"].select("prompt_id", "query", "prompt", "instruction"),
            on="prompt_id",
        )
    )
    known = [
        truth("response", instruction=i, query=q, response=r)
        for i, q, r in joined.select("instruction", "query", "response").iter_rows()
    ]
    return joined.with_columns(
        follows=pl.Series([fact["follows"] for fact in known], dtype=pl.Boolean),
        quality=pl.Series([fact["quality"] for fact in known], dtype=pl.String),
    )


def with_truth(t, table, kind, **fields):
    texts = dict(t["augmented_instructions"].select("instruction_id", "instruction").iter_rows())
    right = [
        truth(
            kind,
            instruction=texts[row["instruction_id"]],
            **{name: row[column] for name, column in fields.items()},
        )["right"]
        for row in t[table].iter_rows(named=True)
    ]
    return t[table].with_columns(right=pl.Series(right, dtype=pl.Boolean))


def precision(frame, column="right"):
    return frame[column].fill_null(False).mean()


def recall(frame, column="right"):
    return (frame.filter(pl.col(column))["status"] == "accepted").mean()


# A batch alone fills these: not what is sampled of policies.
OF_BATCHES = [name for name, table in TABLES.items() if "policy" not in table.partitions]


def test_no_table_is_empty_and_every_gate_rejects_something_somewhere(t):
    # Likelihoods are asked for on demand only, no seed was replaced, and nobody labelled anything;
    # the paper audits nothing.
    empty = {"response_likelihoods", "input_sets", "dataset_left_out", "labelled_agreement"}
    empty |= {"probe_texts", "verifier_repairs", "auditor_answers", "verdict_matrix"}
    assert {name for name in OF_BATCHES if t[name].is_empty()} == empty
    rejecting = {
        name for name, frame in t.items() if TABLES[name].is_gate and "rejected" in frame["status"]
    }
    assert rejecting >= {
        "verifier_candidates",
        "verifiers",
        "verifier_cases",
        "back_translations",
        "verified_instructions",
        "response_verdicts",
        "response_scores",
    }


def test_the_batch_has_the_size_asked_for(t):
    origins = t["augmented_instructions"]["origin"].value_counts()
    assert dict(origins.iter_rows()) == {
        "seed": SMALL["seeds_per_batch"],
        "self_instruct": SMALL["instructions_per_batch"],
    }
    instructions = accepted(t["augmented_instructions"]).height
    assert t["verifier_candidates"].height == instructions * SMALL["verifiers_per_instruction"]
    verified = accepted(t["verified_instructions"]).height
    assert t["augmented_queries"].height == verified * SMALL["queries_per_instruction"]
    assert t["responses"].height == t["augmented_queries"].height * SMALL["responses_per_prompt"]


@pytest.mark.parametrize("name", TABLES)
def test_keys_are_unique_and_a_row_says_why_it_was_rejected(t, name):
    table, frame = TABLES[name], t[name]
    assert frame.select(table.key).is_duplicated().sum() == 0
    if "batch" in table.partitions:
        assert set(frame["batch"]) <= {"b1"}
    if table.is_gate:
        assert set(frame["status"]) <= {"accepted", "rejected"}
        assert ((frame["status"] == "rejected") == frame["reason"].is_not_null()).all()
        assert frame["reason"].drop_nulls().str.contains(r"^[a-z_]+$").all()


@pytest.mark.parametrize(("child", "column", "parent"), PARENTS)
def test_every_child_has_an_accepted_parent(t, child, column, parent):
    here, _, there = column.partition(":")
    parents = {
        key
        for name in parent.split()
        for key in (accepted(t[name]) if TABLES[name].is_gate else t[name])[there or here]
    }
    if child == "response_scores":
        # A failing response is scored, too, for the pairs in which it is rejected.
        parents |= set(t[parent].filter(passed=0)[here])
    assert set(t[child][here]) <= parents


def test_every_generated_row_names_a_call_that_is_kept_with_its_text(t):
    calls = {
        call: (prompt, texts)
        for call, prompt, texts in t["llm_calls"]
        .select("call_id", "prompt", "completions")
        .iter_rows()
    }
    for name in ("verifier_candidates", "responses", "response_scores", "back_translations"):
        assert set(t[name]["call_id"]) <= set(calls), name
    for row in t["verifier_candidates"].iter_rows(named=True):
        assert calls[row["call_id"]][1][row["sample"]] == row["raw"]
    instructions = t["augmented_instructions"].filter(origin="self_instruct")
    for instruction, call, sample in instructions.select(
        "instruction", "call_id", "sample"
    ).iter_rows():
        assert instruction in calls[call][1][sample]
    made_by = dict(t["llm_calls"].group_by("asset").len().iter_rows())
    assert set(made_by) == {
        "augmented_instructions",
        "verifier_generation",
        "back_translations",
        "responses",
        "response_scores",
        "further_responses",
        "further_scores",
    }


def test_an_accepted_instruction_has_verifiers_cases_and_no_contradiction(t):
    verified = t["verified_instructions"]
    for name, column in (("verifiers", "verifiers"), ("verifier_cases", "cases")):
        counts = dict(accepted(t[name]).group_by("instruction_id").len().iter_rows())
        for row in verified.iter_rows(named=True):
            assert counts.get(row["instruction_id"], 0) == row[column]
    good = accepted(verified)
    assert (good["verifiers"] > 0).all()
    assert (good["cases"] > 0).all()
    assert (good["contradictions"] == 0).all()


def test_examples_and_pairs_carry_the_texts_their_ids_stand_for(t):
    texts = {
        key: text
        for name in ("responses", "further_responses")
        for key, text in t[name].select("response_id", "response").rows()
    }
    cases = dict(t["verifier_cases"].select("case_id", "input").iter_rows())
    prompts = dict(t["augmented_queries"].select("prompt_id", "prompt").iter_rows())
    for row in t["sft_examples"].iter_rows(named=True):
        assert (row["response"], row["prompt"]) == (
            texts[row["response_id"]],
            prompts[row["prompt_id"]],
        )
        assert row["pass_rate"] > 0.5
        assert row["score"] >= 8
    for row in t["preference_pairs"].iter_rows(named=True):
        known = texts if row["level"] == "query" else cases
        assert (row["chosen"], row["rejected"]) == (
            known[row["chosen_id"]],
            known[row["rejected_id"]],
        )
        assert row["chosen_pass_rate"] > 0.5
        assert row["rejected_pass_rate"] == 0
    levels = dict(t["preference_pairs"].group_by("level").len().iter_rows())
    assert levels == {
        "instruction": t["instruction_preference_pairs"].height,
        "query": t["query_preference_pairs"].height,
    }
    drawn = t["query_preference_pairs"].group_by("prompt_id").len()
    assert drawn["len"].max() <= 4
    for row in t["kto_examples"].iter_rows(named=True):
        assert row["completion"] == texts[row["response_id"]]
        assert row["pass_rate"] > 0.5 if row["label"] else row["pass_rate"] == 0
    good = t["kto_examples"].filter("label")["response_id"]
    assert sorted(good) == sorted(t["sft_examples"]["response_id"])


def test_executed_anew_the_chosen_texts_pass_and_the_rejected_fail(t):
    pairs = accepted(t["preference_pairs"])
    verifiers = accepted(t["verifiers"])
    units, sides = [], []
    for verifier, instruction, source in verifiers.select(
        "verifier_id", "instruction_id", "source"
    ).iter_rows():
        mine = pairs.filter(instruction_id=instruction)
        for side in ("chosen", "rejected"):
            if mine.height:
                units.append(Unit(verifier, source, mine[side].to_list()))
                sides.append((side, mine["pair_id"].to_list()))
    votes = {(side, pair): [] for side in ("chosen", "rejected") for pair in pairs["pair_id"]}
    with Sandbox(workers=2) as sandbox:
        for (side, ids), result in zip(sides, sandbox.evaluate(units), strict=True):
            for pair, outcome in zip(ids, result.outcomes, strict=True):
                votes[side, pair].append(outcome)
    assert len(votes) == 2 * pairs.height
    for (side, pair), outcomes in votes.items():
        said = [outcome for outcome in outcomes if outcome.is_verdict]
        assert 2 * len(said) > len(outcomes), (side, pair)
        if side == "chosen":
            assert 2 * said.count(Outcome.PASS) > len(said), (side, pair)
        else:
            assert Outcome.PASS not in said, (side, pair)


def test_the_exports_hold_the_accepted_rows_split_by_instruction(made, t):
    sft, preference = exported(made.data, "sft"), exported(made.data, "preference")
    assert sorted(sft["example_id"]) == sorted(t["sft_examples"]["example_id"])
    assert sorted(preference["pair_id"]) == sorted(accepted(t["preference_pairs"])["pair_id"])
    kto = exported(made.data, "kto")
    assert sorted(kto["example_id"]) == sorted(t["kto_examples"]["example_id"])
    both = pl.concat(
        [frame.select("instruction_id", "split") for frame in (sft, preference, kto)]
    ).unique()
    assert not both["instruction_id"].is_duplicated().any()
    assert set(both["split"]) == {"train", "eval"}

    files = exports(made.data)
    messages = [
        json.loads(line)["messages"]
        for split in ("train", "eval")
        for line in files[f"sft/messages/{split}.jsonl"].splitlines()
    ]
    assert sorted((m[0]["content"], m[-1]["content"]) for m in messages) == sorted(
        t["sft_examples"].select("prompt", "response").iter_rows()
    )
    (event,) = made.result.asset_materializations_for_node("sft_dataset")
    listed = event.metadata["files"].value
    assert f"| {sft.filter(split='train').height} |" in listed


def test_the_export_for_rl_holds_prompts_that_teach_and_verifiers_that_agree(made, t):
    wanted = accepted(t["rl_prompts"])
    assert wanted["pass_rate"].is_between(0, 1, closed="none").all()
    assert t["rl_prompts"].height == t["augmented_queries"].height
    folder = made.data / "exports" / "reward"
    rows = pl.concat(pl.read_parquet(folder / "trl" / f"{s}.parquet") for s in ("train", "eval"))
    assert sorted(rows["prompt_id"]) == sorted(wanted["prompt_id"]) != []

    judged = (
        t["response_verdicts"]
        .filter((pl.col("status") == "accepted") | (pl.col("reason") == "low_pass_rate"))
        .join(t["responses"].select("response_id", "response").unique(), on="response_id")
        .join(t["augmented_queries"].select("prompt_id", "query"), on="prompt_id")
    )
    items = [
        {"instruction_ids": [instruction], "response": response, "query": query}
        for instruction, response, query in judged.select(
            "instruction_id", "response", "query"
        ).iter_rows()
    ]
    with Scorer(folder, max_verifiers=99) as scorer:
        assert set(wanted["instruction_id"]) <= set(scorer.bank)
        rewards = scorer.score(items)
    for row, made_ in zip(judged.iter_rows(named=True), rewards, strict=True):
        tied = row["pass_rate"] == 0.5
        assert made_["reward"] == (None if tied else float(row["status"] == "accepted"))


def test_what_is_published_is_what_the_pipeline_wrote(made, t):
    with duckdb.connect(made.data / "warehouse.duckdb", read_only=True) as con:
        for name, frame in t.items():
            (count,) = con.execute(f"SELECT count(*) FROM autoif.{name}").fetchone()
            assert count == frame.height, name
        stages = con.execute("SELECT DISTINCT stage FROM autoif.funnel").fetchall()
        assert {"verifiers", "response_verdicts", "preference_pairs"} <= {s for (s,) in stages}
        pair = t["query_preference_pairs"]["pair_id"][0]
        steps = con.execute("SELECT DISTINCT kind FROM autoif.lineage(?)", [pair]).fetchall()
        assert len(steps) > 4


def test_the_materialisations_say_how_many_rows_and_what_the_calls_came_to(made, t):
    for name in OF_BATCHES:
        if name in ("llm_calls", "dataset_splits", "dataset_left_out", "batches", "input_sets"):
            continue
        events = [
            event.materialization
            for event in made.result.all_events
            if event.is_step_materialization and event.asset_key.to_user_string() == name
        ]
        (event,) = events
        assert event.metadata["dagster/row_count"].value == t[name].height, name
    (event,) = made.result.asset_materializations_for_node("responses")
    prompts = t["augmented_queries"].height
    assert event.metadata["model/total"].value == prompts
    assert event.metadata["model/requests"].value >= prompts
    (event,) = made.result.asset_materializations_for_node("response_verdicts")
    assert event.metadata["sandbox/confinement"].value != "none"


def test_the_key_is_in_no_file(made):
    files = [path for path in made.data.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert not any(KEY in str(event) for event in made.result.all_events)


def test_cross_validation_keeps_the_right_verifiers_and_back_translation_more_so(t):
    verifiers = with_truth(t, "verifiers", "verifier", source="source")
    verified = accepted(t["verified_instructions"])
    kept = accepted(verifiers)
    used = kept.join(verified, on="instruction_id", how="semi")
    before, after, at_last = precision(verifiers), precision(kept), precision(used)
    assert before < 0.7
    assert before + 0.1 < after < at_last
    assert at_last > 0.8
    assert recall(verifiers) > 0.8


def test_cross_validation_keeps_the_right_cases(t):
    cases = with_truth(t, "verifier_cases", "case", input="input", output="expected")
    assert precision(cases) < 0.85
    assert precision(accepted(cases)) > precision(cases) + 0.05
    verified = accepted(t["verified_instructions"])
    assert precision(accepted(cases).join(verified, on="instruction_id", how="semi")) > 0.95
    assert recall(cases) > 0.7


def test_verification_keeps_the_responses_that_follow(verdicts):
    assert 0.4 < precision(verdicts, "follows") < 0.8
    assert precision(accepted(verdicts), "follows") > 0.95
    assert recall(verdicts, "follows") > 0.8


def test_scoring_keeps_the_responses_that_answer(t, verdicts):
    passed = accepted(verdicts)
    kept = passed.join(accepted(t["response_scores"]), on="response_id", how="semi")
    bad = passed.filter(pl.col("quality") != "good").height
    assert bad > 0
    assert kept.filter(pl.col("quality") != "good").height < bad / 2
    assert kept.height > passed.height / 3


def test_what_is_rejected_in_a_pair_mostly_breaks_the_instruction(t, verdicts):
    facts = dict(verdicts.select("response_id", "follows").iter_rows())
    near = t["query_preference_pairs"].filter(origin="near_miss")
    missed = accepted(t["further_verdicts"]).join(accepted(t["further_scores"]), on="response_id")
    assert set(near["rejected_id"]) <= set(missed.filter(origin="near_miss")["response_id"])
    pairs = t["query_preference_pairs"].filter(origin="sampled")
    assert (pairs["rejected_score"].is_not_null().mean() or 0) > 0.8
    assert all(facts[response] for response in pairs["chosen_id"])
    rejected = [facts[response] for response in pairs["rejected_id"].unique()]
    assert rejected.count(False) > 0.75 * len(rejected)


def test_the_first_run_pins_what_the_batch_is_made_by(made, t):
    row = Warehouse(made.data).read("batches").row(0, named=True)
    assert (row["batch"], row["recipe"], row["excluded"]) == ("b1", "paper", False)
    numbers = json.loads(row["numbers"])
    assert numbers.pop("prompts") == {role: prompt.source for role, prompt in PROMPTS.items()}
    assert numbers == make_recipe("paper", SMALL).model_dump(exclude={"prompts"})
    roles = ["supervision", "responder", "judge", "auditor", "nli"]
    assert [role["role"] for role in row["roles"]] == roles
    assert {role["model"] for role in row["roles"]} == {"autoif-simulator"}
    assert {role["base_url"] for role in row["roles"]} == {made.simulator.base_url}
    assert row["simulated"]
    assert row["seeds_hash"] == content_hash("seed_instructions", t["seed_instructions"])
    assert row["queries_hash"] == content_hash("seed_queries", t["seed_queries"])
    assert changed_seeds(Warehouse(made.data)) == {}
