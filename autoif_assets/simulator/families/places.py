"""Families about where a word stands."""

import re

from autoif_assets.simulator.constraints import Family, Number, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import keyword
from autoif_assets.simulator.families.measures import count_word, plain_words, sentences


def _in_order(draft: Draft, values: Values) -> str:
    spare = draft.limited(lambda word: word not in values.values())
    parts = spare.sentences(max(draft.size, 2))
    parts[0] = draft.insert(parts[0], values["first"], verbatim=True)
    parts[-1] = draft.insert(parts[-1], values["second"], verbatim=True)
    return " ".join(parts)


def _ordered(text: str, values: Values) -> bool:
    found = [
        re.search(rf"(?<!\w){re.escape(values[name].lower())}(?!\w)", text.lower())
        for name in ("first", "second")
    ]
    return found[0] is not None and found[1] is not None and found[0].start() < found[1].start()


def _each(draft: Draft, values: Values) -> str:
    spare = draft.limited(lambda word: word != values["word"])
    return " ".join(draft.insert(part, values["word"], verbatim=True) for part in spare.sentences())


FAMILIES = (
    Family(
        "word_order",
        "ordering",
        {"first": keyword, "second": keyword},
        (
            "Mention {first} before the first mention of {second}.",
            "Use the word {first} before the word {second}.",
            "Both words must occur, {first} before {second}.",
        ),
        (r"(?:both words~)?(?:word~)?@first before~(?:first mention~)?(?:word~)?@second",),
        _ordered,
        _in_order,
        (
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "if $first not in tokens or $second not in tokens:\n    return False\n"
            "return tokens.index($first) < tokens.index($second)",
            'one = re.search(r"\\b" + $first + r"\\b", response.lower())\n'
            'two = re.search(r"\\b" + $second + r"\\b", response.lower())\n'
            "return bool(one and two and one.start() < two.start())",
        ),
        siblings=("include_both",),
        valid=lambda p: p["first"] != p["second"] and (p["first"] + p["second"]).isalnum(),
    ),
    Family(
        "word_in_last_sentence",
        "position",
        {"word": keyword},
        (
            "Use the word {word} in the last sentence.",
            "The last sentence must contain the word {word}.",
            "Let the final sentence mention {word}.",
        ),
        (
            r"(?:word~)?@word~(?:last|final) sentence",
            r"(?:last|final) sentence~(?:word~)?@word",
        ),
        lambda text, p: count_word((sentences(text) or [""])[-1], p["word"]) > 0,
        lambda d, p: f"{d.body()} {d.insert(d.sentence(), p['word'], verbatim=True)}",
        (
            'parts = [s for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            'last = parts[-1].lower() if parts else ""\n'
            'return re.search(r"(?<!\\w)" + re.escape($word) + r"(?!\\w)", last) is not None',
        ),
        siblings=("include_word",),
    ),
    Family(
        "word_in_every_sentence",
        "repetition",
        {"word": keyword},
        (
            "Use the word {word} in every sentence.",
            "Every sentence must contain the word {word}.",
            "Repeat the word {word} in each sentence.",
        ),
        (
            r"(?:repeat~)?(?:word~)?@word~(?:every|each) sentence",
            r"(?:every|each) sentence~(?:word~)?@word",
        ),
        lambda text, p: all(count_word(part, p["word"]) > 0 for part in sentences(text)),
        _each,
        (
            'parts = [s.lower() for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            'wanted = re.compile(r"(?<!\\w)" + re.escape($word) + r"(?!\\w)")\n'
            "return all(wanted.search(part) for part in parts)",
            'for part in re.split(r"[.!?]+", response.lower()):\n    if part.strip():\n'
            '        if not re.search(r"(?<!\\w)" + re.escape($word) + r"(?!\\w)", part):\n'
            "            return False\nreturn True",
        ),
        siblings=("include_word", "word_in_last_sentence"),
    ),
    Family(
        "nth_word",
        "position",
        {"n": Number(2, 6), "word": keyword},
        (
            "Make {word} word number {n} of the response.",
            "Word number {n} of your answer must be {word}.",
            "Put {word} as word number {n} of the text.",
        ),
        (
            r"@word~word number @n",
            r"word number @n~@word",
            r"@word~@n(?:st|nd|rd|th) word",
            r"@n(?:st|nd|rd|th) word~@word",
        ),
        lambda text, p: plain_words(text)[p["n"] - 1 : p["n"]] == [p["word"]],
        lambda d, p: (
            " ".join([*d.clause(p["n"] - 1), p["word"], *d.clause(5)]).capitalize()
            + f". {d.body()}"
        ),
        (
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return len(tokens) >= $n and tokens[$n - 1] == $word",
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return tokens[:$n][$n - 1:] == [$word]",
        ),
        siblings=("include_word",),
        valid=lambda p: p["n"] >= 2 and p["word"].isalnum(),
    ),
)
