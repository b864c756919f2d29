"""Families about how a text and its parts start and end."""

from itertools import pairwise

from autoif_assets.simulator.constraints import Family, Values
from autoif_assets.simulator.drafting import Draft
from autoif_assets.simulator.families.banks import closing, common_letter, keyword, opening
from autoif_assets.simulator.families.measures import lines, paragraphs, plain_words, sentences


def _first_words(text: str) -> list[str]:
    return [plain_words(part)[0] for part in sentences(text) if plain_words(part)]


def _varied(draft: Draft, values: Values) -> str:
    parts: list[str] = []
    while len(parts) < max(draft.size, 2):
        part = draft.sentence()
        if not parts or part.split()[0] != parts[-1].split()[0]:
            parts.append(part)
    return " ".join(parts)


def _line_starts(text: str) -> bool:
    rows = [plain_words(line)[:1] for line in lines(text)]
    return all(row == rows[0] and row for row in rows)


def _framed(draft: Draft, values: Values) -> str:
    text = draft.body()
    first = text.split()[0]
    return f"{text} {draft.sentence(4, end='')} {first.lower()}."


def _sentence_starts(draft: Draft, values: Values) -> str:
    letter = values["letter"]
    bank = [word for word in draft.nouns + draft.adjectives if word.startswith(letter)]
    spare = ["our", "in", "any", "each", "so", "the", "now", "right", "soon"]
    starts = bank or [word for word in spare if word.startswith(letter)]
    return " ".join(
        f"{draft.rng.choice(starts).capitalize()} {' '.join(draft.clause(6))}."
        for _ in range(max(draft.size, 2))
    )


FAMILIES = (
    Family(
        "starts_with",
        "start_end",
        {"phrase": opening},
        (
            "Begin the response with the words {phrase}.",
            "Start your answer with {phrase}.",
            "The first words of the response must be {phrase}.",
            "Open with the phrase {phrase}.",
        ),
        (
            r"START~(?:words?~|phrase~|sentence~)?@phrase",
            r"first words?~@phrase",
        ),
        lambda text, p: text.lstrip().startswith(p["phrase"]),
        lambda d, p: f"{p['phrase']}, {' '.join(d.clause(7))}. {d.body()}",
        (
            "return response.lstrip().startswith($phrase)",
            'return re.match(r"\\s*" + re.escape($phrase), response) is not None',
        ),
        buggy=("return $phrase in response",),
        siblings=("ends_with",),
    ),
    Family(
        "ends_with",
        "start_end",
        {"phrase": closing},
        (
            "Finish the response with the phrase {phrase}.",
            "End your answer with {phrase}.",
            "The last words of the response must be {phrase}.",
            "Close with the phrase {phrase}.",
        ),
        (
            r"END~(?:words?~|phrase~|sentence~)?@phrase",
            r"(?:last|final) words?~@phrase",
        ),
        lambda text, p: text.rstrip().rstrip(".!").endswith(p["phrase"]),
        lambda d, p: f"{d.body()} {p['phrase']}.",
        (
            'body = response.strip().rstrip(".!")\nreturn body.endswith($phrase)',
            'return re.search(re.escape($phrase) + r"[.!]*\\s*$", response) is not None',
        ),
        buggy=("return response.endswith($phrase)",),
        siblings=("starts_with",),
    ),
    Family(
        "same_word_frame",
        "start_end",
        {},
        (
            "Start and end the response with the same word.",
            "The first and the last word of your answer must be the same.",
            "Begin and finish with the same word.",
        ),
        (
            r"START and END~same word",
            r"first and~last word~same",
        ),
        lambda text, p: bool(plain_words(text)) and plain_words(text)[0] == plain_words(text)[-1],
        _framed,
        (
            'tokens = re.findall(r"\\w+", response.lower())\n'
            "return bool(tokens) and tokens[0] == tokens[-1]",
        ),
        buggy=("return response.split()[:1] == response.split()[-1:]",),
        siblings=("same_line_starts",),
    ),
    Family(
        "square_frame",
        "start_end",
        {},
        (
            "Open the response with a left square bracket and close it with a right one.",
            "Wrap the whole answer in square brackets.",
            "Enclose the entire response in square brackets.",
        ),
        (
            r"START~left square bracket and END~right 1",
            r"(?:wrap|enclose|put)~square brackets",
        ),
        lambda text, p: text.strip().startswith("[") and text.strip().endswith("]"),
        lambda d, p: f"[{d.body()}]",
        (
            'body = response.strip()\nreturn body.startswith("[") and body.endswith("]")',
            'body = response.strip()\nreturn len(body) > 0 and body[0] == "[" and body[-1] == "]"',
        ),
        siblings=("quoted",),
    ),
    Family(
        "quoted",
        "start_end",
        {},
        (
            "Wrap the whole answer in double quotation marks.",
            "Enclose the entire response in double quotation marks.",
            "Put your whole answer in double quotes.",
        ),
        (r"(?:wrap|enclose|put)~double (?:quotation marks|quotes)",),
        lambda text, p: (
            len(text.strip()) > 1 and text.strip()[0] == '"' and text.strip()[-1] == '"'
        ),
        lambda d, p: f'"{d.body()}"',
        (
            "body = response.strip()\n"
            "return len(body) > 1 and body.startswith('\"') and body.endswith('\"')",
            "body = response.strip()\nreturn len(body) >= 2 and body[0] == body[-1] == '\"'",
        ),
        buggy=("return response.count('\"') >= 1",),
        siblings=("square_frame",),
    ),
    Family(
        "second_paragraph",
        "position",
        {"word": keyword},
        (
            "Let the second paragraph begin with {word}.",
            "The second paragraph must start with the word {word}.",
            "Start the second paragraph with {word}.",
        ),
        (
            r"2nd paragraph~START~(?:word~)?@word",
            r"START~2nd paragraph~(?:word~)?@word",
        ),
        lambda text, p: (paragraphs(text)[1:2] or [""])[0].lower().startswith(p["word"]),
        lambda d, p: f"{d.body(2)}\n\n{p['word'].capitalize()} {' '.join(d.clause(6))}.",
        (
            'parts = [p.strip() for p in re.split(r"\\n\\s*\\n", response) if p.strip()]\n'
            "return len(parts) > 1 and parts[1].lower().startswith($word)",
        ),
        siblings=("starts_with",),
    ),
    Family(
        "last_line_prefix",
        "structure",
        {"phrase": opening},
        (
            "Add a last line that begins with {phrase}.",
            "Begin the last line with {phrase}.",
            "The last line must start with {phrase}.",
        ),
        (
            r"(?:add~)?(?:last|final) line~START~@phrase",
            r"START~(?:last|final) line~@phrase",
        ),
        lambda text, p: (lines(text) or [""])[-1].startswith(p["phrase"]),
        lambda d, p: f"{d.body()}\n{p['phrase']} {' '.join(d.clause(5))}.",
        (
            "rows = [line.strip() for line in response.splitlines() if line.strip()]\n"
            "return bool(rows) and rows[-1].startswith($phrase)",
        ),
        buggy=("rows = response.splitlines()\nreturn bool(rows) and rows[0].startswith($phrase)",),
        siblings=("starts_with", "ends_with"),
    ),
    Family(
        "sentence_starts",
        "repetition",
        {"letter": common_letter},
        (
            "Begin every sentence with the letter {letter}.",
            "Every sentence must start with the letter {letter}.",
            "Start each sentence with the letter {letter}.",
        ),
        (
            r"START~(?:every|each) sentence~letter @letter",
            r"(?:every|each) sentence~START~letter @letter",
        ),
        lambda text, p: all(part[0].lower() == p["letter"] for part in sentences(text)),
        _sentence_starts,
        (
            'parts = [s.strip() for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            "return all(part.lower().startswith($letter) for part in parts)",
            'for part in re.split(r"[.!?]+", response):\n    part = part.strip().lower()\n'
            "    if part and part[0] != $letter:\n        return False\nreturn True",
        ),
        siblings=("vowel_sentences",),
    ),
    Family(
        "sentence_echo",
        "repetition",
        {},
        (
            "Repeat the first sentence word for word as the last sentence.",
            "The last sentence must be the same as the first sentence.",
            "Let the last sentence repeat the first sentence.",
        ),
        (
            r"repeat~first sentence~word~word~last sentence",
            r"last sentence~(?:same~|repeat~)first sentence",
        ),
        lambda text, p: len(sentences(text)) > 1 and sentences(text)[0] == sentences(text)[-1],
        lambda d, p: (lambda first: f"{first} {d.body()} {first}")(d.sentence()),
        (
            'parts = [s.strip() for s in re.split(r"[.!?]+", response) if s.strip()]\n'
            "return len(parts) > 1 and parts[0] == parts[-1]",
        ),
        siblings=("same_word_frame",),
    ),
    Family(
        "same_line_starts",
        "repetition",
        {},
        (
            "Start every line with the same word.",
            "Every line must begin with the same word.",
            "Begin each line with the same word.",
        ),
        (
            r"START~(?:every|each) line~same word",
            r"(?:every|each) line~START~same word",
        ),
        lambda text, p: _line_starts(text),
        lambda d, p: (
            lambda first: "\n".join(
                f"{first} {' '.join(d.clause(5))}." for _ in range(max(d.size, 2))
            )
        )(d.rng.choice(d.nouns).capitalize()),
        (
            "rows = [line for line in response.splitlines() if line.strip()]\n"
            'firsts = [re.findall(r"\\w+", row.lower())[:1] for row in rows]\n'
            "return all(first and first == firsts[0] for first in firsts)",
        ),
        buggy=("return len({row[:1] for row in response.splitlines()}) <= 1",),
        siblings=("bullet_list",),
    ),
    Family(
        "varied_starts",
        "repetition",
        {},
        (
            "Do not begin two consecutive sentences with the same word.",
            "Never start two consecutive sentences with the same word.",
            "No two consecutive sentences may begin with the same word.",
        ),
        (
            r"NOT~START~2 consecutive sentences~same word",
            r"NOT~2 consecutive sentences~START~same word",
        ),
        lambda text, p: all(a != b for a, b in pairwise(_first_words(text))),
        _varied,
        (
            'parts = [re.findall(r"\\w+", s.lower()) for s in re.split(r"[.!?]+", response)]\n'
            "firsts = [part[0] for part in parts if part]\n"
            "return all(a != b for a, b in zip(firsts, firsts[1:]))",
        ),
        siblings=("no_double_word",),
    ),
)
