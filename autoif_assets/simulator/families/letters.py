"""Families about letters, casing and scripts."""

import re

from autoif_assets.simulator.constraints import COMPARE, Family, Number, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import any_letter, bound, common_letter, few, relation
from autoif_assets.simulator.families.measures import sentences, words

_CAPITAL_WORD = re.compile(r"\b[A-Z]{2,}\b")


def _letter_times(draft: Draft, values: Values) -> str:
    letter, number = values["letter"], values["n"]
    if values["rel"] == "at least":
        text = draft.body()
        while text.lower().count(letter) < number:
            # A sentence need not hold a rare letter, however many are added.
            text = draft.insert(f"{text} {draft.sentence()}", f"{letter}-word")
        return text
    text = draft.limited(lambda word: letter not in word).body()
    wanted = draft.amount(values["rel"], number)
    for word in [word for word in draft.nouns if word.count(letter) == 1] * wanted:
        if text.lower().count(letter) >= wanted:
            break
        text = draft.insert(text, word)
    return text


def _starting(draft: Draft, values: Values) -> str:
    letter = values["letter"]
    spare = draft.limited(lambda word: not word.startswith(letter))
    text = spare.body()
    found = [w for w in draft.nouns + draft.verbs + draft.adjectives if w.startswith(letter)]
    for _ in range(draft.many(values)):
        text = draft.insert(text, draft.rng.choice(found or [f"{letter}-word"]))
    return text


def _initials(text: str, letter: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(letter)}", text.lower()))


def _shouted(draft: Draft, values: Values) -> str:
    text = draft.body()
    for _ in range(draft.many(values)):
        text = draft.insert(text, draft.rng.choice(draft.nouns).upper())
    return text


def _capitals(draft: Draft, values: Values) -> str:
    wanted = draft.many(values)
    text = " ".join(draft.clause(8 + 6 * draft.size // 2))
    pieces = text.split(" ")
    while sum(map(str.isupper, "".join(pieces))) < wanted:
        # Words have one capital each: where more are wanted than there are words, more are added.
        if all(piece[:1].isupper() for piece in pieces):
            pieces += draft.clause(8)
        place = draft.rng.randrange(len(pieces))
        pieces[place] = pieces[place].capitalize()
    return " ".join(pieces) + "."


def _vowel_start(draft: Draft, values: Values) -> str:
    starts = ["any", "every", "each", "as", "in", "our", "all"]
    return " ".join(
        f"{draft.rng.choice(starts).capitalize()} {part[0].lower()}{part[1:]}"
        for part in draft.sentences()
    )


FAMILIES = (
    Family(
        "no_letter",
        "letters",
        {"letter": any_letter},
        (
            "Do not use the letter {letter} anywhere.",
            "Avoid the letter {letter} in your answer.",
            "Write the response without the letter {letter}.",
            "Use no words that contain the letter {letter}.",
        ),
        (
            r"NOT~letter @letter(?: anywhere)?",
            r"NOT~words~letter @letter",
        ),
        lambda text, p: p["letter"] not in text.lower(),
        lambda d, p: d.limited(lambda word: p["letter"] not in word).body(),
        (
            "return $letter not in response.lower()",
            "return all(char.lower() != $letter for char in response)",
            "return response.lower().count($letter) == 0",
        ),
        buggy=("return not any(w.startswith($letter) for w in response.lower().split())",),
        siblings=("letter_times",),
    ),
    Family(
        "letter_times",
        "letters",
        {"letter": common_letter, "rel": bound, "n": Number(10, 30, 2)},
        (
            "Make sure the letter {letter} occurs {rel} {n} times.",
            "Use the letter {letter} {rel} {n} times.",
            "The letter {letter} must appear {rel} {n} times.",
        ),
        (r"letter @letter~@rel~@n times",),
        lambda text, p: COMPARE[p["rel"]](text.lower().count(p["letter"]), p["n"]),
        _letter_times,
        (
            "return response.lower().count($letter) $rel $n",
            "count = sum(1 for char in response if char.lower() == $letter)\nreturn count $rel $n",
        ),
        siblings=("no_letter",),
    ),
    Family(
        "initial_letter",
        "letters",
        {"letter": common_letter, "rel": bound, "n": few},
        (
            "Use {rel} {n} words that begin with the letter {letter}.",
            "Include {rel} {n} words starting with the letter {letter}.",
            "The response must contain {rel} {n} words that start with {letter}.",
        ),
        (r"@rel~@n~words?~(?:START)~(?:letter~)?@letter",),
        lambda text, p: COMPARE[p["rel"]](_initials(text, p["letter"]), p["n"]),
        _starting,
        (
            'found = re.findall(r"(?<!\\w)" + $letter, response.lower())\n'
            "return len(found) $rel $n",
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return sum(token.startswith($letter) for token in tokens) $rel $n",
        ),
        buggy=("return response.count($letter.upper()) $rel $n",),
        siblings=("letter_times",),
    ),
    Family(
        "vowel_sentences",
        "letters",
        {},
        (
            "Begin every sentence with a vowel.",
            "Start each sentence with a vowel.",
            "Every sentence must begin with a vowel.",
        ),
        (r"START (?:every|each) sentence~vowel", r"(?:every|each) sentence~START~vowel"),
        lambda text, p: all(part[0].lower() in "aeiou" for part in sentences(text)),
        _vowel_start,
        (
            'parts = [s.strip() for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            'return all(part[0].lower() in "aeiou" for part in parts)',
            'for part in re.split(r"[.!?]+", response):\n    part = part.strip()\n'
            '    if part and part[0] not in "aeiouAEIOU":\n        return False\nreturn True',
        ),
        siblings=("sentence_starts",),
    ),
    Family(
        "all_lower",
        "casing",
        {},
        (
            "Write everything in lowercase.",
            "Use only lowercase letters.",
            "Do not use any capital letters.",
            "Answer entirely in lower case.",
        ),
        (
            r"(?:everything~|entirely~|only~|all~)?lower ?case(?: letters)?(?: only)?",
            r"NOT~(?:capital|upper ?case)~letters?",
            r"NOT~capitals",
        ),
        lambda text, p: text == text.lower(),
        lambda d, p: d.body().lower(),
        (
            "return response == response.lower()",
            "return not any(char.isupper() for char in response)",
        ),
        siblings=("all_upper",),
    ),
    Family(
        "all_upper",
        "casing",
        {},
        (
            "Write the entire response in capital letters.",
            "Use only capital letters.",
            "Write everything in uppercase.",
            "Answer entirely in upper case.",
        ),
        (
            r"(?:everything~|entirely~|only~|all~)?(?:capital letters|capitals|caps)(?: only)?",
            r"(?:everything~|entirely~|only~|all~)?upper ?case(?: letters)?(?: only)?",
            r"NOT~lower ?case~letters?",
        ),
        lambda text, p: text == text.upper(),
        lambda d, p: d.body().upper(),
        (
            "return response == response.upper()",
            "return not any(char != char.upper() for char in response)",
        ),
        siblings=("all_lower", "title_case"),
    ),
    Family(
        "title_case",
        "casing",
        {},
        (
            "Capitalise the first letter of every word.",
            "Begin every word with a capital letter.",
            "Every word must start with a capital letter.",
        ),
        (
            r"capitali[sz]e~first letter of (?:every|each) word",
            r"START (?:every|each) word~capital(?: letter)?",
            r"(?:every|each) word~START~capital(?: letter)?",
        ),
        lambda text, p: all(word[0].isupper() for word in words(text) if word[0].isalpha()),
        lambda d, p: d.body().title(),
        (
            "tokens = response.split()\n"
            "return all(t[0].isupper() for t in tokens if t[0].isalpha())",
            "for token in response.split():\n"
            "    if token[0].isalpha() and not token[0].isupper():\n"
            "        return False\nreturn True",
        ),
        siblings=("all_upper",),
    ),
    Family(
        "capital_words",
        "casing",
        {"rel": bound, "n": few},
        (
            "Include {rel} {n} words written entirely in capitals.",
            "Use {rel} {n} words in all capitals.",
            "Write {rel} {n} words in capital letters.",
        ),
        (r"@rel~@n~words?~(?:entirely~|all~)?(?:capitals|caps|capital letters|upper ?case)",),
        lambda text, p: COMPARE[p["rel"]](len(_CAPITAL_WORD.findall(text)), p["n"]),
        _shouted,
        (
            'found = re.findall(r"\\b[A-Z]{2,}\\b", response)\nreturn len(found) $rel $n',
            'pattern = re.compile(r"\\b[A-Z][A-Z]+\\b")\n'
            "return sum(1 for _ in pattern.finditer(response)) $rel $n",
        ),
        siblings=("capital_letters", "all_upper"),
    ),
    Family(
        "capital_letters",
        "casing",
        {"rel": relation, "n": Number(3, 9)},
        (
            "Use {rel} {n} capital letters in total.",
            "The response must contain {rel} {n} capital letters.",
            "Write {rel} {n} uppercase letters in all.",
        ),
        (r"(?:@rel )?@n~(?:capital|upper ?case)~letters?(?:~all)?",),
        lambda text, p: COMPARE[p["rel"]](sum(char.isupper() for char in text), p["n"]),
        _capitals,
        (
            "count = sum(1 for char in response if char.isupper())\nreturn count $rel $n",
            "return len([char for char in response if char.isupper()]) $rel $n",
        ),
        siblings=("capital_words",),
    ),
)
