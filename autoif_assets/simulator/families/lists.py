"""Families about lists and lines."""

import re

from autoif_assets.simulator.constraints import COMPARE, Family, Number
from autoif_assets.simulator.families.banks import bound, relation
from autoif_assets.simulator.families.measures import lines, sentences

_ITEMS = re.compile(r"^\s*[-*] \S", re.MULTILINE)
_NUMBERED = re.compile(r"^\s*(\d+)\. ", re.MULTILINE)


FAMILIES = (
    Family(
        "bullet_list",
        "format",
        {},
        (
            "Present the answer as a bulleted list in which each line starts with a hyphen.",
            "Start every line with a hyphen.",
            "Write a bulleted list in which every line begins with a hyphen.",
        ),
        (
            r"(?:bulleted list~|bullet list~|list~)?(?:each|every) line~START~(?:hyphen|dash)",
            r"START~(?:each|every) line~(?:hyphen|dash)",
        ),
        lambda text, p: all(line.startswith("-") for line in lines(text)),
        lambda d, p: "\n".join(f"- {part}" for part in d.sentences(max(d.size, 2))),
        (
            "rows = [line.strip() for line in response.splitlines() if line.strip()]\n"
            'return all(row.startswith("-") for row in rows)',
            "for line in response.splitlines():\n"
            '    if line.strip() and line.lstrip()[0] != "-":\n        return False\nreturn True',
        ),
        siblings=("bullet_count",),
    ),
    Family(
        "bullet_count",
        "format",
        {"rel": relation, "n": Number(2, 6)},
        (
            "Use {rel} {n} bullet points.",
            "Answer with a list of {rel} {n} bullet points.",
            "Your response must contain {rel} {n} bullet points.",
        ),
        (r"(?:list~)?(?:@rel )?@n~(?:bullet points?|bullets?|bulleted items?)",),
        lambda text, p: COMPARE[p["rel"]](len(_ITEMS.findall(text)), p["n"]),
        lambda d, p: "\n".join(
            d.sentences(d.rng.randint(1, 2))[1:] + [f"- {d.sentence()}" for _ in range(d.many(p))]
        ),
        (
            'items = re.findall(r"^\\s*[-*] \\S", response, re.MULTILINE)\n'
            "return len(items) $rel $n",
            "count = 0\nfor line in response.splitlines():\n"
            '    if re.match(r"\\s*[-*] \\S", line):\n        count += 1\nreturn count $rel $n',
        ),
        buggy=('return response.count("\\n-") $rel $n',),
        siblings=("numbered_list", "line_count"),
    ),
    Family(
        "numbered_list",
        "format",
        {"rel": bound, "n": Number(2, 6)},
        (
            "Number your points as 1., 2., 3. and give {rel} {n} of them.",
            "Give a numbered list of {rel} {n} points.",
            "Write a numbered list with {rel} {n} items.",
        ),
        (
            r"number~points~(?:1\. 2\. 3\.~)?(?:and~)?@rel~@n~them",
            r"numbered list~(?:@rel )?@n~(?:points|items)",
        ),
        lambda text, p: COMPARE[p["rel"]](len(_NUMBERED.findall(text)), p["n"]),
        lambda d, p: "\n".join(f"{i + 1}. {d.sentence()}" for i in range(d.many(p))),
        (
            'found = re.findall(r"^\\s*(\\d+)\\. ", response, re.MULTILINE)\n'
            "return len(found) $rel $n",
            'rows = [line for line in response.splitlines() if re.match(r"\\s*\\d+\\. ", line)]\n'
            "return len(rows) $rel $n",
        ),
        siblings=("bullet_count", "countdown"),
    ),
    Family(
        "countdown",
        "ordering",
        {"n": Number(3, 7)},
        (
            "List items numbered from {n} down to 1.",
            "Write a list numbered from {n} down to 1.",
            "Number the items of your list from {n} down to one.",
        ),
        (r"(?:list|number)~(?:items~|points~)?(?:numbered~)?(?:list~)?(?:from )?@n down to 1",),
        lambda text, p: _NUMBERED.findall(text) == [str(i) for i in range(p["n"], 0, -1)],
        lambda d, p: "\n".join(f"{i}. {d.sentence()}" for i in range(p["n"], 0, -1)),
        (
            'found = re.findall(r"^\\s*(\\d+)\\. ", response, re.MULTILINE)\n'
            "return found == [str(i) for i in range($n, 0, -1)]",
            'numbers = re.findall(r"^\\s*(\\d+)\\. ", response, re.M)\n'
            'return ",".join(numbers) == ",".join(map(str, reversed(range(1, $n + 1))))',
        ),
        siblings=("numbered_list",),
    ),
    Family(
        "sentence_per_line",
        "structure",
        {},
        (
            "Put each sentence on a line of its own.",
            "Write every sentence on its own line.",
            "Start a new line for each sentence.",
        ),
        (
            r"(?:each|every) sentence~(?:on )?(?:its )?(?:own )?line(?:~own)?",
            r"START~new line~(?:each|every) sentence",
        ),
        lambda text, p: all(len(sentences(line)) == 1 for line in lines(text)),
        lambda d, p: "\n".join(d.sentences(max(d.size, 2))),
        (
            "for line in response.splitlines():\n    if line.strip():\n"
            '        parts = [s for s in re.split(r"[.!?]+", line) if s.strip()]\n'
            "        if len(parts) != 1:\n            return False\nreturn True",
        ),
        siblings=("line_count",),
    ),
    Family(
        "sorted_lines",
        "ordering",
        {},
        (
            "Arrange the lines of the answer in alphabetical order.",
            "Write lines that stand in alphabetical order.",
            "Sort the lines of your response alphabetically.",
        ),
        (
            r"(?:arrange~|order~|put~)?lines~(?:stand~)?alphabetical order",
            r"(?:sort|order|arrange)~lines~alphabetically",
        ),
        lambda text, p: (
            [line.lower() for line in lines(text)] == sorted(line.lower() for line in lines(text))
        ),
        lambda d, p: "\n".join(sorted(d.sentences(max(d.size, 2)), key=str.lower)),
        (
            "rows = [line.strip().lower() for line in response.splitlines() if line.strip()]\n"
            "return rows == sorted(rows)",
            "rows = [line.strip().lower() for line in response.splitlines() if line.strip()]\n"
            "return all(a <= b for a, b in zip(rows, rows[1:]))",
        ),
        siblings=("line_count",),
    ),
)
