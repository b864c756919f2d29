"""Families about how long a text and its parts are."""

import re
from itertools import pairwise

from autoif_assets.simulator.constraints import COMPARE, Family, Number, Relation, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import bound, relation
from autoif_assets.simulator.families.measures import paragraphs, sentences, words


def _characters(draft: Draft, values: Values) -> str:
    if values["rel"] == "at most":
        text = draft.sentence()
        while len(text) > values["n"]:
            text = draft.sentence(draft.rng.randint(1, 4))
        while draft.rng.random() < 0.8:
            longer = f"{text} {draft.sentence()}"
            if len(longer) > values["n"]:
                break
            text = longer
        return text
    text = draft.body()
    while len(text) < values["n"]:
        text += " " + draft.sentence()
    return text


def _sentence_length(draft: Draft, values: Values) -> str:
    return " ".join(draft.sentence(draft.many(values)) for _ in range(max(draft.size, 2)))


def _paragraph_sentences(draft: Draft, values: Values) -> str:
    return "\n\n".join(draft.body(draft.many(values)) for _ in range(2))


def _short_words(text: str, values: Values) -> bool:
    return all(len(word) <= values["n"] for word in re.findall(r"[^\W\d_]+", text))


FAMILIES = (
    Family(
        "word_count",
        "length",
        {"rel": relation, "n": Number(20, 120, 5)},
        (
            "Write {rel} {n} words.",
            "Use {rel} {n} words in the whole response.",
            "Your answer must contain {rel} {n} words.",
            "Keep the response to {rel} {n} words in total.",
        ),
        (r"(?:@rel )?@n~words", r"@rel~@n words"),
        lambda text, p: COMPARE[p["rel"]](len(words(text)), p["n"]),
        lambda d, p: d.of_words(max(d.amount(p["rel"], p["n"]), 1)),
        (
            "words = response.split()\nreturn len(words) $rel $n",
            'count = len(re.findall(r"\\S+", response))\nreturn count $rel $n',
            "total = 0\nfor _ in response.split():\n    total += 1\nreturn total $rel $n",
        ),
        buggy=('return response.count(" ") $rel $n',),
        siblings=("character_count",),
    ),
    Family(
        "word_range",
        "length",
        {"low": Number(20, 60, 5), "high": Number(65, 120, 5)},
        (
            "Use between {low} and {high} words.",
            "The response must have between {low} and {high} words.",
            "Write an answer of {low} to {high} words.",
        ),
        (r"(?:between |from )?@low (?:and|to) @high~words",),
        lambda text, p: p["low"] <= len(words(text)) <= p["high"],
        lambda d, p: d.of_words(d.rng.randint(p["low"], max(p["low"], p["high"]))),
        (
            "return $low <= len(response.split()) <= $high",
            "size = len(response.split())\nreturn size >= $low and size <= $high",
        ),
        valid=lambda p: 0 < p["low"] < p["high"],
    ),
    Family(
        "sentence_count",
        "length",
        {"rel": relation, "n": Number(2, 9)},
        (
            "Answer in {rel} {n} sentences.",
            "Write {rel} {n} sentences.",
            "Your response should consist of {rel} {n} sentences.",
            "Make the answer {rel} {n} sentences long.",
        ),
        (r"(?:@rel )?@n~sentences?",),
        lambda text, p: COMPARE[p["rel"]](len(sentences(text)), p["n"]),
        lambda d, p: d.body(d.many(p)),
        (
            'sentences = [s for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            "return len(sentences) $rel $n",
            "count, inside = 0, False\nfor char in response:\n"
            '    if char in ".!?":\n        count += inside\n        inside = False\n'
            "    elif not char.isspace():\n        inside = True\n"
            "count += inside\nreturn count $rel $n",
            'pieces = re.sub(r"[!?]", ".", response).split(".")\n'
            "count = sum(1 for piece in pieces if piece.strip())\nreturn count $rel $n",
        ),
        buggy=('return response.count(". ") $rel $n',),
        siblings=("paragraph_count",),
    ),
    Family(
        "character_count",
        "length",
        {"rel": bound, "n": Number(120, 480, 20)},
        (
            "Write {rel} {n} characters.",
            "Keep the response to {rel} {n} characters, spaces included.",
            "The whole answer must have {rel} {n} characters.",
        ),
        (r"@rel~@n~characters",),
        lambda text, p: COMPARE[p["rel"]](len(text), p["n"]),
        _characters,
        (
            "return len(response) $rel $n",
            "size = sum(1 for _ in response)\nreturn size $rel $n",
        ),
        siblings=("word_count",),
    ),
    Family(
        "sentence_length",
        "length",
        {"rel": bound, "n": Number(4, 12)},
        (
            "Each sentence must have {rel} {n} words.",
            "Every sentence should contain {rel} {n} words.",
            "Write sentences of {rel} {n} words each.",
            "Let every sentence be {rel} {n} words long.",
        ),
        (
            r"(?:each|every|all) sentences?~@rel~@n~words(?: long| each)?",
            r"sentences~@rel~@n~words each",
        ),
        lambda text, p: all(COMPARE[p["rel"]](len(words(s)), p["n"]) for s in sentences(text)),
        _sentence_length,
        (
            'parts = [s for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            "return all(len(part.split()) $rel $n for part in parts)",
            'for part in re.split(r"[.!?]+", response):\n'
            "    if part.strip() and not len(part.split()) $rel $n:\n        return False\n"
            "return True",
        ),
        siblings=("sentence_count",),
    ),
    Family(
        "word_length",
        "length",
        {"n": Number(6, 10)},
        (
            "Do not use any word longer than {n} letters.",
            "Use only words of at most {n} letters.",
            "No word may have more than {n} letters.",
            "Every word must have at most {n} letters.",
        ),
        (
            r"NOT~words? longer than~@n~(?:letters|characters)",
            r"(?:only|every|each|all) words?~at most~@n~(?:letters|characters)",
            r"NOT~words?~at least (?P<more>\d+)~(?:letters|characters)",
        ),
        _short_words,
        lambda d, p: d.limited(lambda word: len(word) <= p["n"]).body(),
        (
            'tokens = re.findall(r"[^\\W\\d_]+", response)\n'
            "return all(len(token) <= $n for token in tokens)",
            "longest = max((len(token) for token in "
            're.findall(r"[^\\W\\d_]+", response)), default=0)\nreturn longest <= $n',
        ),
        opposite=lambda p: ("include_word", {"word": "responsibilities"}),
    ),
    Family(
        "paragraph_sentences",
        "length",
        {"rel": Relation(("at least", "at most")), "n": Number(2, 4)},
        (
            "Give each paragraph {rel} {n} sentences.",
            "Every paragraph must have {rel} {n} sentences.",
            "Let each paragraph hold {rel} {n} sentences.",
        ),
        (r"(?:each|every|all) paragraphs?~@rel~@n~sentences?",),
        lambda text, p: all(
            COMPARE[p["rel"]](len(sentences(part)), p["n"]) for part in paragraphs(text)
        ),
        _paragraph_sentences,
        (
            'for part in re.split(r"\\n\\s*\\n", response):\n    if not part.strip():\n'
            '        continue\n    found = [s for s in re.split(r"[.!?]+", part) if s.strip()]\n'
            "    if not len(found) $rel $n:\n        return False\nreturn True",
        ),
        siblings=("paragraph_count", "sentence_count"),
    ),
    Family(
        "paragraph_count",
        "structure",
        {"rel": relation, "n": Number(2, 5)},
        (
            "Write {rel} {n} paragraphs separated by blank lines.",
            "Answer in {rel} {n} paragraphs.",
            "Divide the response into {rel} {n} paragraphs with a blank line between them.",
        ),
        (r"(?:@rel )?@n~paragraphs?(?:~blank lines?(?: between(?: them)?)?)?",),
        lambda text, p: COMPARE[p["rel"]](len(paragraphs(text)), p["n"]),
        lambda d, p: "\n\n".join(d.body(2) for _ in range(d.many(p))),
        (
            'paragraphs = [p for p in re.split(r"\\n\\s*\\n", response) if p.strip()]\n'
            "return len(paragraphs) $rel $n",
            "count, inside = 0, False\nfor line in response.split(chr(10)):\n"
            "    if line.strip() and not inside:\n        count += 1\n"
            "    inside = bool(line.strip())\nreturn count $rel $n",
        ),
        buggy=('return response.count("\\n") $rel $n',),
        siblings=("sentence_count", "line_count"),
    ),
    Family(
        "line_count",
        "structure",
        {"rel": relation, "n": Number(3, 8)},
        (
            "Write {rel} {n} lines.",
            "Spread the answer over {rel} {n} lines.",
            "The response must have {rel} {n} lines, empty ones not counted.",
        ),
        (r"(?:@rel )?@n~lines?(?: empty ones not counted)?",),
        lambda text, p: COMPARE[p["rel"]](
            len([line for line in text.splitlines() if line.strip()]), p["n"]
        ),
        lambda d, p: "\n".join(d.sentences(d.many(p))),
        (
            "lines = [line for line in response.splitlines() if line.strip()]\n"
            "return len(lines) $rel $n",
            "count = sum(bool(line.strip()) for line in response.splitlines())\n"
            "return count $rel $n",
        ),
        siblings=("paragraph_count", "sentence_count"),
    ),
    Family(
        "growing_sentences",
        "ordering",
        {},
        (
            "Let each sentence contain more words than the one before it.",
            "Every sentence must have more words than the sentence before.",
            "Make each sentence longer, in words, than the previous one.",
        ),
        (
            r"(?:each|every) sentence~more words than~(?:1|sentence) before(?: it)?",
            r"(?:each|every) sentence~longer(?:~words)? than~(?:previous|last) (?:1|sentence)",
            r"(?:each|every) sentence~longer(?:~words)? than~(?:1|sentence) before(?: it)?",
        ),
        lambda text, p: all(len(words(a)) < len(words(b)) for a, b in pairwise(sentences(text))),
        lambda d, p: " ".join(d.sentence(3 + 2 * i) for i in range(max(min(d.size, 4), 2))),
        (
            'parts = [s for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            "sizes = [len(part.split()) for part in parts]\n"
            "return all(a < b for a, b in zip(sizes, sizes[1:]))",
            'last = 0\nfor part in re.split(r"[.!?]+", response):\n'
            "    size = len(part.split())\n    if size and size <= last:\n"
            "        return False\n    last = size or last\nreturn True",
        ),
        siblings=("shrinking_paragraphs",),
    ),
    Family(
        "shrinking_paragraphs",
        "ordering",
        {},
        (
            "Make every paragraph shorter than the paragraph before it.",
            "Each paragraph must be shorter than the previous one.",
            "Let every paragraph have fewer characters than the one before it.",
        ),
        (
            r"(?:each|every) paragraph~(?:shorter|fewer characters) than~"
            r"(?:(?:paragraph|1) before(?: it)?|previous (?:1|paragraph))",
        ),
        lambda text, p: all(len(a) > len(b) for a, b in pairwise(paragraphs(text))),
        lambda d, p: "\n\n".join(d.of_words(8 * k) for k in (4, 2, 1)),
        (
            'parts = [p.strip() for p in re.split(r"\\n\\s*\\n", response) if p.strip()]\n'
            "return all(len(a) > len(b) for a, b in zip(parts, parts[1:]))",
        ),
        siblings=("growing_sentences",),
        opposite=lambda p: ("paragraph_count", {"rel": "exactly", "n": 4}),
    ),
)
