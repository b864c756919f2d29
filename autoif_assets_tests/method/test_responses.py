import polars as pl
import pytest

from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.responses import (
    has_failed,
    parse_responses,
    parse_scores,
    response_prompts,
    score_prompts,
    to_score,
    verify_responses,
)
from autoif_assets_tests.method.frames import completions, outcomes, reasons

PAPER = make_recipe("paper")
AUTHORS = make_recipe("authors_code")
PROMPTS = pl.DataFrame(
    {
        "prompt_id": ["p", "q"],
        "instruction_id": ["i", "i"],
        "query_id": ["1", "2"],
        "instruction": ["Use no commas.", "Use no commas."],
        "query": ["Why?", "Who?"],
        "context": [None, '[{"role":"system","content":"Be brief."}]'],
    }
)


def test_prompts_hold_instruction_and_query():
    prompts = response_prompts(PROMPTS, PAPER)
    assert "Use no commas." in prompts["prompt"][0]
    assert prompts["prompt"][0].endswith("Why?")
    assert prompts["context"].to_list() == PROMPTS["context"].to_list()
    assert response_prompts(PROMPTS.clear(), PAPER).is_empty()


def test_responses_keep_every_completion():
    frame = completions(
        {"raw": " Because. "},
        {"raw": "Because.", "sample": 1},
        {"raw": "Becau", "sample": 2, "finish_reason": "length"},
        {"raw": "", "sample": 3},
        {"raw": None, "sample": 4, "error": "400: context"},
        prompt_id=pl.String,
        instruction_id=pl.String,
    ).with_columns(prompt_id=pl.lit("p"), instruction_id=pl.lit("i"))
    parsed = parse_responses(frame)
    assert reasons(parsed, "sample") == {
        0: None,
        1: "duplicate",
        2: "truncated",
        3: "empty",
        4: "call_refused",
    }
    assert parsed["response"].to_list() == ["Because.", "Because.", "Becau", None, None]
    assert parsed["response_id"].null_count() == 2
    assert parsed["response_id"][0] == parsed["response_id"][1]
    assert parse_responses(frame.clear()).is_empty()


RESPONSES = pl.DataFrame(
    {
        "response_id": ["r"],
        "prompt_id": ["p"],
        "instruction_id": ["i"],
        "response": ["Because."],
    }
)


def test_a_response_keeps_the_indentation_of_its_code():
    code = "    if x:\n        y = 1"
    frame = completions({"raw": f"\n{code}\n"}, {"raw": " Yes.\n", "sample": 1})
    frame = frame.with_columns(prompt_id=pl.lit("p"), instruction_id=pl.lit("i"))
    assert parse_responses(frame)["response"].to_list() == [code, "Yes."]


@pytest.mark.parametrize(
    ("said", "reason", "pass_rate", "negative"),
    [
        (["pass", "pass", "fail"], None, 2 / 3, False),
        (["pass", "fail"], "low_pass_rate", 0.5, False),
        (["fail", "fail"], "low_pass_rate", 0.0, True),
        (["fail", "fail", "timeout"], "low_pass_rate", 0.0, True),
        (["fail", "crash"], "few_verdicts", 0.0, False),
        (["pass", "error", "error"], "few_verdicts", 1.0, False),
        (["error", "not_bool", "timeout"], "no_verdict", None, False),
        ([], "no_verifier", None, False),
    ],
)
def test_only_pass_and_fail_are_verdicts(said, reason, pass_rate, negative):
    table = {f"v{n}": {"r": outcome} for n, outcome in enumerate(said)}
    verdicts = verify_responses(RESPONSES, outcomes(table), PAPER)
    assert reasons(verdicts, "response_id") == {"r": reason}
    assert verdicts["pass_rate"].to_list() == [pass_rate]
    assert verdicts["verifiers"].to_list() == [len(said)]
    assert verdicts.select(has_failed()).to_series().to_list() == [negative]


def test_the_authors_accept_any_pass():
    table = {"v": {"r": "pass"}, "w": {"r": "fail"}, "x": {"r": "fail"}}
    assert reasons(verify_responses(RESPONSES, outcomes(table), AUTHORS), "response_id") == {
        "r": None
    }


@pytest.mark.parametrize(("recipe", "kept"), [(PAPER, {8, 9}), (AUTHORS, {9})])
def test_scores(recipe, kept):
    texts = {0: '{"score": 7}', 1: '{"score": 8}', 2: "Score: 9", 3: "no idea", 4: '{"score": 8'}
    frame = completions(
        *(
            {"raw": raw, "sample": n, "finish_reason": "length" if n == 4 else "stop"}
            for n, raw in texts.items()
        ),
        response_id=pl.String,
        prompt_id=pl.String,
        instruction_id=pl.String,
    ).with_columns(response_id=pl.col("sample").cast(pl.String))
    scores = parse_scores(frame, recipe)
    by_id = reasons(scores, "response_id")
    assert by_id["0"] == "low_score"
    assert by_id["3"] == "unparsed"
    assert by_id["4"] == "truncated"
    assert set(scores.filter(status="accepted")["score"]) == kept


def test_failing_responses_are_scored_if_wanted_and_never_kept():
    verdicts = pl.DataFrame(
        {
            "response_id": ["good", "fails", "half", "silent"],
            "passed": [2, 0, 1, 0],
            "status": ["accepted", *["rejected"] * 3],
            "reason": [None, "low_pass_rate", "low_pass_rate", "no_verdict"],
        }
    )
    responses = verdicts.select("response_id", prompt_id=pl.lit("p"), response="response_id")
    assert to_score(responses, verdicts, PAPER)["response_id"].to_list() == ["good"]
    both = to_score(responses, verdicts, make_recipe("paper", {"score_failing": True}))
    assert both.select("response_id", "failing").rows() == [("good", False), ("fails", True)]
    frame = completions(
        *({"response_id": key, "raw": '{"score": 9}'} for key in both["response_id"]),
        response_id=pl.String,
        prompt_id=pl.String,
        instruction_id=pl.String,
    )
    scores = parse_scores(frame, PAPER, both.filter("failing")["response_id"])
    assert reasons(scores, "response_id") == {"good": None, "fails": "failing"}
    assert scores["score"].to_list() == [9.0, 9.0]


def test_score_prompts_end_with_the_response():
    prompts = score_prompts(RESPONSES.drop("instruction_id"), PROMPTS, PAPER)
    assert prompts.columns == ["response_id", "prompt_id", "instruction_id", "prompt"]
    assert prompts["prompt"][0].endswith("[Query] Why?\n[Response] Because.")


def test_a_judge_is_shown_what_was_said_before():
    rows = pl.DataFrame({"response_id": ["r"], "prompt_id": ["q"], "response": ["Me."]})
    (prompt,) = score_prompts(rows, PROMPTS, PAPER)["prompt"]
    assert prompt.endswith(
        "[Query] The last message of this conversation.\n[System] Be brief.\n[User] Who?\n"
        "[Response] Me."
    )
