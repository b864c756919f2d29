# ruff: noqa: E501  (a text per line reads best)
"""References of the seeds on punctuation, structure, format and ordering."""

import json
import re
from itertools import pairwise
from typing import Any

from autoif_assets_tests.recorded.readings import (
    Reference,
    Verdict,
    agreed,
    lines,
    paragraphs,
    sentence_lists,
    word_counts,
    word_lists,
    words,
)


def _exclaimed(text: str) -> Verdict:
    return agreed(
        all(sentence.rstrip("\"'”’)]*_ ").endswith("!") for sentence in found)
        for found in sentence_lists(text)
    )


def _remark(text: str) -> Verdict:
    # Neither the ending in "item(s)" nor the target of a link is surely a remark.
    return agreed((
        re.search(r"\([^()]*\w[^()]*\)", text) is not None,
        re.search(r"(?:^|(?<=\s))\([^()]*[^\W\d_]{2}[^()]*\)", text) is not None,
    ))  # fmt: skip


def _no_full_stops(text: str) -> Verdict:
    plain = re.sub(r"(?<=\d)\.(?=\d)", "", text)
    return agreed(("." not in text, "." not in plain, not re.search(r"[.…。]", text)))


def _three_paragraphs(text: str) -> Verdict:
    found = paragraphs(text)
    if any(re.match(r"[#*\-\d|`>]", part) for part in found):
        return None  # is a heading or a list a paragraph?
    strict = [part for part in text.split("\n\n") if part.strip()]
    return agreed((len(found) == 3, len(strict) == 3))


def _parts(text: str) -> Verdict:
    def headed(pattern: str, flags: int = 0) -> bool:
        numbers = [int(n) for n in re.findall(pattern, text, re.MULTILINE | flags)]
        return len(numbers) >= 2 and numbers == list(range(1, len(numbers) + 1))

    return agreed((
        headed(r"^\W*Part (\d+)\b(?=\W*$|\s*[:.–—-])"),
        headed(r"^\W*part\s+(\d+)\b", re.IGNORECASE),
    ))  # fmt: skip


def _three_hyphens(text: str) -> Verdict:
    def separated(rows: list[str]) -> bool:
        marks = [n for n, row in enumerate(rows) if row == "---"]
        inside = bool(marks) and bool(
            "".join(rows[: marks[0]]).strip() and "".join(rows[marks[0] + 1 :]).strip()
        )
        return inside and len(marks) == 1

    rows = text.splitlines()
    return agreed((separated(rows), separated([row.strip() for row in rows])))


def _line_for_each(text: str) -> Verdict:
    rows = [row.strip() for row in lines(text)]
    counts = [{len(found) for found in sentence_lists(row)} for row in rows]
    if not rows or any(min(each) > 1 for each in counts):
        return False if rows else None
    ended = [re.search(r"[.!?][\"'”’)]*$", row) is not None for row in rows]
    if any(not end and after[0].islower() for end, after in zip(ended, rows[1:], strict=False)):
        return False  # what goes on in lower case on the next line is cut in two
    # A line without an end sign may be a title.
    return True if all(ended) and all(each == {1} for each in counts) else None


def _title(text: str) -> Verdict:
    def titled(rows: list[str]) -> bool:
        return (
            len(rows) >= 3
            and all(1 <= len(found) <= 6 for found in word_lists(rows[0]))
            and not rows[1].strip()
            and any(row.strip() for row in rows[2:])
        )

    first = text.strip().split("\n")[0].strip()
    found = agreed((titled(text.splitlines()), titled(text.strip().splitlines())))
    # A short sentence on its own is perhaps no title.
    return None if found and first.endswith((".", "!", "?", ":", ",")) else found


def _note(text: str) -> Verdict:
    found = lines(text)
    if len(found) < 2:
        return None if re.match(r"\W*note", text, re.IGNORECASE) else False
    last = found[-1]
    return agreed((
        last.startswith("Note:"),
        re.match(r"\W*note\W", last, re.IGNORECASE) is not None,
    ))  # fmt: skip


def _bullets(text: str) -> Verdict:
    found = lines(text)
    if not found:
        return None
    return agreed((
        all(line.startswith("- ") for line in text.strip("\n").splitlines()),
        all(line.strip().startswith("-") and len(line.strip()) > 1 for line in found),
        len(found) > 1 and all(line.startswith("-") for line in found),
    ))  # fmt: skip


def _json_object(text: str) -> Verdict:
    def read(text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None

    inside = re.sub(r"^```\w*\n|\n```$", "", text.strip())
    strict = read(text) if not re.search(r"\b(?:NaN|Infinity)\b", text) else None
    return agreed(isinstance(value, dict) for value in (strict, read(text), read(inside)))


def _numbered(text: str) -> Verdict:
    def counted(numbers: list[str]) -> bool:
        return len(numbers) >= 3 and numbers == [str(n + 1) for n in range(len(numbers))]

    return agreed((
        counted(re.findall(r"^(\d+)\. +\S", text, re.MULTILINE)),
        len(re.findall(r"(?:^|\s)\W*\d+[.):]", text)) >= 3,
    ))  # fmt: skip


_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)+\|?")


def _table(text: str) -> Verdict:
    rows = [line.strip() for line in lines(text)]
    found = any(
        "|" in above.strip("|") and _RULE.fullmatch(row) and above.count("|") == row.count("|")
        for above, row in pairwise(rows)
    )
    whole = len(rows) >= 3 and _RULE.fullmatch(rows[1]) is not None and all("|" in r for r in rows)
    return agreed((found, found and whole))


def _bold(text: str) -> Verdict:
    return agreed((
        re.search(r"\*\*(?=[^\s*])[^*\n]*[^\W_][^*\n]*(?<=\S)\*\*", text) is not None,
        re.search(r"\*\*[^*]+\*\*", text) is not None,
    ))  # fmt: skip


def _one_block(text: str) -> Verdict:
    strict = re.fullmatch(r"```[\w+-]*\n(?P<inside>.*\S.*)\n```", text.strip(), re.DOTALL)
    loose = re.fullmatch(r"\s*(?:```|~~~).*(?:```|~~~)\s*", text, re.DOTALL)
    return agreed((strict is not None and "```" not in strict["inside"], loose is not None))


def _two_headings(text: str) -> Verdict:
    if "```" in text:
        return None
    return agreed(
        len(re.findall(pattern, text, re.MULTILINE)) == 2
        for pattern in (r"^## +\S", r"^[ ]{0,3}##(?!#)", r"^## +\S|^\S.*\n---+$")
    )


def _alphabetical(text: str) -> Verdict:
    rows = [row.strip() for row in lines(text)]
    if len(rows) < 2:
        return None
    keys = (str, str.casefold, lambda row: re.sub(r"[\W_]", "", row.casefold()))
    return agreed([key(row) for row in rows] == sorted(map(key, rows)) for key in keys)


def _growing(text: str) -> Verdict:
    counts = [
        [len(word_lists(sentence)[reading]) for sentence in found]
        for found in sentence_lists(text)
        for reading in range(3)
    ]
    if any(len(each) < 2 for each in counts):
        return None
    return agreed(all(a < b for a, b in pairwise(each)) for each in counts)


def _spring_first(text: str) -> Verdict:
    lower = text.lower()
    found = lower.find("spring"), lower.find("winter")
    if -1 in found:
        # Winter without spring is no order at all; without winter there is nothing to come first.
        return False if found[0] == -1 and found[1] >= 0 else None
    sure = all(word_counts(text, word)[1] for word in ("spring", "winter"))
    return found[0] < found[1] if sure else None


def _countdown(text: str) -> Verdict:
    wanted = ["5", "4", "3", "2", "1"]
    return agreed((
        re.findall(r"^(\d+)[.):] ", text, re.MULTILINE) == wanted,
        re.findall(r"(?:^|\s)\W*(\d+)\b", text) == wanted,
    ))  # fmt: skip


def _shrinking(text: str) -> Verdict:
    readings = [paragraphs(text), lines(text)]
    if any(len(parts) < 2 for parts in readings):
        return None
    return agreed(
        all(size(a) > size(b) for a, b in pairwise(parts))
        for parts in readings
        for size in (len, lambda part: len(words(part)))
    )


REFERENCES = [
    Reference(
        "Do not use any commas.",
        lambda text: agreed(not set(text) & signs for signs in ({","}, set(",，、،"))),
        (
            "The cat sleeps.",
            "It rained; we stayed inside.",
            "Apples and pears and plums.",
            "Is it late? I think so! We should go home.",
            "One.\nTwo.\nThree.",
        ),
        (
            "Well, the cat sleeps.",
            "Apples, pears, plums.",
            "It rained. We stayed inside, of course.",
            "We met 1,000 people.",
            "One,\nTwo.",
        ),
    ),
    Reference(
        "Include at least two question marks.",
        lambda text: agreed(text.count("?") + other >= 2 for other in (0, text.count("？"))),
        (
            "Is it late? Should we go?",
            "Who? What? When?",
            "Is it late? I think so. Should we go? Yes.",
            "Why?\n\nWhy not?",
            "He asked: why? She asked: why not? Nobody answered.",
        ),
        (
            "The cat sleeps.",
            "Is it late?",
            "Is it late? I think so. We should go.",
            "Go home! Now!",
            "I wonder who came and why.",
        ),
    ),
    Reference(
        "End every sentence with an exclamation mark.",
        _exclaimed,
        (
            "It rained!",
            "It rained! We stayed inside! Nobody minded!",
            "Stop! Look! Listen!",
            "What a day, and what a night!",
            "The sun came out!\n\nBirds sang!",
        ),
        (
            "It rained.",
            "It rained! We stayed inside. Nobody minded!",
            "Is it late? Yes!",
            "It rained! We stayed inside! Nobody minded.",
            "It rained. We stayed inside!",
            "The sun came out!\n\nBirds sang.",
        ),
    ),
    Reference(
        "Use exactly one semicolon.",
        lambda text: agreed(text.count(";") + other == 1 for other in (0, text.count("；"))),
        (
            "It rained; we stayed inside.",
            "The soup was hot. The bread was fresh; nobody left.",
            "One; two.",
            "He came, saw, and won; we watched.",
            "First line; more.\nSecond line.",
        ),
        (
            "It rained. We stayed inside.",
            "It rained; we stayed; we slept.",
            "It rained: we stayed inside.",
            "One; two; three; four.",
            "It rained, and we stayed inside.",
        ),
    ),
    Reference(
        "Put at least one remark in round brackets.",
        _remark,
        (
            "The cat (a black one) sleeps.",
            "It rained (as always).",
            "We met Anna (my sister) and Bob (my brother).",
            "(This is only a draft.) The cat sleeps.",
            "The bread was fresh.\nThe soup (too hot for me) was good.",
        ),
        (
            "The cat sleeps.",
            "It rained, as always.",
            "The cat [a black one] sleeps.",
            "We met Anna - my sister - and Bob.",
            "The cat {a black one} sleeps.",
        ),
    ),
    Reference(
        "Write the response without any full stops.",
        _no_full_stops,
        (
            "It rained!",
            "Is it late? I think so!",
            "Bread, soup and tea",
            "First line\nSecond line",
            "We came; we saw; we went home",
        ),
        (
            "It rained.",
            "It rained! We stayed inside.",
            "It rained. We stayed inside!",
            "Is it late? Yes. Go!",
            "First line.\nSecond line",
        ),
    ),
    Reference(
        "Write exactly three paragraphs separated by blank lines.",
        _three_paragraphs,
        (
            "It rained.\n\nWe stayed inside.\n\nNobody minded.",
            "The sun came out. Birds sang.\n\nWe went for a walk. It was warm.\n\nAt night we slept well.",
            "One is enough for now.\n\nTwo would be better.\n\nThree is what was asked for.",
            "Is it late?\n\nI think so. Let us go home.\n\nThe last bus leaves soon!",
        ),
        (
            "It rained.",
            "It rained.\n\nWe stayed inside.",
            "It rained.\n\nWe stayed inside.\n\nNobody minded.\n\nThe soup was hot.",
            "It rained. We stayed inside. Nobody minded.",
            "It rained.\nWe stayed inside.\nNobody minded.",
            "The sun came out. Birds sang.\n\nWe went for a walk. It was warm.\n\nAt night we slept well.\n\nIn the morning we left.\n\nIt rained.",
        ),
    ),
    Reference(
        'Divide the answer into parts headed "Part 1", "Part 2" and so on, with at least two parts.',
        _parts,
        (
            "Part 1\nIt rained.\n\nPart 2\nWe stayed inside.",
            "Part 1\n\nMix flour and water.\n\nPart 2\n\nBake the bread.\n\nPart 3\n\nEat it.",
            "Part 1:\nIt rained.\nPart 2:\nThe sun came out.",
            "Part 1\nOne.\nPart 2\nTwo.\nPart 3\nThree.\nPart 4\nFour.",
        ),
        (
            "It rained. We stayed inside.",
            "Part 1\nIt rained.",
            "Chapter 1\nIt rained.\n\nChapter 2\nWe stayed inside.",
            "Section A\nMix flour and water.\n\nSection B\nBake the bread.",
            "1. It rained.\n2. We stayed inside.",
        ),
    ),
    Reference(
        "Separate two halves of the answer with a line that holds only three hyphens.",
        _three_hyphens,
        (
            "It rained all day.\n---\nWe stayed inside.",
            "It rained all day.\n\n---\n\nWe stayed inside.",
            "Mix the flour. Add water.\n---\nBake the bread. Eat it.",
            "One\nTwo\n---\nThree\nFour",
        ),
        (
            "It rained all day. We stayed inside.",
            "It rained all day.\n\nWe stayed inside.",
            "It rained all day. --- We stayed inside.",
            "It rained all day.\n***\nWe stayed inside.",
            "It rained all day.\n--\nWe stayed inside.",
            "It rained all day.\n- - -\nWe stayed inside.",
        ),
    ),
    Reference(
        "Put each sentence on a line of its own.",
        _line_for_each,
        (
            "It rained.\nWe stayed inside.\nNobody minded.",
            "Is it late?\nI think so!\nWe should go home.",
            "The soup was hot.\nThe bread was fresh.",
            "We walked to the harbour, and then we ate.\nThe boats came in.\nIt was late.\nWe left.",
        ),
        (
            "It rained. We stayed inside. Nobody minded.",
            "It rained.\nWe stayed inside. Nobody minded.",
            "Is it late? I think so!\nWe should go home.",
            "The soup was hot. The bread was fresh.",
            "It rained. We stayed inside.\nNobody minded. The soup was hot.",
        ),
    ),
    Reference(
        "Put a title of at most six words alone on the first line and leave the second line empty.",
        _title,
        (
            "A Rainy Day\n\nWe stayed inside and made soup.",
            "Bread\n\nMix flour and water. Bake it.",
            "The Six Words of This Title\n\nIt rained. We stayed inside.",
            "My Summer by the Sea\n\nWe swam.\n\nWe sailed.",
        ),
        (
            "A Rainy Day\nWe stayed inside and made soup.",
            "It rained all day, so we stayed inside and made soup and bread.",
            "A Title That Has Clearly Many More Words Than Six\n\nIt rained.",
            "A Rainy Day\nIn the Old House\n\nWe stayed inside.",
            "We stayed inside the house all day because it rained.\n\nWe made soup and bread for the whole family.",
        ),
    ),
    Reference(
        'Add a last line that begins with "Note:".',
        _note,
        (
            "It rained.\nNote: bring a coat.",
            "Mix flour and water.\nBake the bread.\nNote: the oven is hot.",
            "It rained.\n\nNote: The bridge is closed.",
            "One. Two. Three.\nNote: there are no more.",
        ),
        (
            "It rained.",
            "It rained.\nBring a coat.",
            "Note: bring a coat.\nIt rained.",
            "It rained.\nNote: bring a coat.\nThe bridge is closed.",
            "It rained.\nWarning: the bridge is closed.",
            "It rained. Bring a coat.\nPlease take note of this.",
        ),
    ),
    Reference(
        "Present the answer as a bulleted list in which each line starts with a hyphen.",
        _bullets,
        (
            "- Bread\n- Soup",
            "- Mix flour and water.\n- Bake the bread.\n- Eat it.",
            "- one\n- two\n- three\n- four",
            "- Is it late?\n- Yes!",
        ),
        (
            "Bread and soup.",
            "* Bread\n* Soup",
            "- Bread\nSoup",
            "1. Bread\n2. Soup",
            "Buy these:\n- Bread\n- Soup",
            "- Bread\n- Soup\nThat is all.",
            "Well - it rained - we stayed.",
        ),
    ),
    Reference(
        "Return the whole answer as one valid JSON object.",
        _json_object,
        (
            '{"a": 1}',
            '{"answer": "It rained.", "sure": true}',
            '{"items": ["bread", "soup"], "count": 2}',
            '{"one": {"two": {"three": null}}}',
            '{\n  "name": "Anna",\n  "age": 30\n}',
        ),
        (
            "It rained.",
            '["bread", "soup"]',
            "{'a': 1}",
            '{"a": 1',
            '{"a": 1} and {"b": 2}',
            '{"a": 1,}',
            'Here it is: {"a": 1}',
            "42",
            '"text"',
        ),
    ),
    Reference(
        "Number your points as 1., 2., 3. and give at least three of them.",
        _numbered,
        (
            "1. Bread\n2. Soup\n3. Tea",
            "1. Mix flour and water.\n2. Bake the bread.\n3. Eat it.\n4. Wash up.",
            "1. It rained.\n2. We stayed inside.\n3. Nobody minded.",
            "1. one\n2. two\n3. three\n4. four\n5. five",
        ),
        (
            "Bread, soup and tea.",
            "1. Bread\n2. Soup",
            "1. Bread",
            "- Bread\n- Soup\n- Tea",
            "First, mix flour and water. Second, bake the bread. Third, eat it.",
            "a. Bread\nb. Soup\nc. Tea",
        ),
    ),
    Reference(
        "Show the answer as a Markdown table with at least two columns.",
        _table,
        (
            "| Day | Food |\n| --- | --- |\n| Monday | Soup |",
            "| Day | Food |\n|-----|------|\n| Monday | Soup |\n| Tuesday | Bread |",
            "| A | B | C |\n|---|---|---|\n| 1 | 2 | 3 |\n| 4 | 5 | 6 |",
            "| Name | Age |\n| :--- | ---: |\n| Anna | 30 |\n| Bob | 31 |",
        ),
        (
            "Monday: soup.",
            "- Monday: soup\n- Tuesday: bread",
            "Day, Food\nMonday, Soup",
            "| Day |\n| --- |\n| Monday |",
            "Monday is for soup and Tuesday is for bread.",
            '{"Monday": "soup"}',
        ),
    ),
    Reference(
        "Put at least one phrase in bold using double asterisks.",
        _bold,
        (
            "The **old mill** stood there.",
            "**Bring a coat** when it rains.",
            "It was **really cold** and **very dark**.",
            "It rained.\n\nWe **stayed inside** all day.",
        ),
        (
            "The old mill stood there.",
            "The *old mill* stood there.",
            "The __old mill__ stood there.",
            "The <b>old mill</b> stood there.",
            "THE OLD MILL stood there.",
            "* old mill\n* new mill",
        ),
    ),
    Reference(
        "Place the whole answer inside one fenced code block.",
        _one_block,
        (
            "```\nIt rained.\n```",
            "```\nIt rained.\nWe stayed inside.\n```",
            "```python\nprint('rain')\n```",
            "```text\nMix flour and water.\n\nBake the bread.\n```",
        ),
        (
            "It rained.",
            "Here it is:\n```\nIt rained.\n```",
            "```\nIt rained.\n```\nThat is all.",
            "It rained. `We stayed inside.`",
            "print('rain')",
            "    It rained.\n    We stayed inside.",
            "First:\n```\nIt rained.\n```\nSecond:\n```\nWe stayed inside.\n```\nDone.",
        ),
    ),
    Reference(
        "Use exactly two Markdown headings of the second level.",
        _two_headings,
        (
            "## Rain\nIt rained.\n\n## Sun\nThe sun came out.",
            "## One\n\nBread.\n\n## Two\n\nSoup.",
            "# Food\n\n## Bread\n\nMix flour.\n\n## Soup\n\nBoil water.",
            "## Start\n\nText.\n\n### Detail\n\nMore.\n\n## End\n\nText.",
        ),
        (
            "It rained. The sun came out.",
            "## Rain\nIt rained.",
            "## Rain\nIt rained.\n\n## Sun\nIt shone.\n\n## Snow\nIt snowed.",
            "# Rain\nIt rained.\n\n# Sun\nIt shone.",
            "### Rain\nIt rained.\n\n### Sun\nIt shone.",
            "# Food\n\n## Bread\n\nMix flour.\n\n### Soup\n\nBoil water.",
        ),
    ),
    Reference(
        "Arrange the lines of the answer in alphabetical order.",
        _alphabetical,
        (
            "apple\nbanana\ncherry",
            "Bread\nSoup\nTea",
            "Anna came.\nBob left.\nClara slept.",
            "ant\nbee\ncat\ndog\neel",
        ),
        (
            "banana\napple\ncherry",
            "Tea\nSoup\nBread",
            "Bob left.\nAnna came.\nClara slept.",
            "ant\nbee\ncat\neel\ndog",
            "cherry\nbanana\napple",
        ),
    ),
    Reference(
        "Let each sentence contain more words than the one before it.",
        _growing,
        (
            "It rained. We stayed inside. Nobody minded that much.",
            "Stop. Look around. Listen to me.",
            "Run. Run fast. Run as fast as you can.",
            "Snow fell. The road was closed. We waited until the morning came. Then a man with a big red plough arrived.",
        ),
        (
            "Nobody minded that much. We stayed inside. It rained.",
            "It rained. We left.",
            "Listen to me. Look around. Stop.",
            "It rained. We stayed inside all day long. Nobody minded.",
            "One two three. Four five six. Seven eight nine.",
        ),
    ),
    Reference(
        'Mention "spring" before the first mention of "winter".',
        _spring_first,
        (
            "After spring comes summer, and then autumn and winter.",
            "I like spring more than winter.",
            "Spring is warm. Winter is cold.",
            "In spring we plant. In autumn we harvest. In winter we rest. In spring we plant again.",
            "spring, winter",
        ),
        (
            "After winter comes spring.",
            "I like winter more than spring.",
            "Winter is cold. Spring is warm.",
            "In winter we rest. In spring we plant. In winter we rest again.",
            "It was a long winter.",
        ),
    ),
    Reference(
        "List items numbered from 5 down to 1.",
        _countdown,
        (
            "5. Bread\n4. Soup\n3. Tea\n2. Milk\n1. Salt",
            "5. Wake up.\n4. Wash.\n3. Eat.\n2. Work.\n1. Sleep.",
            "5. five\n4. four\n3. three\n2. two\n1. one",
            "5. Rome\n\n4. Paris\n\n3. London\n\n2. Berlin\n\n1. Vienna",
        ),
        (
            "1. Bread\n2. Soup\n3. Tea\n4. Milk\n5. Salt",
            "Bread, soup, tea, milk, salt.",
            "5. Bread\n4. Soup\n3. Tea",
            "3. Tea\n2. Milk\n1. Salt",
            "5. Bread\n3. Tea\n4. Soup\n2. Milk\n1. Salt",
            "- Bread\n- Soup\n- Tea\n- Milk\n- Salt",
        ),
    ),
    Reference(
        "Make every paragraph shorter than the paragraph before it.",
        _shrinking,
        (
            "We walked to the harbour and watched the boats.\n\nThen we went home.\n\nWe slept.",
            "The soup was hot and the bread was fresh.\n\nNobody wanted to leave.",
            "It rained all day and all night in the whole valley.\n\nThe river rose and the bridge was closed.\n\nWe waited at home.\n\nIt stopped.",
            "One two three four five six.\n\nOne two three four.\n\nOne two.",
        ),
        (
            "We slept.\n\nThen we went home.\n\nWe walked to the harbour and watched the boats.",
            "Nobody wanted to leave.\n\nThe soup was hot and the bread was fresh.",
            "We walked to the harbour.\n\nWe slept.\n\nThen we went home by the last bus.",
            "One two three.\n\nOne two three.",
            "A short one.\n\nThis one is a good deal longer than that.\n\nTiny.",
        ),
    ),
]
