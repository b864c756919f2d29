"""The comparison of prompts: its variants, how answers are scored, and its command."""

import itertools
import json
import re
import shlex
import sys
from pathlib import Path

import polars as pl
import pytest

from autoif_assets.method.ids import content_id
from autoif_assets.method.recipe import make_recipe
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.benchmarks.prompts import judging, verifying
from autoif_assets_tests.benchmarks.prompts.__main__ import main
from autoif_assets_tests.benchmarks.prompts.asking import ANSWERS
from autoif_assets_tests.benchmarks.prompts.intervals import NUMBER, PERCENT, Draws, shown
from autoif_assets_tests.benchmarks.prompts.variants import JUDGES, VERIFIERS, packaged
from autoif_assets_tests.recorded.recording import clear_texts, outcomes_of, packaged_seeds
from autoif_assets_tests.recorded.reference import REFERENCES

AUDITED = make_recipe("audited")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "prompts.md"
linux = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
named = {"argvalues": (*VERIFIERS, *JUDGES), "ids": lambda variant: variant.name}


# The variants


@pytest.mark.parametrize("variants", [VERIFIERS, JUDGES], ids=["verifiers", "judges"])
def test_the_packaged_prompt_is_one_of_the_variants(variants):
    """Where it was changed, the template in parts must follow, or nothing is compared with it."""
    assert [variant.name for variant in variants if variant.is_packaged] == [
        packaged(variants).name
    ]
    assert len({variant.name for variant in variants}) == len(variants)
    asked = {(variant.template, variant.corrects) for variant in variants}
    assert len(asked) == len(variants)


@pytest.mark.parametrize("variant", **named)
def test_examples_are_answers_as_the_schema_wants_them(variant):
    lines = variant.template.splitlines()
    shown_answers = [json.loads(line) for line in lines if line.startswith('{"')]
    assert shown_answers
    for answer in shown_answers:
        assert tuple(answer) == variant.order == tuple(variant.schema["properties"])
    assert variant.schema["required"] == list(variant.order)


@pytest.mark.parametrize("variant", **named)
def test_what_differs_between_rows_comes_last(variant):
    texts = {name: f"the {name} <of> 'this' row" for name in variant.prompt.variables}
    texts |= {"modules": ""} if "modules" in texts else {}
    head = variant.template.partition("{{ instruction }}")[0].replace("{{ modules }}", "")
    prompt = variant.render(**texts)
    assert prompt.startswith(head)
    assert all(text in prompt[len(head) :] for text in texts.values())


@linux
def test_no_example_gives_away_what_is_measured():
    instructions = pl.DataFrame(
        [(content_id("i", text), text) for text in packaged_seeds()["instruction"]],
        schema=["instruction_id", "instruction"],
        orient="row",
    )
    texts = clear_texts(instructions)
    lines = packaged(VERIFIERS).template.splitlines()
    functions = pl.DataFrame(
        [(str(n), json.loads(line)["func"]) for n, line in enumerate(lines) if line[:2] == '{"'],
        schema=["verifier_id", "source"],
        orient="row",
    )
    assert functions.height == 2
    every = functions.join(instructions.select("instruction_id"), how="cross")
    outcomes = outcomes_of(
        every.with_columns(verifier_id=pl.concat_str("verifier_id", "instruction_id")), texts
    ).join(texts.select("input_id", "obeys"), on="input_id")
    right = (pl.col("outcome") == "pass") == pl.col("obeys")
    assert outcomes["verifier_id"].n_unique() == every.height
    assert outcomes.group_by("verifier_id").agg(right.all()).filter("outcome").is_empty()


# Scoring


SEED = 'Do not use the word "very".'
RIGHT = (
    "import re\n\ndef evaluate(response):\n    return not re.search(r'\\bvery\\b', response, re.I)"
)
WRONG = "def evaluate(response):\n    return True"
RAISES = "def evaluate(response):\n    return response.nothing"
UNLOADED = "words = {}['none']\n\ndef evaluate(response):\n    return True"
BROKEN = "def evaluate(response)\n    return True"
CASES = [
    {"input": "A fine day.", "output": True},
    {"input": "A very fine day.", "output": True},
    {"input": "It was very-good.", "output": False},  # not clear
]


def answer_of(source, cases=CASES):
    return json.dumps({"func": source, "cases": cases})


def answers_of(raws, variant="two examples", **columns):
    """Answers to the same instruction."""
    rows = [
        {
            "variant": variant,
            "instruction_id": "i",
            "instruction": SEED,
            "call_id": "c",
            "sample": number,
            "raw": raw,
            "finish_reason": "stop",
            "tokens": 100.0,
            **columns,
        }
        for number, raw in enumerate(raws)
    ]
    keys = dict.fromkeys(("variant", "instruction_id", "instruction"), pl.String)
    return pl.DataFrame(rows, schema={**keys, **ANSWERS})


@linux
def test_answers_are_held_against_the_reference_checkers():
    raws = [*map(answer_of, (RIGHT, WRONG, RAISES, UNLOADED, BROKEN, RIGHT)), "I cannot."]
    judged = verifying.judge_answers(answers_of(raws))
    assert judged.select("parses", "compiles", "right").rows() == [
        (True, True, True),
        (True, True, False),
        (True, True, False),
        (True, False, False),
        (True, False, False),
        (True, True, True),  # a second one is as good as the first
        (False, False, False),
    ]
    assert judged.select("cases", "cases_right").rows() == [*[(2, 1)] * 6, (0, 0)]
    assert judged["tokens"].to_list() == [100.0] * 7


@linux
def test_what_is_cut_off_is_the_models_and_what_fails_is_not():
    cut = answers_of([answer_of(RIGHT)[:40]], finish_reason="length")
    refused = answers_of([None], finish_reason=None, error="http 500")
    aborted = answers_of(["Half"], finish_reason="abort")
    several = pl.concat([cut, refused, aborted]).with_columns(
        sample=pl.int_range(3, dtype=pl.Int64)
    )
    assert verifying.judge_answers(several).select("parses", "tokens").rows() == [(False, 100.0)]


@linux
def test_problems_are_those_that_the_model_could_see_itself():
    raws = [answer_of(source) for source in (RIGHT, WRONG, RAISES, UNLOADED, BROKEN)]
    raws += [answer_of(UNLOADED, []), "I cannot."]
    problems = verifying.problems_of(answers_of(raws))
    assert sorted(problems) == [2, 3, 4, 5, 6]
    assert "AttributeError" in problems[2]
    assert "KeyError" in problems[3]
    assert "KeyError" in problems[5]
    assert "syntax_error" in problems[4]
    assert problems[6] == "no function can be read in it."
    cut = verifying.problems_of(answers_of(["{"], finish_reason="length"))
    assert cut == {0: "it is longer than an answer may be."}
    assert verifying.problems_of(answers_of([None], error="http 500")) == {}


class Canned:
    """Answers every request by a function of it."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def ask(self, requests):
        self.asked.append(list(requests))
        rows = [
            ("call", number, self.answer(request), None, "stop", None, 10.0)
            for number, request in enumerate(requests)
        ]
        return pl.DataFrame(rows, schema=ANSWERS, orient="row")


@linux
def test_what_cannot_be_used_is_sent_back_once():
    def answer(request):
        if request.context:
            return answer_of(RIGHT)
        return answer_of(BROKEN if request.seed % 2 else WRONG)

    asker = Canned(answer)
    instructions = pl.DataFrame({"instruction_id": ["i"], "instruction": [SEED]})
    answers = verifying.ask_variants(asker, instructions, VERIFIERS, 8, AUDITED, 1)
    first, second = asker.asked
    broken = sum(request.seed % 2 for request in first[:8])
    assert len(first) == 8 * len(VERIFIERS)
    assert len(second) == broken > 0
    assert "syntax_error" in second[0].prompt
    assert [message["content"] for message in second[0].context] == [
        packaged(VERIFIERS).render(instruction=SEED),
        answer_of(BROKEN),
    ]
    judged = verifying.judge_answers(answers)
    table = verifying.verifier_table(judged, VERIFIERS)
    shares = {row[0]: row for row in table}
    assert shares["two examples (packaged)"][3].startswith("0 %")
    assert shares["corrected"][3].startswith(f"{100 * broken / 8:.0f} %")
    assert shares["corrected"][4].startswith(f"{100 * broken / 8:+.0f} ")
    corrected = judged.filter(variant="corrected")
    assert corrected["tokens"].sum() == 10 * (8 + broken)


def test_instructions_are_spread_and_drawn_alike():
    drawn = verifying.sampled_instructions(24, 3, AUDITED)
    assert drawn.equals(verifying.sampled_instructions(24, 3, AUDITED))
    assert drawn["instruction"].n_unique() == 24
    counts = drawn["category"].value_counts()["count"]
    assert counts.max() - counts.min() <= 1
    assert drawn["category"].n_unique() == packaged_seeds()["category"].n_unique()
    # A larger sample holds a smaller one, whose answers are in the journal.
    assert verifying.sampled_instructions(5, 3, AUDITED).equals(drawn.head(5))
    assert set(verifying.sampled_instructions(100, 0, AUDITED)["instruction"]) <= set(REFERENCES)


# Judges


def responses(prompts=6, each=3):
    return pl.DataFrame(
        [
            (f"p{p}", "Use no commas.", f"query {p // 2}", f"response {p}.{n}")
            for p in range(prompts)
            for n in range(each)
        ],
        schema=["prompt_id", "instruction", "query", "response"],
        orient="row",
    )


def test_every_response_is_judged_beside_its_own_query_and_another():
    asked = judging.judgements(responses(), 8, 0)
    own, other = (asked.filter(beside=beside) for beside in (judging.OWN, judging.OTHER))
    assert own.height == other.height == 8
    assert own["prompt_id"].n_unique() == 6
    assert own["response"].n_unique() == 8
    known = dict(responses().select("response", "query").iter_rows())
    assert [known[text] for text in own["response"]] == own["query"].to_list()
    # Two prompts may have one query in common.
    assert all(known[text] != query for text, query in other.select("response", "query").rows())


def test_judges_are_told_by_what_they_say():
    asked = judging.judgements(responses(), 6, 0)

    def answer(request):
        said = request.prompt.rpartition("[Query] ")[2]
        query, response = re.search(r"query (\d).*response (\d)", said, re.DOTALL).groups()
        answers = int(response) // 2 == int(query)
        if "editor" in request.prompt:
            return "It is hard to say."
        if "criteria" in request.prompt:
            return '{"reason": "", "answers": true, "score": 8}'
        return json.dumps({"score": 9 if answers else 2})

    answers = judging.ask_judges(Canned(answer), asked, JUDGES, AUDITED, 0)
    scores = judging.read_scores(answers, AUDITED)
    rows = {row[0]: row[1:] for row in judging.judge_table(scores, JUDGES)}
    assert rows["answer last (packaged)"] == (
        *("1.00 (1.00 to 1.00)", "", "100 % (100 to 100)", "0 % (0 to 0)"),
        *("0 % (0 to 0)", "10 (10 to 10)"),
    )
    assert rows["score alone"][1] == "+0.00 (+0.00 to +0.00)"
    assert rows["with criteria"][0] == "0.50 (0.50 to 0.50)"
    assert rows["with criteria"][1] == "-0.50 (-0.50 to -0.50)"
    assert rows["with criteria"][3] == "100 % (100 to 100)"
    assert rows["a persona"][0] == "–"
    assert rows["a persona"][4] == "100 % (100 to 100)"


def test_what_the_server_failed_at_is_no_judgement():
    asked = judging.judgements(responses(), 6, 0)
    answers = judging.ask_judges(Canned(lambda _: '{"score": 9}'), asked, JUDGES[:1], AUDITED, 0)
    failed = pl.col("sample") < 4
    answers = answers.with_columns(
        raw=pl.when(~failed).then("raw"), error=pl.when(failed).then(pl.lit("http 500"))
    )
    assert judging.read_scores(answers, AUDITED).height == answers.height - 4


def test_the_recorded_responses_are_read(shared_data):
    found = judging.recorded_responses(shared_data)
    assert found["prompt_id"].n_unique() == 20
    assert found.height == 68
    assert judging.recorded_responses(shared_data / "elsewhere") is None


# Intervals


def test_an_interval_is_that_of_units_drawn():
    draws = Draws(4)
    equal = draws.share([1, 2, 3, 4], [2, 4, 6, 8])
    assert shown(equal, PERCENT) == "50 % (50 to 50)"
    # All of a unit's answers are alike: as good as four answers, however many there are.
    alike = draws.share([100, 100, 0, 0], [100, 100, 100, 100])
    assert shown(alike, PERCENT) == "50 % (0 to 100)"
    assert shown(alike - alike, PERCENT) == "0 % (0 to 0)"


def test_a_cost_without_anything_right_is_infinite():
    draws = Draws(3)
    assert shown(draws.share([50, 50, 50], [0, 0, 0]), NUMBER) == "∞ (∞ to ∞)"
    assert shown(draws.share([50, 50, 50], [1, 0, 0]), NUMBER).startswith("150 (")
    assert shown(draws.share([float("nan"), 50, 50], [1, 1, 1]), NUMBER) == "–"


def test_an_auc_counts_pairs_over_all_units():
    good, bad = [[9.0], [5.0, 9.0], []], [[1.0], [5.0], [9.0]]
    auc = Draws(3).auc(good, bad)
    pairs = [(g, b) for g in (9, 5, 9) for b in (1, 5, 9)]
    expected = sum((g > b) + (g == b) / 2 for g, b in pairs) / len(pairs)
    assert auc[0] == pytest.approx(expected)


# The command


def doc_command():
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if "prompts" in line]
    return shlex.split(next(line for line in commands if line.startswith("python -m")))


def names_in(text, columns):
    """The first cells of the table with these columns."""
    _, _, rest = text.partition(f"| {' | '.join(columns)} |\n")
    rows = itertools.takewhile(lambda line: line.startswith("|"), rest.splitlines()[1:])
    return [row.removeprefix("| ").split(" | ")[0] for row in rows]


def run(arguments, capsys):
    main(arguments)
    return capsys.readouterr().out


@linux
@pytest.mark.slow
def test_the_pages_command_prints_a_row_for_each_variant(tmp_path, capsys, shared_data):
    program, flag, module, *options = doc_command()
    assert [program, flag] == ["python", "-m"]
    assert module == main.__module__.removesuffix(".__main__")
    tiny = {"--instructions": "3", "--samples": "1", "--responses": "2"}
    with Simulator(SimulatorSettings()) as simulator:
        tiny |= {"--base-url": simulator.base_url, "--model": simulator.settings.model}
        tiny |= {"--journal": str(tmp_path)}
        names = options[::2]
        given = {**dict(zip(names, options[1::2], strict=True)), **tiny}
        arguments = [word for pair in given.items() for word in pair]
        printed = run(arguments, capsys)
        asked = simulator.stats()["served"]
        assert run(arguments, capsys) == printed
        # The journal has it all.
        assert simulator.stats()["served"] == asked
    # Corrections come on top.
    assert asked >= 3 * (len(VERIFIERS) - 1) + 2 * 2 * len(JUDGES)

    for columns, variants in ((verifying.COLUMNS, VERIFIERS), (judging.COLUMNS, JUDGES)):
        assert names_in(printed, columns) == [
            f"{variant.name} (packaged)" if variant.is_packaged else variant.name
            for variant in variants
        ]


def test_the_page_knows_the_variants():
    page = PAGE.read_text("utf-8")
    verifiers, judges = page.split("\n## Judges\n")
    for part, columns, variants in (
        (verifiers, verifying.COLUMNS, VERIFIERS),
        (judges, judging.COLUMNS, JUDGES),
    ):
        names = [variant.name for variant in variants]
        assert names_in(part, ("variant", "what is different")) == names
        measured = [name.removesuffix(" (packaged)") for name in names_in(part, columns)]
        assert set(measured) <= set(names)


@linux
def test_what_a_real_batch_got_is_scored_without_a_model(shared_data, capsys):
    printed = run(["--recorded"], capsys).splitlines()
    assert printed[0] == "Verifiers as recorded: 20 instructions, 120 answers"
    name, *shares = printed[4].split(" | ")
    assert name == "| two examples (packaged)"
    # As test_recording.py counts them: of 120 one is cut off and 10 are no Python.
    assert [share.partition(" ")[0] for share in shares[:3]] == ["99", "91", "31"]


@pytest.mark.slow
def test_what_keeps_the_model_from_answering_is_told(tmp_path):
    with Simulator(SimulatorSettings()) as simulator:
        arguments = ["--base-url", simulator.base_url, "--model", "another"]
        with pytest.raises(SystemExit, match=r"another.*What was answered is kept in"):
            main([*arguments, "--journal", str(tmp_path)])


def test_judges_are_left_out_where_there_are_no_responses(tmp_path, capsys):
    arguments = ["--model", "m", "--journal", str(tmp_path), "--instructions", "0"]
    printed = run([*arguments, "--data", str(tmp_path)], capsys)
    assert printed.startswith("Judges: left out")
