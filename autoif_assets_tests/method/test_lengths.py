import json
from importlib.resources import files

import polars as pl
import pytest

from autoif_assets.method.lengths import balanced, constrains_length, follows_length

PACKAGED = files("autoif_assets.method") / "data" / "seed_instructions.jsonl"


def said(instruction, category=None):
    frame = pl.DataFrame({"i": [instruction], "c": [category]}, schema={"i": str, "c": str})
    return frame.select(constrains_length(pl.col("i"), pl.col("c"))).item()


@pytest.mark.parametrize(
    "instruction",
    [
        "Use no more than 75 words in the whole response.",
        "Answer in exactly four sentences.",
        "Stay within 280 characters, spaces included.",
        "Write a 3-paragraph answer.",
        "Answer in a single line.",
        "Use between 1,000 and 1,200 words.",
        "Be brief.",
        "Explain it in detail.",
        "Keep the answer shorter than the question.",
        "Answer in as few words as possible.",
        "Write a long essay.",
        "Be verbose.",
        "Antworte in wenigen Worten.",
        "Schreibe eine lange Antwort.",
        "Antworte umfangreich.",
        "Réponds en quelques mots.",
        "Réponds brièvement.",
        "Responde en pocas palabras.",
        "Responde con detalle.",
        "写一篇长文。",
        "一言で答えてください。",
        "できるだけ長く書いてください。",
        "간단하게 답하세요.",
        "Antworte in genau drei Sätzen.",
        "Schreibe höchstens 50 Wörter.",
        "Fasse dich kurz.",
        "Réponds en deux phrases.",
        "Écris un texte d'au plus 200 caractères.",
        "Sois bref.",
        "Responde en exactamente cuatro oraciones.",
        "Usa menos de 80 palabras.",
        "请用三句话回答。",
        "回答不超过100个字。",
        "请简短回答。",
        "3つの文で答えてください。",
        "200文字以内で書いてください。",
        "세 문장으로 대답하세요.",
        "짧게 대답하세요.",
    ],
)
def test_instructions_about_length_are_known_by_their_words(instruction):
    assert said(instruction)


@pytest.mark.parametrize(
    "instruction",
    [
        'Use the word "because" at least three times.',
        'Use at least five words that begin with the letter "m".',
        "Include at least two words written entirely in capitals.",
        "Write everything in lowercase.",
        "Do not use any commas.",
        "Arrange the lines of the answer in alphabetical order.",
        "Verwende kein Komma.",
        "Nenne mindestens fünf Wörter, die mit m beginnen.",
        "N'utilise pas de virgule dans la réponse.",
        "Cite au moins cinq mots qui commencent par m.",
        "No uses comas en la respuesta.",
        "不要使用逗号。",
        "「春」という漢字を使ってください。",
        "쉼표를 쓰지 마세요.",
        "",
    ],
)
def test_other_counts_are_not_about_length(instruction):
    assert said(instruction) is False
    assert said(instruction, "length")


@pytest.mark.parametrize("instruction", ["Отвечай тремя предложениями.", "Odpowiedz krótko."])
def test_of_other_languages_nothing_is_known_by_words(instruction):
    assert said(instruction) is None
    assert said(instruction, "length")


def lengths_of(**lengths):
    rows = [(name, one) for name, many in lengths.items() for one in many]
    return pl.DataFrame(rows, schema=["instruction_id", "length"], orient="row")


def test_what_fails_by_its_length_alone_is_about_length():
    passing = lengths_of(
        at_most=range(10, 18),
        between=range(50, 60),
        other=range(10, 100, 10),
        few=range(7),
        sure=range(8),
    )
    failing = lengths_of(
        at_most=[18, 30, 40, 50, 60, 70, 80, 90, 100, 11],
        between=[1, 2, 70, 80],
        other=[5, 30, 50, 200],
        few=[10] * 9,
        sure=[10] * 3,
    )
    found = dict(follows_length(passing, failing).iter_rows())
    assert found == {
        **dict.fromkeys(("at_most", "between"), True),
        **dict.fromkeys(("other", "few", "sure"), False),
    }


def test_most_packaged_instructions_of_the_category_are_known_without_it():
    rows = [json.loads(line) for line in PACKAGED.read_text("utf-8").splitlines()]
    texts = {row["instruction"]: row["category"] for row in rows}
    found = {text for text in texts if said(text)}
    length = {text for text, category in texts.items() if category == "length"}
    assert length - found == {"Do not use any word longer than ten letters."} - found
    assert len(found - length) < len(texts) / 6


def test_of_many_only_the_first_twelve_are_looked_at():
    lengths = [100] * 12 + [1]
    assert list(balanced([("p", lengths, [1], (1, 1))])) == [("p", (0,), (0,))]


def test_those_with_the_fewest_ways_come_first():
    prompts = [("free", [5, 15], [5], (1, 1)), ("bound", [10], [20], (1, 1))]
    assert list(balanced(prompts)) == [("bound", (0,), (0,)), ("free", (1,), (0,))]
