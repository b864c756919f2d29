"""The views and macros that people query."""

import json

import polars as pl
import pytest

from autoif_assets.reports import BANDS
from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets.warehouse.views import describe, views

from .backends import BACKENDS, copy_of, new_warehouse
from .samples import put


@pytest.fixture
def told(request, built, tmp_path) -> Warehouse:
    """A warehouse of its own for each test, as ``built`` made it."""
    return copy_of(request, built, tmp_path)


@pytest.fixture(scope="module", params=BACKENDS)
def built(request, tmp_path_factory) -> Warehouse:
    """A batch with one pair of each level and one example, and what led to them."""
    w = new_warehouse(request, tmp_path_factory.mktemp("data"))
    seeds = [
        {"instruction_id": "seed1", "instruction": "Use no commas.", "source": "s.txt", "line": 1},
        {"instruction_id": "seed2", "instruction": "Unrelated.", "source": "s.txt", "line": 2},
    ]
    put(w, "seed_instructions", *seeds)
    query = {"query_id": "q1", "query": "Why is it blue?", "source": "q.txt", "line": 7}
    put(w, "seed_queries", query)
    wrote = {"instruction_id": "i1", "instruction": "Write five words.", "call_id": "c-write"}
    put(w, "augmented_instructions", wrote | {"origin": "self_instruct"})
    verifier = {"instruction_id": "i1", "verifier_id": "v1", "source": "def evaluate…"}
    put(w, "verifier_candidates", verifier | {"sample": 0, "call_id": "c-verify"})
    put(w, "verifiers", verifier | {"accuracy": 1.0, "cases": 2, "agreed": 2})
    put(w, "verifier_audits", verifier | {"accuracy": 1.0})
    cases = [
        {"case_id": f"k{i}", "instruction_id": "i1", "input": f"text {i}", "expected": i == 1}
        for i in (1, 2)
    ]
    put(
        w,
        "test_cases",
        *(case | {"position": i, "call_id": "c-verify"} for i, case in enumerate(cases)),
    )
    verdicts = [[{"verifier_id": "v1", "outcome": word}] for word in ("pass", "fail")]
    judged = zip(cases, verdicts, strict=True)
    put(w, "verifier_cases", *(case | {"outcomes": verdict} for case, verdict in judged))
    words = {"verifier_id": "v1", "instruction_id": "i1", "back_translation": "Five words."}
    put(w, "back_translations", words | {"nli_label": "entailment", "call_id": "c-back"})
    put(w, "verified_instructions", {"instruction_id": "i1", "instruction": "Write five words."})
    asked = {"prompt_id": "p1", "instruction_id": "i1", "query_id": "q1"}
    put(w, "augmented_queries", asked | {"prompt": "Why? Write five words."})
    answers = [
        {"response_id": f"r{i}", "prompt_id": "p1", "instruction_id": "i1", "sample": i}
        for i in (1, 2)
    ]
    put(
        w,
        "responses",
        *(a | {"response": f"answer {a['sample']}", "call_id": "c-answer"} for a in answers),
    )
    judged = zip(answers, verdicts, strict=True)
    put(
        w,
        "response_verdicts",
        *({k: v for k, v in a.items() if k != "sample"} | {"outcomes": v} for a, v in judged),
    )
    put(w, "response_scores", {"response_id": "r1", "score": 9.0, "call_id": "c-score"})
    pair = {"instruction_id": "i1", "chosen_pass_rate": 1.0, "rejected_pass_rate": 0.0}
    by_query = pair | {"pair_id": "pq", "prompt_id": "p1", "chosen_id": "r1", "rejected_id": "r2"}
    by_case = pair | {"pair_id": "pi", "chosen_id": "k1", "rejected_id": "k2"}
    by_query["chosen_score"] = 9.0
    put(w, "query_preference_pairs", by_query | {"query_id": "q1"})
    put(w, "instruction_preference_pairs", by_case)
    put(w, "preference_pairs", by_query | {"level": "query"}, by_case | {"level": "instruction"})
    put(w, "sft_examples", asked | {"example_id": "e1", "response_id": "r1", "pass_rate": 1.0})
    missed = {"prompt_id": "p1", "instruction_id": "i1", "response_id": "r3"}
    missed["origin"] = "near_miss"
    put(w, "further_responses", missed | {"response": "a slip", "call_id": "c-miss"})
    put(w, "further_verdicts", missed | {"outcomes": verdicts[1]})
    put(w, "further_scores", missed | {"score": 8.0, "call_id": "c-score"})
    labelled = {"prompt_id": "p1", "instruction_id": "i1", "query_id": "q1"}
    put(
        w,
        "kto_examples",
        labelled | {"example_id": "k1", "response_id": "r1", "label": True, "score": 9.0},
        labelled | {"example_id": "k3", "response_id": "r3", "label": False},
    )
    prompts = {
        "c-write": "Rewrite: Use no commas.",
        "c-verify": "Write a function.",
        "c-answer": "Why? Write five words.",
        "c-miss": "Break it narrowly.",
        "c-score": "Score it.",
        "c-back": "Say what it does.",
    }
    put(
        w,
        "llm_calls",
        *({"call_id": name, "prompt": prompt, "attempts": 1} for name, prompt in prompts.items()),
    )
    return w


def lineage(warehouse: Warehouse, wanted: str) -> list[tuple]:
    frame = warehouse.query(
        "SELECT kind, id, role, call_id FROM autoif.lineage($id)", {"id": wanted}
    )
    return frame.rows()


COMMON = [
    ("instruction", "i1", "instruction", "c-write"),
    ("seed_instruction", "seed1", "shown to the model that wrote it", None),
    ("verifier", "v1", "verifier", "c-verify"),
    ("back_translation", "v1", "of the verifier", "c-back"),
    ("test_case", "k1", "of the verifiers", "c-verify"),
    ("test_case", "k2", "of the verifiers", "c-verify"),
]


def calls(*names: str) -> list[tuple]:
    return [("model_call", name, "x", name) for name in sorted(names)]


def test_lineage_of_a_query_level_pair(told):
    assert lineage(told, "pq") == [
        ("preference_pair", "pq", "query level", None),
        ("response", "r1", "chosen", "c-answer"),
        ("response", "r2", "rejected", "c-answer"),
        ("verdict", "v1", "on the chosen", None),
        ("verdict", "v1", "on the rejected", None),
        ("score", "r1", "of the chosen", "c-score"),
        ("augmented_query", "p1", "prompt", None),
        ("user_query", "q1", "query", None),
        *COMMON,
        *calls("c-answer", "c-back", "c-score", "c-verify", "c-write"),
    ]


def test_lineage_of_an_instruction_level_pair(told):
    assert lineage(told, "pi") == [
        ("preference_pair", "pi", "instruction level", None),
        ("test_case", "k1", "chosen", "c-verify"),
        ("test_case", "k2", "rejected", "c-verify"),
        ("verdict", "v1", "on the chosen", None),
        ("verdict", "v1", "on the rejected", None),
        *COMMON,
        *calls("c-back", "c-verify", "c-write"),
    ]


def test_lineage_of_an_sft_example(told):
    found = lineage(told, "e1")
    assert found[:3] == [
        ("sft_example", "e1", "query level", None),
        ("response", "r1", "target", "c-answer"),
        ("verdict", "v1", "on the target", None),
    ]
    assert set(COMMON) <= set(found)


def test_lineage_of_a_kto_example_made_of_a_near_miss(told):
    found = lineage(told, "k3")
    assert found[:6] == [
        ("kto_example", "k3", "bad response", None),
        ("response", "r3", "target", "c-miss"),
        ("verdict", "v1", "on the target", None),
        ("score", "r3", "of the target", "c-score"),
        ("augmented_query", "p1", "prompt", None),
        ("user_query", "q1", "query", None),
    ]
    assert set(COMMON) <= set(found)
    assert ("model_call", "c-miss", "x", "c-miss") in found
    (detail,) = told.query("FROM autoif.lineage('k3') WHERE kind = 'response'")["detail"]
    assert detail == "passes 0 % of its verdicts; near_miss"


def test_lineage_of_a_seed_that_was_carried_over(told):
    carried = {"instruction_id": "i1", "instruction": "Use no commas.", "origin": "seed"}
    put(told, "augmented_instructions", carried)
    put(
        told,
        "seed_instructions",
        {"instruction_id": "i1", "instruction": "Use no commas.", "source": "s.txt", "line": 4},
    )
    frame = told.query("FROM autoif.lineage('pq') WHERE kind = 'seed_instruction'")
    assert frame.select("id", "role", "text", "detail").rows() == [
        ("i1", "the instruction itself", "Use no commas.", "s.txt, line 4")
    ]


def test_lineage_tells_source_verdict_and_prompt(told):
    frame = told.query("FROM autoif.lineage('pq')")
    details = {
        (kind, role): detail for kind, role, detail in frame.select("kind", "role", "detail").rows()
    }
    assert details["user_query", "query"] == "q.txt, line 7"
    assert details["verdict", "on the rejected"] == "fail"
    assert details["score", "of the chosen"] == "score 9.0"
    assert details["response", "chosen"] == "passes 100 % of its verdicts"
    assert details["verifier", "verifier"] == "accuracy 1.00 on 2 cases"
    texts = dict(frame.filter(pl.col("kind") == "model_call").select("id", "text").rows())
    assert texts["c-write"] == "Rewrite: Use no commas."


def test_lineage_of_a_verifier_that_was_mended(told):
    mended = {"instruction_id": "i1", "verifier_id": "v1", "parent_id": "v0", "round": 1}
    unchanged = {**mended, "status": "rejected", "reason": "unchanged", "call_id": "c-vain"}
    put(told, "verifier_repairs", unchanged)
    # It was there already: that a repair came to the same is not where it comes from.
    assert ("verifier", "v1", "verifier", "c-verify") in lineage(told, "pq")
    put(told, "verifier_candidates")
    put(told, "verifier_repairs", mended | {"call_id": "c-mend"})
    put(told, "verifiers", {**told.read("verifiers").to_dicts()[0], "parent_id": "v0"})
    assert ("verifier", "v1", "verifier", "c-mend") in lineage(told, "pq")
    frame = told.query("FROM autoif.lineage('pq') WHERE kind = 'verifier'")
    assert frame["detail"].to_list() == ["accuracy 1.00 on 2 cases; mended from v0"]


def test_lineage_tells_what_people_handed_in(told):
    for table in ("verifiers", "verifier_cases"):
        frame = told.read(table).with_columns(origin=pl.lit("user"))
        told.write(table, frame, {"batch": "b1"})
    for pair in ("pq", "pi"):
        frame = told.query("FROM autoif.lineage($id)", {"id": pair})
        details = dict(frame.filter(kind="verifier").select("id", "detail").rows())
        assert details == {"v1": "accuracy 1.00 on 2 cases; handed in with the seed"}
        cases = frame.filter(kind="test_case")["detail"]
        assert len(cases) == (4 if pair == "pi" else 2)
        assert all(detail.endswith("; handed in with the seed") for detail in cases)


def test_lineage_and_dataset_tell_what_was_said_before(told):
    context = '[{"role":"system","content":"Be brief."}]'
    for table in ("augmented_queries", "sft_examples", "kto_examples", "preference_pairs"):
        frame = told.read(table).with_columns(context=pl.lit(context))
        told.write(table, frame, {"batch": "b1"})
    frame = told.query("FROM autoif.lineage('e1') WHERE step = 6")
    assert frame.select("kind", "id", "role", "text").rows() == [
        ("conversation", "q1", "before the query", context),
        ("user_query", "q1", "query", "Why is it blue?"),
    ]
    for dataset in ("sft", "preference", "kto"):
        side = {"dataset": [dataset], "instruction_id": ["i1"], "split": ["train"]}
        told.write("dataset_splits", pl.DataFrame(side), {"dataset": dataset})
    found = told.query("SELECT DISTINCT dataset, context FROM autoif.dataset('train')")
    assert sorted(found.rows()) == [(name, context) for name in ("kto", "preference", "sft")]


def test_lineage_of_an_unknown_id_is_empty(told):
    assert lineage(told, "nothing' OR 1=1") == []


def test_funnel_counts_every_stage_by_status_and_reason(told):
    put(
        told,
        "responses",
        {"sample": 0, "status": "rejected", "reason": "truncated"},
        {"sample": 1, "status": "rejected", "reason": "truncated"},
        {"sample": 2},
    )
    frame = told.query("FROM autoif.funnel WHERE stage = 'responses'")
    assert frame.select("batch", "status", "reason", "rows").rows() == [
        ("b1", "accepted", None, 1),
        ("b1", "rejected", "truncated", 2),
    ]
    stages = told.query("FROM autoif.funnel").sort("position")["stage"].unique(maintain_order=True)
    written = [table.name for table in TABLES.values() if table.section and table.name in stages]
    assert stages.to_list() == written
    assert "llm_calls" not in written


def test_verifier_gallery_shows_instruction_and_source(told):
    found = told.query("SELECT instruction, source, nli_label FROM autoif.verifier_gallery")
    assert found.rows() == [("Write five words.", "def evaluate…", "entailment")]


def test_dataset_holds_each_row_of_a_split_once(told):
    again = told.read("sft_examples").with_columns(batch=pl.lit("b2"))
    told.write("sft_examples", again, {"batch": "b2"})
    query = "SELECT dataset, id, chosen_score FROM autoif.dataset($split)"
    assert told.query(query, {"split": "train"}).is_empty()
    for dataset, split in (("sft", "train"), ("preference", "eval"), ("kto", "eval")):
        side = {"dataset": [dataset], "instruction_id": ["i1"], "split": [split]}
        told.write("dataset_splits", pl.DataFrame(side), {"dataset": dataset})
    assert told.query(query, {"split": "train"}).rows() == [("sft", "e1", 0.0)]
    assert told.query(query, {"split": "eval"}).rows() == [
        ("kto", "k1", 9.0),
        ("kto", "k3", None),
        ("preference", "pi", None),
        ("preference", "pq", 9.0),
    ]
    out = {"dataset": ["preference"], "prompt_id": ["p1"], "query_of": ["train"]}
    told.write("dataset_left_out", pl.DataFrame(out), {"dataset": "preference"})
    left = told.query(query, {"split": "eval"}).filter(dataset="preference")
    assert left["id"].to_list() == ["pi"]


def test_cost_adds_up_calls(told):
    found = told.query("SELECT batch, asset, calls, refused, attempts FROM autoif.cost")
    assert found.rows() == [("b1", "x", 6, 0, 6)]


def test_coverage_counts_instructions_by_category_base_rate_and_script(told):
    rates = [None, 0.0, 0.0199, 0.02, 0.2, 0.6, 0.9, 0.91]
    texts = ["Use no 逗号, please.", "不要使用逗号 (comma)。", "Без запятых: no.", "123", *"αدनก"]
    put(
        told,
        "verified_instructions",
        *(
            {"instruction_id": f"i{n}", "instruction": text, "base_rate": rate, "category": "c"}
            for n, (rate, text) in enumerate(zip(rates, texts, strict=True))
        ),
        {"instruction_id": "x", "instruction": "None.", "category": None}
        | {"status": "rejected", "reason": "no_case"},
    )
    found = told.query(
        "SELECT category, base_rate, language, accepted, rejected FROM autoif.coverage"
    )
    # 0.0199 is Russian, 0.2 Greek, and digits alone are Latin.
    assert found.rows() == [
        ("c", "0 to 2 %", "Chinese, Japanese or Korean", 1, 0),
        ("c", "0 to 2 %", "Cyrillic", 1, 0),
        ("c", "2 to 20 %", "Latin", 1, 0),
        ("c", "20 to 60 %", "Greek", 1, 0),
        ("c", "60 to 90 %", "Arabic", 1, 0),
        ("c", "60 to 90 %", "Devanagari", 1, 0),
        ("c", "90 to 100 %", "Thai", 1, 0),
        ("c", "unknown", "Latin", 1, 0),
        ("none", "unknown", "Latin", 0, 1),
    ]
    assert set(found["base_rate"]) == set(BANDS)


def test_the_language_of_coverage_is_the_recipe_s_where_it_names_one(told):
    put(told, "verified_instructions", {"instruction_id": "i", "instruction": "Ohne Komma."})
    languages = []
    for language in (None, "German"):
        numbers = json.dumps({"language": language})
        put(told, "batches", {"numbers": numbers, "excluded": False})
        languages.append(told.query("SELECT language FROM autoif.coverage").item())
    assert languages == ["Latin", "German"]


@pytest.mark.parametrize("name", views())
def test_every_view_has_an_example_that_runs(told, name):
    description, example = describe(views()[name])
    assert description.endswith(".")
    assert f"autoif.{name}" in example
    told.query(example)


def test_the_views_people_need_are_there():
    assert set(views()) == {
        *("funnel", "lineage", "verifier_gallery", "dataset", "cost", "coverage"),
        *("base_rates", "duplicates", "implications", "conflicts", "verdict_pairs"),
    }


def test_a_view_comes_after_what_it_reads():
    names = list(views())
    for name in ("duplicates", "implications", "conflicts"):
        assert names.index("verdict_pairs") < names.index(name)
