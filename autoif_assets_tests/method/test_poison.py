"""No text of a model costs much to read, and none takes other rows along."""

import gc
import json
import os
import random
import time

import polars as pl
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from autoif_assets.method.completions import COMPLETION_SCHEMA, control_reason, unusable
from autoif_assets.method.guard import UnreadableRows, read_row_by_row
from autoif_assets.method.ids import normalise
from autoif_assets.method.json_text import parse_json
from autoif_assets.method.judgements import parse_nli_label, parse_score
from autoif_assets.method.lists import parse_instruction_lines
from autoif_assets.method.parsing import parse_back_translation, parse_verifier
from autoif_assets.method.readable import MAX_DEPTH, Unreadable, count, readable
from autoif_assets.method.responses import parse_responses
from autoif_assets.method.thoughts import split_reasoning
from autoif_assets.method.verifiers import parse_candidates
from autoif_assets.sandbox import canonical_source, static_check
from autoif_assets_tests.method.frames import completions

SOURCE = "def evaluate(response):\n    return 'a' in response"
HALF = '{"func": "def evaluate(r): return True", "cases": [{"input": "x \\ud83d", "output": true}'

PARSERS = (
    *(parse_json, parse_verifier, parse_instruction_lines, parse_back_translation),
    *(parse_nli_label, parse_score, split_reasoning, control_reason, normalise),
)
# Characters of fuzzed text for each reader.
FUZZED = int(os.environ.get("AUTOIF_TEST_FUZZ_CHARS", 2**20))
MARKS = (
    *("{", "}", "[", "]", "(", ")", ":", ",", '"', "'", "\\", '\\"', "\n", " ", "\t", "\r\n"),
    *("```", "```json\n", "`", "“", "”", "‘", "*", "**", "- ", "1. ", "#", "//", "/*", "*/"),
    *("<think>", "</think>", "score", "score: 1", "10", "/10", "out of", "1.", "-", "label"),
    *("</thinking>", "[THINK]", "[/THINK]", "◁think▷", "◁/think▷", "<seed:think>", "<thought>"),
    *("<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "assistantfinal", "<channel|>"),
    *(
        "<answer>",
        "</answer>",
        "<|begin_of_solution|>",
        "<|START_RESPONSE|>",
        "<unused95>",
        "- 1. ",
    ),
    *(
        "[BEGIN FINAL RESPONSE]",
        "[END FINAL RESPONSE]",
        "<longcat_think>",
        "一、",
        "第一条：",
        "1\\. ",
    ),
    *(
        "Anweisung 1:",
        "-free",
        " or ",
        "because",
        "wrong",
        "(",
        "</longcat_think>",
        "<|END_RESPONSE|>",
    ),
    *('"""', "'''", "~~~\n", "```python\n", "def evaluate(", '"func"', '"cases": [', '"input":'),
    *("1) ", "1、", "① ", "• ", "- [ ] ", "Instruction 1:", "> ", "# ", "  - ", "---\n", "thanks"),
    *("\\boxed{8}", "Score (0-10):", "8/10", "-8", "not", "entailment", "contradiction", ".", "?"),
    *('{"label": "', '{"score": ', "<|im_end|>", "<image>", "\b", "\f", "\\b", "：", "；"),
    *("instruction:", "neutral", "true", "null", '"a":', '{"a": 1,', '{"func": "', "\\n", "\\u"),
    *(
        "\u0301",
        "\u0316",
        "a",
        "é",
        "\ud83d\ude00",
        "\0",
        "\x0b",
        "\u2028",
        "[" * 50,
        "def f(",
        "=",
    ),
)


def seconds(function, text):
    # Of this thread alone, and without the garbage of the tests before.
    gc.disable()
    try:
        began = time.thread_time()
        function(text)
        return time.thread_time() - began
    finally:
        gc.enable()


def pace():
    return seconds(sum, range(100_000))


# What this machine does when it has a core for itself; another process on it makes that longer.
PACES = [pace() for _ in range(50)]


def is_slow(function, text, most):
    # Others may have had the cache, or the machine, for themselves meanwhile.
    for wait in (0, 0, 0.1, 1, 3, 10, 20):
        time.sleep(wait)
        before, took, after = pace(), seconds(function, text), pace()
        PACES.append(min(before, after))
        if took * min(1, min(PACES) / PACES[-1]) <= most:
            return False
    return True


repeated = st.builds(
    lambda start, pattern, size, end: (
        (start + "".join(pattern) * (size // max(1, sum(map(len, pattern)))))[: 2**16 - len(end)]
        + end
    ),
    st.sampled_from(["", "{", "[", "a", "\n", "```", "<think>", '{"a":"', "1"]),
    st.lists(st.sampled_from(MARKS), min_size=1, max_size=4),
    st.sampled_from([16_000, 20_000, 2**16]),
    st.sampled_from(["", "}", "x", '"}', "]}"]),
)


# A slow text is not made smaller: that would take long, and the machine differs meanwhile.
FOUND = settings(phases=set(Phase) - {Phase.shrink})


@pytest.mark.slow
@FOUND
@given(repeated)
@example("\n{" * 8000)
@example("{" * 16_000)
@example("{'" * 10_000)
@example("```{\n" * 12_000)
@example("\n" * 2**16)
@example("a" + "\u0301\u0316" * 30_000)
@example("<think></think>" * 4300)
@example("1" + " " * 60_000)
@example("`" * 2**16)
@example('{"func": ' * 6000)
@example('"""' * 20_000)
@example("- a\n" * 16_000)
@example("<|channel|>a<|message|>" * 2600)
@example("<think>a</think>" + "<answer>" * 8000)
@example("[END FINAL RESPONSE]" * 3000)
@example("- 1. a\n" * 9000)
def test_no_parser_is_slow(text):
    assert not [parser.__name__ for parser in PARSERS if is_slow(parser, text, 0.2)]


@FOUND
@given(repeated.map(lambda text: text[:50_000]))
@example('\\"' * 8000)
@example("'" * 49_999)
@example('"""' + "\\" * 40_000)
@example("f'{" * 16_000)
@example("a=1\n" * 12_500)
def test_looking_at_a_source_takes_no_more_than_its_length(text):
    for look in (static_check, canonical_source):
        assert not is_slow(look, text, 1)
        assert not is_slow(look, text[: len(text) // 8], 0.25)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_no_text_built_from_marks_raises(parser):
    rng = random.Random(parser.__name__)
    left = FUZZED
    while left > 0:
        # Mostly short, for these are looked at and repaired in most ways.
        size = rng.choice([50, 200, 800, 3000, 30_000, 2**16])
        few = rng.sample(MARKS, rng.choice([3, 6, 12, len(MARKS)]))
        text = "".join(rng.choices(few, k=size // 4))[:size]
        left -= size
        parser(text)


def test_whatever_the_repair_raises_is_no_json(monkeypatch):
    def broken(*arguments, **options):
        raise AssertionError

    monkeypatch.setattr("json_repair.loads", broken)
    assert parse_json("{'a': 1}") is None


def test_half_a_character_rejects_its_case_alone():
    parsed = parse_verifier(HALF + ', {"input": "\\ud83d\\ude00", "output": false}]}')
    assert parsed.source == "def evaluate(r): return True"
    assert [case.input for case in parsed.cases] == [None, "😀"]
    assert parsed.cases[0].problem == "the input holds half a character (a lone surrogate)"
    parsed = parse_verifier('{"func": "def evaluate(r): return \'\\udc00\'", "cases": []}')
    assert parsed.problem == 'the text under "func" holds half a character (a lone surrogate)'


def test_candidates_with_half_a_character_are_rows():
    frame = completions(
        {"instruction_id": "i1", "raw": HALF + "]}"},
        {"instruction_id": "i2", "raw": json.dumps({"func": SOURCE, "cases": []})},
        instruction_id=pl.String,
    )
    candidates, cases = parse_candidates(frame, static_check, canonical_source)
    assert candidates["status"].to_list() == ["accepted", "accepted"]
    assert cases["reason"].to_list() == ["unparsed"]


@pytest.mark.parametrize(
    "text",
    ['{"score": %s}' % ("9" * 400), '{"score": 1e999}', '{"score": NaN}', '{"score": "1e999"}'],
)
def test_a_score_out_of_all_bounds_is_none(text):
    assert parse_score(text) is None


def test_nul_is_text():
    assert parse_json('{"a": "x\\u0000y"}') == {"a": "x\0y"}


def deep(depth):
    value = "x"
    for _ in range(depth):
        value = [value]
    return value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud83d"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("\udc00"), inner),
)


@given(json_values | st.integers(0, 200).map(deep))
def test_what_the_sanitiser_lets_through_any_table_holds(value):
    def shown(value, depth=0):
        assert depth <= MAX_DEPTH
        if isinstance(value, list):
            return [shown(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: shown(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Unreadable):
            return value.why
        if isinstance(value, int) and not isinstance(value, bool):
            pl.Series([value], dtype=pl.Int64)
        return value

    json.dumps(shown(readable(value)), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [2**70, -1, True, 1.5, "3", None, [], 10**10 + 1])
def test_counts_are_bounded_or_unknown(value):
    assert count(value) is None


def read(frame, may_lose=0.2):
    return read_row_by_row(may_lose, whole_numbers, frame)


def whole_numbers(frame):
    lengths = [10 // int(raw) if ok else None for raw, ok in zip(*usable_raws(frame), strict=True)]
    return frame.with_columns(n=pl.Series(lengths, dtype=pl.Int64))


def usable_raws(frame):
    bad = frame.select(pl.any_horizontal(unusable().values())).to_series()
    return frame["raw"], ~bad


def answers(*raws):
    rows = [
        {"call_id": f"c{n}", "sample": 0, "raw": raw, "finish_reason": "stop"}
        for n, raw in enumerate(raws)
    ]
    return pl.DataFrame(rows, schema=COMPLETION_SCHEMA)


def test_a_row_that_raises_is_kept_apart_with_what_it_raised():
    frame = read(answers("2", "x", "5", "0", *["1"] * 20))
    assert frame["n"].to_list()[:4] == [5, None, 2, None]
    assert frame["raw"].to_list()[:4] == ["2", "x", "5", "0"]
    assert frame["error"][1].startswith("unreadable: ValueError: invalid literal")
    assert frame["error"][3].startswith("unreadable: ZeroDivisionError")
    rejected = parse_responses(
        frame.drop("n").with_columns(prompt_id=pl.lit("p"), instruction_id=pl.lit("i"))
    )
    assert rejected["reason"].to_list()[:4] == [None, "unreadable", None, "unreadable"]
    assert rejected["detail"][1].startswith("unreadable: ValueError")


def test_a_few_are_never_too_many_and_more_stop_the_stage():
    assert read(answers("x", "0"))["n"].to_list() == [None, None]
    with pytest.raises(UnreadableRows, match=r"Of 10 answers more than 20% .*\(unreadable: Val"):
        read(answers(*"xxxxx", *"11111"))
    assert read(answers(*"xxxxx", *"11111"), may_lose=0.5)["n"].drop_nulls().len() == 5


def test_a_reader_that_fails_on_no_row_alone_fails():
    def broken(frame):
        if frame.height != 1:
            raise RuntimeError("all")

    with pytest.raises(RuntimeError, match="all"):
        read_row_by_row(0.2, broken, answers("1", "2"))
