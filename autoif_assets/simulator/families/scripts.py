"""Families about scripts and emoji."""

from autoif_assets.simulator.constraints import COMPARE, Choice, Family, Relation, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import few

_SCRIPTS = {
    "Cyrillic": ("cyrillic",),
    "Greek": ("greek",),
    "Hebrew": ("hebrew",),
}
_RANGES = {"Cyrillic": (0x0400, 0x04FF), "Greek": (0x0370, 0x03FF), "Hebrew": (0x0590, 0x05FF)}
_SAMPLES = {"Cyrillic": "слово", "Greek": "λόγος", "Hebrew": "מילה"}
_EMOJI = "😀🎉🌟🚀🌍🍀"


def _in_range(text: str, script: str) -> bool:
    low, high = _RANGES[script]
    return any(low <= ord(char) <= high for char in text)


def _emoji_count(text: str) -> int:
    return sum(0x1F300 <= ord(char) <= 0x1FAFF for char in text)


def _with_emoji(draft: Draft, values: Values) -> str:
    text = draft.body()
    for _ in range(draft.many(values)):
        text = draft.insert(text, draft.rng.choice(_EMOJI))
    return text


_RANGE_CODE = "ranges = {" + ", ".join(f'"{k}": {v}' for k, v in _RANGES.items()) + "}\n"

FAMILIES = (
    Family(
        "ascii_only",
        "script",
        {},
        (
            "Use only characters from the ASCII set.",
            "Write with ASCII characters only.",
            "Do not use any character outside ASCII.",
        ),
        (
            r"(?:only~)?characters~(?:from~)?ascii(?: set)?",
            r"(?:only~)?ascii(?:~characters)?(?:~only)?",
            r"NOT~(?:non ascii characters?|characters? outside~ascii(?: set)?)",
        ),
        lambda text, p: text.isascii(),
        lambda d, p: d.body().encode("ascii", "ignore").decode(),
        (
            "return response.isascii()",
            "return all(ord(char) < 128 for char in response)",
        ),
        siblings=("script_word",),
    ),
    Family(
        "script_word",
        "script",
        {"script": Choice(_SCRIPTS)},
        (
            "Include at least one word written in {script} letters.",
            "Write at least one {script} letter.",
            "Use at least one character of the {script} script.",
        ),
        (
            r"at least 1~words?~@script(?: letters?| script)?",
            r"at least 1~@script~(?:letter|character|word)(?: such as .*)?",
            r"at least 1~(?:letter|character)~(?:from~|of~)?@script(?: script| alphabet)?",
        ),
        lambda text, p: _in_range(text, p["script"]),
        lambda d, p: d.insert(d.body(), _SAMPLES[p["script"]]),
        (
            _RANGE_CODE + "low, high = ranges[$script]\n"
            "return any(low <= ord(char) <= high for char in response)",
            _RANGE_CODE + "wanted = range(ranges[$script][0], ranges[$script][1] + 1)\n"
            "return not set(map(ord, response)).isdisjoint(wanted)",
        ),
        siblings=("ascii_only",),
    ),
    Family(
        "emoji_count",
        "script",
        {"rel": Relation(), "n": few},
        (
            "Use {rel} {n} emoji in the response.",
            "Include {rel} {n} emoji.",
            "Your answer must contain {rel} {n} emoji.",
        ),
        (r"(?:@rel )?@n~emojis?",),
        lambda text, p: COMPARE[p["rel"]](_emoji_count(text), p["n"]),
        _with_emoji,
        (
            "count = sum(1 for char in response if 0x1F300 <= ord(char) <= 0x1FAFF)\n"
            "return count $rel $n",
            'found = re.findall("[\\U0001F300-\\U0001FAFF]", response)\nreturn len(found) $rel $n',
        ),
        siblings=("script_word",),
    ),
)
