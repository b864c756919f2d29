"""Families about punctuation and numbers."""

import re

from autoif_assets.simulator.constraints import COMPARE, Family, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import bound, end_mark, few, mark, relation
from autoif_assets.simulator.families.measures import sentences

_ENDS = ".!?"
_NUMBER = re.compile(r"\d+")
_YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")
_PERCENT = re.compile(r"\d+(?:\.\d+)?%")
_PRICE = re.compile(r"\$\d+")


def _marked(draft: Draft, values: Values) -> str:
    sign, wanted = values["mark"], draft.many(values)
    if sign in "!?":
        ends = [sign] * wanted + ["."] * max(draft.size - wanted, 0)
        draft.rng.shuffle(ends)
        return " ".join(draft.sentence(end=end) for end in ends)
    if sign == ".":
        return draft.body(max(wanted, 1))
    text = draft.body()
    places = [found.end() for found in re.finditer(r"\w(?=\s)", text)]
    for place in sorted(draft.rng.sample(places, min(wanted, len(places))), reverse=True):
        text = text[:place] + sign + text[place:]
    return text


def _unmarked(draft: Draft, values: Values) -> str:
    if values["mark"] == ".":
        return draft.rng.choice(("\n", "! ")).join(draft.sentences(end=""))
    return draft.body().replace(values["mark"], "")


def _ended(text: str, sign: str) -> bool:
    body = text.strip()
    return body.endswith(sign) and all(end == sign for end in body if end in _ENDS)


def _numbers(draft: Draft, values: Values) -> str:
    text = draft.body()
    for _ in range(draft.many(values)):
        text = draft.insert(text, str(draft.rng.randint(2, 90)))
    return text


def _with_one(draft: Draft, piece: str) -> str:
    text = draft.insert(draft.body(), piece)
    return text if draft.rng.random() < 0.7 else draft.insert(text, piece)


FAMILIES = (
    Family(
        "no_mark",
        "punctuation",
        {"mark": mark},
        (
            "Do not use any {mark}.",
            "Write the response without any {mark}.",
            "Avoid {mark} entirely.",
            "Your answer must contain no {mark}.",
        ),
        (r"NOT~@mark(?: at all| entirely| altogether| anywhere)?",),
        lambda text, p: p["mark"] not in text,
        _unmarked,
        (
            "return $mark not in response",
            "return response.count($mark) == 0",
            "return all(char != $mark for char in response)",
        ),
        buggy=("return not any(word == $mark for word in response.split())",),
        siblings=("mark_times",),
        opposite=lambda p: ("mark_times", {"mark": p["mark"], "rel": "at least", "n": 2}),
    ),
    Family(
        "mark_times",
        "punctuation",
        {"mark": mark, "rel": relation, "n": few},
        (
            "Include {rel} {n} {mark}.",
            "Use {rel} {n} {mark} in your answer.",
            "The response must contain {rel} {n} {mark}.",
        ),
        (r"(?:@rel )?@n~@mark",),
        lambda text, p: COMPARE[p["rel"]](text.count(p["mark"]), p["n"]),
        _marked,
        (
            "return response.count($mark) $rel $n",
            "total = sum(1 for char in response if char == $mark)\nreturn total $rel $n",
            "total = 0\nfor char in response:\n    if char == $mark:\n        total += 1\n"
            "return total $rel $n",
        ),
        siblings=("no_mark",),
        valid=lambda p: p["n"] > 0,
    ),
    Family(
        "every_end_mark",
        "punctuation",
        {"mark": end_mark},
        (
            "End every sentence with {mark}.",
            "Every sentence must end with {mark}.",
            "Let each sentence close with {mark}.",
        ),
        (
            r"(?:end|finish|close) (?:every|each) sentence~@mark",
            r"(?:every|each) sentence~(?:end|finish|close)~@mark",
        ),
        lambda text, p: _ended(text, p["mark"]),
        lambda d, p: " ".join(d.sentences(end=p["mark"])),
        (
            "body = response.strip()\n"
            'ends = [char for char in body if char in ".!?"]\n'
            "return body.endswith($mark) and set(ends) == {$mark}",
            'ends = re.findall(r"[.!?]", response)\n'
            "return response.rstrip().endswith($mark) and all(end == $mark for end in ends)",
        ),
        buggy=("return response.strip().endswith($mark)",),
        siblings=("mark_times", "no_mark"),
    ),
    Family(
        "closing_question",
        "start_end",
        {},
        (
            "Close with a question.",
            "End your response with a question mark.",
            "The last character must be a question mark.",
        ),
        (
            r"END~(?:question|question mark)",
            r"(?:last|final) (?:character|sentence)~(?:question mark|question)",
        ),
        lambda text, p: text.rstrip().endswith("?"),
        lambda d, p: f"{d.body()} {d.sentence(end='?')}",
        (
            'return response.rstrip().endswith("?")',
            'body = response.strip()\nreturn bool(body) and body[-1] == "?"',
        ),
        siblings=("every_end_mark",),
    ),
    Family(
        "brackets",
        "punctuation",
        {"rel": bound, "n": few},
        (
            "Put {rel} {n} remarks in round brackets.",
            "Include {rel} {n} remarks in parentheses.",
            "Use {rel} {n} pairs of round brackets.",
        ),
        (r"(?:@rel )?@n~(?:remarks?|pairs?|phrases?)~(?:of~)?(?:round brackets|parentheses)",),
        lambda text, p: COMPARE[p["rel"]](len(re.findall(r"\([^()]+\)", text)), p["n"]),
        lambda d, p: " ".join(
            f"{d.sentence(end='')} ({' '.join(d.clause(3))})." for _ in range(d.many(p))
        ),
        (
            'found = re.findall(r"\\([^()]+\\)", response)\nreturn len(found) $rel $n',
            'pattern = re.compile(r"\\([^()]+\\)")\n'
            "return sum(1 for _ in pattern.finditer(response)) $rel $n",
        ),
        siblings=("bold_count",),
    ),
    Family(
        "colon_first_line",
        "position",
        {},
        (
            "Place a colon in the first line of the response.",
            "The first line must contain a colon.",
            "Use a colon in the first line.",
        ),
        (r"colon~first line", r"first line~colon"),
        lambda text, p: ":" in text.split("\n")[0],
        lambda d, p: f"{d.rng.choice(d.nouns).capitalize()}: {d.sentence()}\n{d.body()}",
        (
            'return ":" in response.split("\\n")[0]',
            'first, _, _ = response.partition("\\n")\nreturn first.find(":") >= 0',
        ),
        siblings=("mark_times",),
    ),
    Family(
        "no_digits",
        "numeric",
        {},
        (
            "Do not use any digits.",
            "Write without digits.",
            "Avoid digits; spell numbers out in words.",
            "Your response must contain no digits.",
        ),
        (r"NOT~(?:digits?|numerals?)(?:~spell~numbers out~words)?",),
        lambda text, p: not any(char.isdigit() for char in text),
        lambda d, p: d.body(),
        (
            "return not any(char.isdigit() for char in response)",
            'return re.search(r"\\d", response) is None',
        ),
        siblings=("number_count",),
    ),
    Family(
        "number_count",
        "numeric",
        {"rel": relation, "n": few},
        (
            "Include {rel} {n} numbers written in digits.",
            "Use {rel} {n} numbers in digits.",
            "Your answer must contain {rel} {n} numbers written with digits.",
        ),
        (r"(?:@rel )?@n~numbers?(?:~digits)?",),
        lambda text, p: COMPARE[p["rel"]](len(_NUMBER.findall(text)), p["n"]),
        _numbers,
        (
            'return len(re.findall(r"\\d+", response)) $rel $n',
            "count, inside = 0, False\nfor char in response:\n    digit = char.isdecimal()\n"
            "    count += digit and not inside\n    inside = digit\nreturn count $rel $n",
        ),
        buggy=("return sum(char.isdigit() for char in response) $rel $n",),
        siblings=("no_digits",),
    ),
    Family(
        "number_first_sentence",
        "position",
        {},
        (
            "Put a number in the first sentence.",
            "The first sentence must contain a number in digits.",
            "Use a number in the first sentence.",
        ),
        (r"number~first sentence", r"first sentence~number(?:~digits)?"),
        lambda text, p: bool(_NUMBER.search((sentences(text) or [""])[0])),
        lambda d, p: f"{d.insert(d.sentence(), str(d.rng.randint(2, 90)))} {d.body()}",
        (
            'parts = [s for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            'return bool(parts) and re.search(r"\\d", parts[0]) is not None',
        ),
        siblings=("number_count", "no_digits"),
    ),
    Family(
        "year",
        "numeric",
        {},
        (
            "Mention at least one four-digit year.",
            "Include a year of four digits.",
            "Name at least one four digit year.",
        ),
        (r"(?:at least 1~)?4 digit year", r"year of 4 digits"),
        lambda text, p: bool(_YEAR.search(text)),
        lambda d, p: _with_one(d, str(d.rng.randint(1500, 2020))),
        (
            'return re.search(r"(?<!\\d)[12]\\d{3}(?!\\d)", response) is not None',
            'numbers = re.findall(r"\\d+", response)\n'
            'return any(len(n) == 4 and n[0] in "12" for n in numbers)',
        ),
        siblings=("percentage", "number_count"),
    ),
    Family(
        "percentage",
        "numeric",
        {},
        (
            "Include a percentage in the response.",
            "Use at least one percentage written with the percent sign.",
            "Mention at least one percentage in digits.",
        ),
        (r"(?:at least 1~)?percentage(?: such as 25%)?(?:~percent sign|~digits)?",),
        lambda text, p: bool(_PERCENT.search(text)),
        lambda d, p: _with_one(d, f"{d.rng.randint(2, 99)}%"),
        (
            'return re.search(r"\\d+(?:\\.\\d+)?%", response) is not None',
            'places = [i for i, c in enumerate(response) if c == "%"]\n'
            "return any(i and response[i - 1].isdecimal() for i in places)",
        ),
        siblings=("year", "price"),
    ),
    Family(
        "price",
        "numeric",
        {},
        (
            "Give at least one price in dollars.",
            "Include a price in dollars with the $ sign before the digits.",
            "Mention at least one price with a dollar sign.",
        ),
        (
            r"(?:at least 1~)?price~dollars?(?: sign)?"
            r"(?:~\$ sign(?: directly)? before~digits)?",
        ),
        lambda text, p: bool(_PRICE.search(text)),
        lambda d, p: _with_one(d, f"${d.rng.randint(2, 99)}"),
        (
            'return re.search(r"\\$\\d", response) is not None',
            'parts = response.split("$")[1:]\nreturn any(part[:1].isdecimal() for part in parts)',
        ),
        siblings=("percentage", "number_count"),
    ),
)
