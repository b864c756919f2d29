"""Families about lists, headings, tables, blocks and other layout."""

import json
import re

from autoif_assets.simulator.constraints import COMPARE, Choice, Family, Number, Values, Word
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import TAGS, bound, few, relation
from autoif_assets.simulator.families.measures import lines

_BOLD = re.compile(r"\*\*[^*\n]+\*\*")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
_PART = re.compile(r"^Part (\d+)", re.MULTILINE)
_SEPARATORS = {
    "---": ("three hyphens", "3 hyphens"),
    "***": ("three asterisks", "3 asterisks"),
    "===": ("three equals signs", "3 equals signs"),
}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _table(text: str, columns: int) -> bool:
    rows = lines(text)
    return len(rows) >= 2 and all(
        row.startswith("|") and row.endswith("|") and row.count("|") > columns for row in rows
    )


def _write_table(draft: Draft, values: Values) -> str:
    columns = values["n"] + draft.rng.randint(0, 1)

    def row(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    body = [row([" ".join(draft.clause(3)) for _ in range(columns)]) for _ in range(2)]
    return "\n".join([row(draft.clause(columns)), row(["---"] * columns), *body])


def _separated(text: str, sign: str) -> bool:
    rows = [line.strip() for line in text.splitlines()]
    if rows.count(sign) != 1:
        return False
    place = rows.index(sign)
    return any(rows[:place]) and any(rows[place + 1 :])


def _headings(text: str, level: int) -> int:
    return len(re.findall(rf"^#{{{level}}} \S", text, re.MULTILINE))


def _write_headings(draft: Draft, values: Values) -> str:
    sign = "#" * values["level"]
    blocks = [
        f"{sign} {' '.join(draft.clause(3)).capitalize()}\n\n{draft.body(2)}"
        for _ in range(draft.many(values))
    ]
    return "\n\n".join(blocks)


def _titled(text: str, values: Values) -> bool:
    rows = text.split("\n")
    return (
        len(rows) > 2
        and 0 < len(rows[0].split()) <= values["n"]
        and not rows[1].strip()
        and any(row.strip() for row in rows[2:])
    )


FAMILIES = (
    Family(
        "json_object",
        "format",
        {},
        (
            "Return the whole answer as one valid JSON object.",
            "Answer with a JSON object.",
            "Format the entire response as a JSON object.",
        ),
        (r"(?:1 )?(?:single )?(?:valid )?json object(?:~nothing else)?",),
        lambda text, p: _is_object(text),
        lambda d, p: json.dumps(
            {d.rng.choice(d.nouns): d.sentence() for _ in range(max(d.size // 2, 1))}
        ),
        (
            "import json\ntry:\n    return isinstance(json.loads(response), dict)\n"
            "except (ValueError, RecursionError):\n    return False",
            "import json\ntry:\n    value = json.loads(response)\nexcept ValueError:\n"
            "    return False\nreturn type(value) is dict",
        ),
        buggy=('return response.strip().startswith("{")',),
        siblings=("code_block",),
    ),
    Family(
        "markdown_table",
        "format",
        {"n": Number(2, 4)},
        (
            "Show the answer as a Markdown table with at least {n} columns.",
            "Write a Markdown table of at least {n} columns.",
            "Format the response as a Markdown table with at least {n} columns.",
        ),
        (r"markdown table~at least @n~columns?",),
        lambda text, p: _table(text, p["n"]),
        _write_table,
        (
            "rows = [line.strip() for line in response.splitlines() if line.strip()]\n"
            "if len(rows) < 2:\n    return False\n"
            'return all(r.startswith("|") and r.endswith("|") and r.count("|") > $n for r in rows)',
            "rows = [line.strip() for line in response.splitlines() if line.strip()]\n"
            'good = [r for r in rows if r[0] == "|" == r[-1] and r.count("|") >= $n + 1]\n'
            "return len(rows) > 1 and len(good) == len(rows)",
        ),
        siblings=("bullet_count",),
    ),
    Family(
        "bold_count",
        "format",
        {"rel": bound, "n": few},
        (
            "Put {rel} {n} phrases in bold using double asterisks.",
            "Highlight {rel} {n} phrases in bold with double asterisks.",
            "Use {rel} {n} bold phrases in Markdown.",
        ),
        (
            r"(?:@rel )?@n~(?:phrases?|words?|parts?)~bold(?:~double asterisks|~markdown)?",
            r"(?:@rel )?@n~bold~(?:phrases?|words?|parts?)(?:~markdown)?",
        ),
        lambda text, p: COMPARE[p["rel"]](len(_BOLD.findall(text)), p["n"]),
        lambda d, p: " ".join(
            f"{d.sentence(5, end='')} **{' '.join(d.clause(2))}**." for _ in range(d.many(p))
        ),
        (
            'found = re.findall(r"\\*\\*[^*\\n]+\\*\\*", response)\nreturn len(found) $rel $n',
            'pattern = re.compile(r"\\*\\*[^*\\n]+\\*\\*")\n'
            "return sum(1 for _ in pattern.finditer(response)) $rel $n",
        ),
        buggy=('return response.count("**") $rel $n',),
        siblings=("brackets", "placeholders"),
    ),
    Family(
        "placeholders",
        "format",
        {"rel": bound, "n": few},
        (
            "Include {rel} {n} placeholders in square brackets.",
            "Use {rel} {n} placeholders written in square brackets.",
            "The text must contain {rel} {n} placeholders in square brackets.",
        ),
        (r"(?:@rel )?@n~placeholders?~square brackets",),
        lambda text, p: COMPARE[p["rel"]](len(_PLACEHOLDER.findall(text)), p["n"]),
        lambda d, p: " ".join(
            f"{d.sentence(5, end='')} [{d.rng.choice(d.nouns)}]." for _ in range(d.many(p))
        ),
        (
            'found = re.findall(r"\\[[^\\[\\]\\n]+\\]", response)\nreturn len(found) $rel $n',
            'pattern = re.compile(r"\\[[^\\[\\]\\n]+\\]")\n'
            "return sum(1 for _ in pattern.finditer(response)) $rel $n",
        ),
        siblings=("brackets", "bold_count"),
    ),
    Family(
        "code_block",
        "format",
        {},
        (
            "Place the whole answer inside one fenced code block.",
            "Write the entire response inside a fenced code block.",
            "Put everything inside one fenced code block.",
        ),
        (r"(?:everything~)?(?:inside~)?(?:1 )?fenced code block",),
        lambda text, p: (
            text.strip().startswith("```")
            and text.strip().endswith("```")
            and text.count("```") == 2
        ),
        lambda d, p: "```\n" + d.body() + "\n```",
        (
            "body = response.strip()\n"
            'return body.startswith("```") and body.endswith("```") and body.count("```") == 2',
            "body = response.strip()\n"
            'return body.count("```") == 2 and body[:3] == "```" == body[-3:]',
        ),
        buggy=('return "```" in response',),
        siblings=("json_object",),
    ),
    Family(
        "heading_count",
        "format",
        {"rel": relation, "n": Number(2, 4, default=1), "level": Number(2, 3)},
        (
            "Use {rel} {n} Markdown headings of level {level}.",
            "Include {rel} {n} Markdown headings of level {level}.",
            "Structure the answer with {rel} {n} Markdown headings of level {level}.",
        ),
        (
            r"(?:@rel )?@n~markdown headings?~level @level",
            r"(?:@rel )?@n~markdown headings?~@level(?:st|nd|rd|th) level",
        ),
        lambda text, p: COMPARE[p["rel"]](_headings(text, p["level"]), p["n"]),
        _write_headings,
        (
            'found = re.findall("^" + "#" * $level + r" \\S", response, re.MULTILINE)\n'
            "return len(found) $rel $n",
            'sign = "#" * $level + " "\n'
            "rows = [r for r in response.splitlines() if r.startswith(sign) and "
            "r[len(sign):][:1].strip()]\nreturn len(rows) $rel $n",
        ),
        buggy=('return response.count("#") $rel $n + $level - $level',),
        siblings=("bullet_count", "paragraph_count"),
    ),
    Family(
        "parts",
        "structure",
        {"n": Number(2, 4)},
        (
            'Divide the answer into parts headed "Part 1", "Part 2" and so on, with at least {n} '
            "parts.",
            "Write at least {n} parts that are headed Part 1, Part 2 and so on.",
        ),
        (
            r"parts~headed~«\d+» «\d+» and so on~at least @n parts",
            r"at least @n parts~headed part 1 part 2 and so on",
        ),
        lambda text, p: len(_PART.findall(text)) >= p["n"],
        lambda d, p: "\n\n".join(
            f"Part {i + 1}\n{d.body(2)}" for i in range(p["n"] + d.rng.randint(0, 1))
        ),
        (
            'found = re.findall(r"^Part (\\d+)", response, re.MULTILINE)\nreturn len(found) >= $n',
            'rows = [row for row in response.splitlines() if re.match(r"Part \\d", row)]\n'
            "return len(rows) >= $n",
        ),
        siblings=("paragraph_count",),
    ),
    Family(
        "separator",
        "structure",
        {"sign": Choice(_SEPARATORS)},
        (
            "Separate two halves of the answer with a line that holds only {sign}.",
            "Put one line that holds only {sign} between two halves of the answer.",
            "Split the response in two halves with a line that holds only {sign}.",
        ),
        (
            r"(?:separate~|split~)?2 halves~line~only @sign",
            r"1 line~only @sign between 2 halves",
        ),
        lambda text, p: _separated(text, p["sign"]),
        lambda d, p: f"{d.body(2)}\n{p['sign']}\n{d.body(2)}",
        (
            "rows = [line.strip() for line in response.splitlines()]\n"
            "if rows.count($sign) != 1:\n    return False\nplace = rows.index($sign)\n"
            "return any(rows[:place]) and any(rows[place + 1:])",
        ),
        buggy=("return len(response.split($sign)) == 3",),
        siblings=("paragraph_count",),
    ),
    Family(
        "title_line",
        "structure",
        {"n": Number(4, 8)},
        (
            "Put a title of at most {n} words alone on the first line and leave the second line "
            "empty.",
            "Begin with a title of at most {n} words on the first line, then an empty line.",
        ),
        (
            r"title~at most @n words alone~first line and leave~2nd line empty",
            r"START~title~at most @n words~first line then~empty line",
        ),
        _titled,
        lambda d, p: f"{d.sentence(p['n'] - d.rng.randint(0, 2), end='')}\n\n{d.body()}",
        (
            'rows = response.split("\\n")\nif len(rows) < 3 or rows[1].strip():\n'
            "    return False\n"
            "return 0 < len(rows[0].split()) <= $n and any(r.strip() for r in rows[2:])",
        ),
        buggy=('return len(response.split("\\n")[0].split()) <= $n',),
        siblings=("line_count",),
    ),
    Family(
        "tagged",
        "format",
        {"tag": Word(TAGS)},
        (
            "Wrap the whole answer in an XML element named {tag}.",
            "Put the entire response inside an XML tag called {tag}.",
            "Enclose your answer in an XML tag named {tag}.",
        ),
        (r"(?:wrap|enclose|inside|put)~(?:inside~)?xml (?:element|tag) (?:named|called) @tag",),
        lambda text, p: (
            text.strip().startswith(f"<{p['tag']}>") and text.strip().endswith(f"</{p['tag']}>")
        ),
        lambda d, p: f"<{p['tag']}>{d.body()}</{p['tag']}>",
        (
            "body = response.strip()\n"
            'return body.startswith("<" + $tag + ">") and body.endswith("</" + $tag + ">")',
            'name = $tag\npattern = r"\\s*<" + name + r">.*</" + name + r">\\s*"\n'
            "return re.fullmatch(pattern, response, re.DOTALL) is not None",
        ),
        siblings=("code_block",),
        valid=lambda p: p["tag"].isalnum(),
    ),
)
