"""Families about words that must, may or must not occur, and how often."""

from itertools import pairwise

from autoif_assets.simulator.constraints import COMPARE, Family, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import few, keyword, relation
from autoif_assets.simulator.families.measures import count_word, plain_words

_FIND = r'hits = re.findall(r"(?<!\w)" + re.escape($word) + r"(?!\w)", response.lower())'


def _times(draft: Draft, values: Values) -> str:
    spare = draft.limited(lambda word: word != values["word"])
    text = spare.body()
    for _ in range(draft.many(values)):
        text = draft.insert(text, values["word"])
    return text


def _with(draft: Draft, *wanted: str) -> str:
    text = draft.limited(lambda word: word not in wanted).body()
    for word in wanted:
        text = draft.insert(text, word)
    return text


def _repeat_free(text: str) -> bool:
    found = plain_words(text)
    return all(a != b for a, b in pairwise(found))


def _no_repeats(draft: Draft, values: Values) -> str:
    text = draft.body()
    while not _repeat_free(text):
        text = draft.body()
    return text


FAMILIES = (
    Family(
        "include_word",
        "keywords",
        {"word": keyword},
        (
            "Mention the word {word} somewhere in the response.",
            "Include the word {word} in your answer.",
            "Use the word {word} at least once.",
            "The word {word} must appear in the text.",
        ),
        (r"(?:word~|keyword~|term~)?@word(?:~at least 1 times)?", r"word~@word~somewhere"),
        lambda text, p: count_word(text, p["word"]) >= 1,
        lambda d, p: _with(d, p["word"]),
        (
            _FIND + "\nreturn len(hits) > 0",
            'padded = " " + re.sub(r"\\W+", " ", response.lower()) + " "\n'
            'return " " + $word + " " in padded',
        ),
        buggy=("return $word.upper() in response",),
        siblings=("exclude_word", "word_in_last_sentence"),
    ),
    Family(
        "exclude_word",
        "keywords",
        {"word": keyword},
        (
            "Do not use the word {word}.",
            "Avoid the word {word} altogether.",
            "Never mention the word {word}.",
            "Write your answer without the word {word}.",
        ),
        (r"NOT~(?:word~|term~)?@word",),
        lambda text, p: count_word(text, p["word"]) == 0,
        lambda d, p: d.limited(lambda word: word != p["word"]).body(),
        (
            _FIND + "\nreturn not hits",
            _FIND + "\nreturn len(hits) == 0",
        ),
        buggy=("return $word not in response.split()",),
        siblings=("include_word",),
        opposite=lambda p: ("include_word", {"word": p["word"]}),
    ),
    Family(
        "word_times",
        "keywords",
        {"word": keyword, "rel": relation, "n": few},
        (
            "Use the word {word} {rel} {n} times.",
            "Say the word {word} {rel} {n} times.",
            "The word {word} must occur {rel} {n} times in your answer.",
            "Mention {word} {rel} {n} times.",
        ),
        (r"(?:word~|term~)?@word~(?:@rel~)?@n times",),
        lambda text, p: COMPARE[p["rel"]](count_word(text, p["word"]), p["n"]),
        _times,
        (
            _FIND + "\nreturn len(hits) $rel $n",
            'pattern = re.compile(r"(?<!\\w)" + re.escape($word) + r"(?!\\w)", re.IGNORECASE)\n'
            "total = sum(1 for _ in pattern.finditer(response))\nreturn total $rel $n",
        ),
        buggy=("return response.count($word.title()) $rel $n",),
        siblings=("include_word",),
        valid=lambda p: not (p["rel"] == "at least" and p["n"] == 1),
    ),
    Family(
        "include_both",
        "keywords",
        {"first": keyword, "second": keyword},
        (
            "Include both {first} and {second} in the response.",
            "Use the words {first} and {second} in your answer.",
            "Both {first} and {second} must be mentioned.",
        ),
        (r"(?:both~)?(?:words~)?@first and(?: words?)? @second(?: mentioned)?",),
        lambda text, p: count_word(text, p["first"]) > 0 and count_word(text, p["second"]) > 0,
        lambda d, p: _with(d, p["first"], p["second"]),
        (
            'found = set(re.findall(r"\\w+", response.lower()))\n'
            "return $first in found and $second in found",
            'found = set(re.findall(r"\\w+", response.lower()))\nreturn {$first, $second} <= found',
        ),
        buggy=(
            'found = set(re.findall(r"\\w+", response.lower()))\n'
            "return $first in found or $second in found",
        ),
        siblings=("word_order",),
        valid=lambda p: p["first"] != p["second"] and (p["first"] + p["second"]).isalnum(),
        canonical=lambda p: dict(zip(p, sorted(p.values()), strict=True)),
    ),
    Family(
        "exclude_three",
        "keywords",
        {"a": keyword, "b": keyword, "c": keyword},
        (
            "Avoid the words {a}, {b} and {c} altogether.",
            "Do not use any of the words {a}, {b} and {c}.",
            "Never use the words {a}, {b} or {c}.",
        ),
        (r"NOT~(?:of~)?words~@a @b (?:and|or) @c",),
        lambda text, p: all(count_word(text, p[key]) == 0 for key in "abc"),
        lambda d, p: d.limited(lambda word: word not in p.values()).body(),
        (
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return not any(word in tokens for word in ($a, $b, $c))",
            'banned = {$a, $b, $c}\nreturn banned.isdisjoint(re.findall(r"\\w+", '
            "response.lower()))",
        ),
        siblings=("exclude_word",),
        opposite=lambda p: ("include_word", {"word": p["a"]}),
        valid=lambda p: len(set(p.values())) == 3 and all(word.isalnum() for word in p.values()),
        canonical=lambda p: dict(zip(p, sorted(p.values()), strict=True)),
    ),
    Family(
        "no_double_word",
        "repetition",
        {},
        (
            "Do not use the same word twice in a row.",
            "Never repeat a word directly after itself.",
            "Avoid using the same word two times in a row.",
        ),
        (r"NOT~same word~2 times~row", r"NOT~repeat~word directly after itself"),
        lambda text, p: _repeat_free(text),
        _no_repeats,
        (
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return all(a != b for a, b in zip(tokens, tokens[1:]))",
            'tokens = re.findall(r"\\w+", response.lower())\nfor i in range(1, len(tokens)):\n'
            "    if tokens[i] == tokens[i - 1]:\n        return False\nreturn True",
        ),
        siblings=("unique_words",),
    ),
    Family(
        "unique_words",
        "repetition",
        {},
        (
            "Use no word more than once.",
            "Do not repeat any word in the whole answer.",
            "Never use the same word again.",
        ),
        (
            r"NOT~word~(?:more than once|at least 2 times|more than 1 times)",
            r"NOT~repeat~words?",
            r"NOT~same word again",
        ),
        lambda text, p: len(set(plain_words(text))) == len(plain_words(text)),
        lambda d, p: (
            " ".join(dict.fromkeys(d.sentence(12, end="").lower().split())).capitalize() + "."
        ),
        (
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return len(tokens) == len(set(tokens))",
            'seen = set()\nfor token in re.findall(r"\\w+", response.lower()):\n'
            "    if token in seen:\n        return False\n    seen.add(token)\nreturn True",
        ),
        siblings=("no_double_word",),
    ),
)
