import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.gates import accepted
from autoif_assets.method.recipe import Threshold, make_recipe
from autoif_assets.method.verifiers import (
    OUTCOME_SCHEMA,
    contradicted,
    cross_validate,
    parse_candidates,
    verifier_prompts,
    verifier_runs,
)
from autoif_assets_tests.method.frames import completions, outcomes, reasons

PAPER = make_recipe("paper")


def answer(source, *cases):
    return json.dumps({"func": source, "cases": [{"input": i, "output": o} for i, o in cases]})


def parse(*rows, check=lambda source: None, canonical=str.strip):
    frame = completions(
        *({"instruction_id": "i", "sample": n, **row} for n, row in enumerate(rows)),
        instruction_id=pl.String,
    )
    return parse_candidates(frame, check, canonical)


def test_the_prompt_ends_with_the_instruction():
    frame = pl.DataFrame({"instruction_id": ["i"], "instruction": ["Use no commas."]})
    prompts = verifier_prompts(frame, PAPER)
    assert prompts["prompt"][0].endswith("Instruction: Use no commas.")
    assert prompts["instruction_id"].to_list() == ["i"]
    assert verifier_prompts(frame.clear(), PAPER).is_empty()


def test_the_prompt_names_the_modules_of_the_recipe():
    frame = pl.DataFrame({"instruction_id": ["i"], "instruction": ["Write in Dutch."]})
    recipe = make_recipe("paper", {"modules": ["langdetect", "nltk.corpus:stopwords.words"]})
    (prompt,) = verifier_prompts(frame, recipe)["prompt"]
    assert "the Python standard library and langdetect, nltk.corpus, read no files" in prompt
    (prompt,) = verifier_prompts(frame, PAPER)["prompt"]
    assert "the Python standard library, read no files" in prompt


@pytest.mark.parametrize(
    ("instruction", "needed"),
    [
        ("Repeat the question first.", True),
        ("First repeat the request word for word, then answer.", True),
        ("Begin with the first word of my prompt", True),
        ("Use no word of the user's query.", True),
        ("Start with what I asked.", True),
        ("Wiederhole zuerst die Frage.", True),
        ("先重复问题。", True),
        ("Include at least two question marks.", False),
        ("Close with a question.", False),
        ("The last character must be the question mark.", False),
        ("Ask one question.", False),
        ("Answer in three sentences.", False),
    ],
)
def test_instructions_that_speak_of_the_query_are_asked_for_with_it(instruction, needed):
    frame = pl.DataFrame(
        {"instruction_id": ["a", "b", "c"], "instruction": ["No commas.", instruction, "Be kind."]}
    )
    prompts = verifier_prompts(frame, PAPER)
    assert prompts["instruction_id"].to_list() == ["a", "b", "c"]
    assert [template == "verifier_with_query" for template in prompts["template"]] == [
        *(False, needed, False)
    ]
    assert ("response: str, query: str" in prompts["prompt"][1]) is needed


def test_candidates_keep_every_completion_with_its_reason():
    candidates, cases = parse(
        {"raw": answer("def evaluate(r): return True", ("a", True), ("a", True), ("b", "no"))},
        {"raw": answer("def evaluate(r): return True ", ("c", 7))},
        {"raw": answer("def evaluate(r):", ("d", True)), "finish_reason": "length"},
        {"raw": None, "error": "400: too long", "finish_reason": None},
        {"raw": "I would rather not."},
        {"raw": " "},
        {"raw": answer("import os")},
        check=lambda source: "forbidden_import:os" if "os" in source else None,
    )
    assert reasons(candidates, "sample") == {
        0: None,
        1: "duplicate",
        2: "truncated",
        3: "call_refused",
        4: "no_function",
        5: "empty",
        6: "forbidden_import",
    }
    assert candidates["detail"].to_list() == [
        None,
        None,
        None,
        "400: too long",
        "no JSON object",
        None,
        "os",
    ]
    assert candidates["raw"].null_count() == 1
    assert cases.select("sample", "position", "reason").rows() == [
        (0, 0, None),
        (0, 1, "duplicate"),
        (0, 2, None),
        (1, 0, "unparsed"),
    ]


def test_a_rejected_twin_does_not_make_a_duplicate():
    candidates, _ = parse(
        {"raw": answer("same"), "finish_reason": "length"}, {"raw": answer("same")}
    )
    assert reasons(candidates, "sample") == {0: "truncated", 1: None}


def test_no_completions_give_empty_frames():
    candidates, cases = parse()
    assert candidates.is_empty()
    assert cases.is_empty()


def test_runs_pair_verifiers_with_all_texts_of_their_instruction():
    verifiers = pl.DataFrame(
        {"verifier_id": ["v", "w", "x"], "instruction_id": ["i", "i", "j"], "source": ["1"] * 3}
    )
    inputs = pl.DataFrame(
        {"input_id": ["a", "b", "c"], "instruction_id": ["i", "i", "k"], "input": ["A", "B", "C"]}
    )
    assert verifier_runs(verifiers, inputs).rows() == [
        ("v", "1", ["a", "b"], ["A", "B"], "i"),
        ("w", "1", ["a", "b"], ["A", "B"], "i"),
    ]


def test_runs_carry_the_queries_that_texts_answer():
    verifiers = pl.DataFrame({"verifier_id": ["v"], "instruction_id": ["i"], "source": ["1"]})
    inputs = pl.DataFrame(
        {
            "input_id": ["a", "b"],
            "instruction_id": "i",
            "input": ["A", "B"],
            "query": ["Q", None],
        }
    )
    assert verifier_runs(verifiers, inputs)["queries"].to_list() == [["Q", None]]


def test_a_case_may_have_a_query_and_is_another_case_then():
    raw = json.dumps(
        {
            "func": "def evaluate(response, query):\n    return response.startswith(query)",
            "cases": [
                {"query": "Why?", "input": "Why? So.", "output": True},
                {"query": "How?", "input": "Why? So.", "output": True},
                {"query": "", "input": "Why? So.", "output": True},
                {"input": "Why? So.", "output": True, "query": None},
                {"query": 3, "input": "x", "output": True},
            ],
        }
    )
    candidates, cases = parse({"raw": raw})
    assert candidates["status"].to_list() == ["accepted"]
    assert cases.select("query", "status", "reason").rows() == [
        ("Why?", "accepted", None),
        ("How?", "accepted", None),
        (None, "accepted", None),
        (None, "rejected", "duplicate"),
        (None, "rejected", "unparsed"),
    ]
    said = pl.DataFrame([("v", cases["case_id"][0], "pass", None)], OUTCOME_SCHEMA, orient="row")
    functions = pl.DataFrame({"verifier_id": ["v"], "instruction_id": ["i"], "source": ["s"]})
    _, kept = cross_validate(functions, cases[:1], said, PAPER)
    assert kept["query"].to_list() == ["Why?"]


def frames(verifier_ids, cases):
    candidates = pl.DataFrame(
        {"verifier_id": verifier_ids, "instruction_id": "i", "source": verifier_ids},
        schema={"verifier_id": pl.String, "instruction_id": pl.String, "source": pl.String},
    )
    case_rows = [(case, "i", case.upper(), expected) for case, expected in cases.items()]
    schema = ["case_id", "instruction_id", "input", "expected"]
    types = [pl.String, pl.String, pl.String, pl.Boolean]
    return candidates, pl.DataFrame(
        case_rows, schema=dict(zip(schema, types, strict=True)), orient="row"
    )


def test_cases_first_then_functions_over_the_survivors():
    candidates, cases = frames(["v", "w", "x"], {"a": True, "b": False, "c": True})
    votes = outcomes(
        {
            "v": {"a": "pass", "b": "fail", "c": "fail"},
            "w": {"a": "pass", "b": "timeout", "c": "fail"},
            "x": {"a": "fail", "b": "fail", "c": "pass"},
        }
    )
    verifiers, checked = cross_validate(candidates, cases, votes, PAPER)
    # c: one of three agrees. a and b: two of three; the timeout agrees with nothing.
    assert reasons(checked, "case_id") == {"a": None, "b": None, "c": "low_agreement"}
    assert reasons(verifiers, "verifier_id") == {
        "v": None,
        "w": "low_agreement",
        "x": "low_agreement",
    }
    assert verifiers.sort("verifier_id")["accuracy"].to_list() == [1.0, 0.5, 0.5]
    assert checked.filter(case_id="b")["outcomes"].to_list() == [
        [
            {"verifier_id": "v", "outcome": "fail"},
            {"verifier_id": "w", "outcome": "timeout"},
            {"verifier_id": "x", "outcome": "fail"},
        ]
    ]


def test_a_function_that_does_not_load_has_no_vote():
    candidates, cases = frames(["v", "w", "x"], {"a": True})
    votes = outcomes({"v": {"a": "pass"}, "w": {"a": "load_error"}, "x": {"a": "nondeterministic"}})
    verifiers, checked = cross_validate(candidates, cases, votes, PAPER)
    assert checked["agreement"].to_list() == [1.0]
    assert reasons(verifiers, "verifier_id") == {
        "v": None,
        "w": "load_error",
        "x": "nondeterministic",
    }


def test_half_is_not_more_than_half():
    candidates, cases = frames(["v", "w"], {"a": True})
    votes = outcomes({"v": {"a": "pass"}, "w": {"a": "fail"}})
    verifiers, checked = cross_validate(candidates, cases, votes, PAPER)
    assert reasons(checked, "case_id") == {"a": "low_agreement"}
    assert reasons(verifiers, "verifier_id") == dict.fromkeys(["v", "w"], "no_surviving_case")


def test_the_authors_profile_wants_numbers_first():
    recipe = make_recipe("authors_code")
    candidates, cases = frames(["v", "w"], {"a": True})
    votes = outcomes({"v": {"a": "pass"}, "w": {"a": "pass"}})
    verifiers, checked = cross_validate(candidates, cases, votes, recipe)
    assert set(verifiers["reason"]) == {"too_few_verifiers"}
    assert set(checked["reason"]) == {"too_few_verifiers"}


def test_cases_without_functions_and_functions_without_cases_are_kept():
    candidates, cases = frames([], {"a": True})
    none = outcomes({})
    verifiers, checked = cross_validate(candidates, cases, none, PAPER)
    assert verifiers.is_empty()
    assert reasons(checked, "case_id") == {"a": "no_verifier"}
    candidates, cases = frames(["v"], {})
    verifiers, checked = cross_validate(candidates, cases, none, PAPER)
    assert reasons(verifiers, "verifier_id") == {"v": "too_few_cases"}
    assert checked.is_empty()


OUTCOME = st.sampled_from(["pass", "fail", "error", "timeout", "crash", "not_bool"])


@given(st.data())
def test_cross_validation_against_its_definition(data):
    verifier_ids = [f"v{n}" for n in range(data.draw(st.integers(1, 4)))]
    expected = {f"c{n}": data.draw(st.booleans()) for n in range(data.draw(st.integers(1, 4)))}
    table = {v: {c: data.draw(OUTCOME) for c in expected} for v in verifier_ids}
    agrees = {
        (v, c): table[v][c] == ("pass" if expected[c] else "fail") for v in table for c in expected
    }
    kept_cases = {c for c in expected if sum(agrees[v, c] for v in table) / len(verifier_ids) > 0.5}
    kept_verifiers = {
        v
        for v in table
        if kept_cases and sum(agrees[v, c] for c in kept_cases) / len(kept_cases) > 0.5
    }
    verifiers, cases = cross_validate(*frames(verifier_ids, expected), outcomes(table), PAPER)
    assert set(accepted(cases)["case_id"]) == kept_cases
    assert set(accepted(verifiers)["verifier_id"]) == kept_verifiers
    assert verifiers.height == len(verifier_ids)
    assert cases.height == len(expected)


def test_outcome_schema_is_what_the_frames_use():
    assert outcomes({}).schema == pl.Schema(dict(OUTCOME_SCHEMA))


def texts(**passes: bool) -> pl.DataFrame:
    return pl.DataFrame({"input_id": list(passes), "passes": list(passes.values())})


def said_of(**said: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(name, outcome) for name, all_ in said.items() for outcome in all_],
        schema={"input_id": pl.String, "outcome": pl.String},
        orient="row",
    )


def test_texts_that_pass_and_fail_as_they_should_contradict_nothing():
    said = said_of(good=["pass", "pass", "fail"], bad=["fail", "timeout"])
    assert contradicted(texts(good=True, bad=False), said, Threshold(">", 0.5)).is_empty()


def test_texts_that_do_not_are_given_with_their_verdicts():
    said = said_of(good=["pass", "fail", "error"], bad=["pass", "fail", "fail"])
    found = contradicted(texts(good=True, bad=False), said, Threshold(">", 0.5))
    assert found.rows() == [("good", True, 1, 1), ("bad", False, 1, 2)]
    assert contradicted(texts(good=True), said, Threshold(">=", 0.5)).is_empty()


@pytest.mark.parametrize("said", [said_of(), said_of(text=["timeout", "crash"])])
def test_without_a_verdict_a_text_neither_passes_nor_is_passed(said):
    found = contradicted(texts(text=True), said, Threshold(">", 0))
    assert found.rows() == [("text", True, 0, 0)]
    assert contradicted(texts(text=False), said, Threshold(">", 0)).is_empty()
