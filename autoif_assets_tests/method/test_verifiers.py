import json

import polars as pl
import pytest

from autoif_assets.method.cross_validation import cross_validate
from autoif_assets.method.recipe import Threshold, make_recipe
from autoif_assets.method.tried import Tried
from autoif_assets.method.verifiers import (
    OUTCOME_SCHEMA,
    authors,
    boundary_prompts,
    contradicted,
    functions_of,
    in_parts,
    parse_boundary_cases,
    parse_candidates,
    verifier_prompts,
    verifier_runs,
)
from autoif_assets_tests.method.frames import completions, outcomes, reasons, tried

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


def test_who_needs_a_query_is_not_run_on_probe_texts_without_one():
    verifiers = pl.DataFrame(
        {
            "verifier_id": ["v", "asks", "w"],
            "instruction_id": ["i", "i", "i"],
            "source": ["1", "query", "2"],
        }
    )
    texts = pl.DataFrame(
        {
            "input_id": ["case", "bare", "probe", "asked"],
            "instruction_id": "i",
            "input": ["A", "B", "C", "D"],
            "query": ["Q", None, None, "Q"],
            "kind": [None, None, "edge", "obeying"],
        }
    )
    runs = verifier_runs(verifiers, texts, lambda source: "query" in source)
    # A case without a query is one that it should have been given: it fails there.
    assert dict(runs.select("verifier_id", "input_ids").iter_rows()) == {
        "v": ["case", "bare", "probe", "asked"],
        "w": ["case", "bare", "probe", "asked"],
        "asks": ["case", "bare", "asked"],
    }
    assert verifier_runs(verifiers, texts)["input_ids"].list.len().to_list() == [4, 4, 4]
    bare = texts.select("input_id", "instruction_id", "input")
    every = verifier_runs(verifiers, bare, lambda source: "query" in source)
    assert every["input_ids"].list.len().to_list() == [4, 4, 4]
    probes = texts.filter(input_id="probe")
    found = verifier_runs(verifiers, probes, lambda source: "query" in source)
    assert found["verifier_id"].to_list() == ["v", "w"]


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
    _, kept = cross_validate(tried(functions, cases[:1], said), PAPER)
    assert kept["query"].to_list() == ["Why?"]


def test_parts_are_whole_instructions():
    candidates = pl.DataFrame(
        [(f"i{n}", f"{kind}{n}") for n in range(450) for kind in "vw"],
        ["instruction_id", "verifier_id"],
        orient="row",
    )
    # Some instructions have no cases, and some have nothing else.
    cases = pl.DataFrame(
        [(f"i{n}", f"c{n}") for n in range(400, 500)], ["instruction_id", "case_id"], orient="row"
    )
    parts = list(in_parts(candidates, cases))
    ids = [set(of["instruction_id"]) | set(beside["instruction_id"]) for of, beside in parts]
    assert [len(part) for part in ids] == [200, 200, 100]
    assert len(set().union(*ids)) == 500
    assert pl.concat([part[0] for part in parts]).rows() == candidates.rows()
    assert pl.concat([part[1] for part in parts]).rows() == cases.rows()
    ((none, nothing),) = in_parts(candidates.clear(), cases.clear())
    assert none.is_empty()
    assert nothing.schema == cases.schema


def test_outcome_schema_is_what_the_frames_use():
    assert outcomes({}).schema == pl.Schema(dict(OUTCOME_SCHEMA))


# --- cases close to the line ----------------------------------------------------------------


def close(*rows, known=()):
    frame = completions(
        *({"instruction_id": f"i{n}", **row} for n, row in enumerate(rows)),
        instruction_id=pl.String,
    )
    return parse_boundary_cases(frame, pl.Series(list(known), dtype=pl.String))


def listed(*cases):
    return {"raw": json.dumps({"cases": [{"input": i, "output": o} for i, o in cases]})}


def test_boundary_cases_are_asked_for_once_an_instruction():
    frame = pl.DataFrame(
        {"instruction_id": ["a", "b"], "instruction": ["Be {{ kind }}.", "Repeat the question."]}
    )
    prompts = boundary_prompts(frame, make_recipe("audited"))
    # Cases of the second would need a question each.
    assert prompts["instruction_id"].to_list() == ["a"]
    assert prompts["prompt"][0].endswith("Instruction: Be {{ kind }}.")
    assert boundary_prompts(frame, PAPER).is_empty()
    assert boundary_prompts(frame.clear(), make_recipe("audited")).schema == prompts.schema


def test_boundary_cases_keep_their_reasons():
    found = close(
        listed(("a", True), ("b", False), ("a", True), ("a", False), ("c", "perhaps")),
        listed(("a", True)),
        {"raw": "I cannot think of any."},
        {**listed(("a", True)), "finish_reason": "length"},
        {"raw": None, "finish_reason": None, "error": "400: no"},
        {"raw": json.dumps([{"input": "d", "output": "yes"}])},
        {"raw": json.dumps({"cases": []})},
    )
    assert found.select("instruction_id", "position", "input", "expected", "reason").rows() == [
        ("i0", 0, "a", True, None),
        ("i0", 1, "b", False, None),
        ("i0", 2, "a", True, "duplicate"),
        ("i0", 3, "a", False, None),
        ("i0", 4, "c", None, "unparsed"),
        ("i1", 0, "a", True, None),
        ("i2", 0, None, None, "unparsed"),
        ("i3", 0, None, None, "truncated"),
        ("i4", 0, None, None, "call_refused"),
        ("i5", 0, "d", True, None),
        ("i6", 0, None, None, "unparsed"),
    ]
    assert set(found["origin"]) == {"boundary"}
    assert found.filter(instruction_id="i4")["detail"].to_list() == ["400: no"]
    assert close().is_empty()
    assert close().schema == found.schema


def test_a_boundary_case_that_came_with_a_function_is_a_duplicate():
    _, cases = parse({"raw": answer("f", ("a", True))})
    raw = listed(("a", True), ("a", False))["raw"]
    frame = completions({"instruction_id": "i", "raw": raw}, instruction_id=pl.String)
    known = pl.concat([cases["case_id"], pl.Series([None], dtype=pl.String)])
    found = parse_boundary_cases(frame, known)
    assert found["reason"].to_list() == ["duplicate", None]
    assert set(cases["origin"]) == {"function"}
    assert found.columns == cases.columns


# --- functions and whose cases are whose ----------------------------------------------------


def test_functions_are_counted_by_the_completions_that_wrote_them():
    candidates, cases = parse(
        {"raw": answer("f", ("a", True), ("b", False))},
        {"raw": answer("f ", ("b", False), ("c", True))},
        {"raw": answer("g", ("a", True))},
        {"raw": answer("bad", ("d", True))},
        {"raw": answer("f"), "finish_reason": "length"},
        check=lambda source: "no_evaluate" if source == "bad" else None,
    )
    found = functions_of(candidates)
    assert found.select("source", "origin", "parent_id", "samples").rows() == [
        ("f", "sampled", None, 2),
        ("g", "sampled", None, 1),
    ]
    assert functions_of(candidates.clear()).schema == found.schema
    sources = dict(found.select("verifier_id", "source").iter_rows())
    inputs = dict(cases.select("case_id", "input").drop_nulls().iter_rows())
    # What repeats a function brings cases of its own, and some that are known.
    owned = {
        (sources[verifier_id], inputs[case_id])
        for verifier_id, case_id in authors(candidates, cases).iter_rows()
        if verifier_id in sources
    }
    assert owned == {("f", "a"), ("f", "b"), ("f", "c"), ("g", "a")}
    boundary = cases.with_columns(origin=pl.lit("boundary"))
    assert authors(candidates, boundary).is_empty()
    assert authors(candidates.clear(), cases).is_empty()


def test_the_same_function_of_two_instructions_is_two():
    frame = completions(
        *({"instruction_id": name, "raw": answer("f", ("a", True))} for name in "ij"),
        instruction_id=pl.String,
    )
    candidates, cases = parse_candidates(frame, lambda source: None, str.strip)
    assert functions_of(candidates)["instruction_id"].to_list() == ["i", "j"]
    assert candidates["verifier_id"].is_unique().all()
    assert cases["case_id"].is_unique().all()
    assert authors(candidates, cases).height == 2


def test_a_case_that_a_function_quotes_is_its_own():
    candidates, cases = parse(
        {"raw": answer("quotes b", ("a", True))}, {"raw": answer("f", ("b", True), ("c", False))}
    )
    quoted = {"quotes b": ["b", "elsewhere"], "f": []}
    of = Tried.of(candidates, cases, quoted_texts=quoted.__getitem__)
    sources = dict(of.functions.select("verifier_id", "source").iter_rows())
    inputs = dict(of.cases.select("case_id", "input").iter_rows())
    assert {(sources[v], inputs[c]) for v, c in of.authors.iter_rows()} == {
        ("quotes b", "a"),
        ("quotes b", "b"),
        ("f", "b"),
        ("f", "c"),
    }
    assert of.texts()["input"].to_list() == ["a", "b", "c"]


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
