# ruff: noqa: E501  (a text per line reads best)
"""References of the seeds on position, numbers, script, start and end, and repetition."""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

from autoif_assets_tests.recorded.readings import (
    Check,
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


def _third_word(text: str) -> Verdict:
    return agreed(len(found) >= 3 and found[2].lower() == "today" for found in word_lists(text))


_NUMBERS = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|"
    r"forty|fifty|\w+ty|hundreds?|thousands?|millions?|zero|half|dozens?|first|second|third|once|"
    r"twice|both|single|double|pair|couple|quarter|[ivxlc]+)\b",
    re.IGNORECASE,
)


def _number_first(text: str) -> Verdict:
    firsts = [found[0] if found else "" for found in sentence_lists(text)]
    digits = agreed(any(map(str.isdigit, first)) for first in firsts)
    # Whether a number in words is meant too, readers may ask.
    return None if digits is False and any(map(_NUMBERS.search, firsts)) else digits


def _meanwhile(text: str) -> Verdict:
    def begins(parts: list[str]) -> list[bool]:
        second = parts[1] if len(parts) > 1 else ""
        return [
            re.match(r"Meanwhile\b", second) is not None,
            re.match(r"\W*meanwhile\b", second, re.IGNORECASE) is not None,
        ]

    return agreed(begins(paragraphs(text)) + begins(lines(text)))


def _garden_last(text: str) -> Verdict:
    return agreed(
        count > 0
        for found in sentence_lists(text)
        for count in word_counts(found[-1] if found else "", "garden")
    )


def _colon_first(text: str) -> Verdict:
    return agreed(":" in each.split("\n")[0] for each in (text, text.strip(), text.lstrip("#* \n")))


def _three_numbers(text: str) -> Verdict:
    patterns = r"\d+", r"\d[\d,.:/-]*\d|\d", r"(?<![\w.,])\d[\d.,]*(?!\w)"
    return agreed(len(re.findall(pattern, text)) == 3 for pattern in patterns)


_OF_YEARS = (
    r"\b(?:in|since|by|year|of|until|till|from|to|during|before|after|early|late|around|between|"
    r"and|January|February|March|April|May|June|July|August|September|October|November|December)"
    r" ((?:1\d|20)\d\d)(?!\w|[.,]\d| [a-z]+s\b)"
)


def _year(text: str) -> Verdict:
    if not re.search(r"\d{4}", text):
        return False
    return True if re.search(_OF_YEARS, text, re.IGNORECASE) else None


def _percentage(text: str) -> Verdict:
    return agreed((
        re.search(r"\d%", text) is not None,
        re.search(r"\d\s*(?:%|per ?cent)|percent|[%％]", text, re.IGNORECASE) is not None,
    ))  # fmt: skip


def _price(text: str) -> Verdict:
    return agreed((
        re.search(r"\$\d+(?:[.,]\d+)*(?![\w$])", text) is not None,
        re.search(r"\$\d", text) is not None,
    ))  # fmt: skip


def _cyrillic(text: str) -> Verdict:
    found = [word for word in re.findall(r"[^\W\d_]+", text) if re.search("[\u0400-\u04ff]", word)]
    return agreed((
        any(re.fullmatch("[\u0400-\u04ff]{2,}", word) for word in found),
        bool(found),
    ))  # fmt: skip


_EMOJI = re.compile("[\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001faff]")
_PICTURES = re.compile("[\u2190-\u21ff\u2300-\u23ff\u2460-\u2bff\U0001f000-\U0001faff]")


def _emoji(text: str) -> Verdict:
    sure, maybe = _EMOJI.findall(text), _PICTURES.findall(text)
    # Joined ones are one picture, skin tones are none.
    joined = [part for part in sure if not "\U0001f3fb" <= part <= "\U0001f3ff"]
    counts = [len(set(sure)), len(maybe), len(joined) - text.count("\u200d")]
    return agreed(count >= 3 for count in counts)


def _greek(text: str) -> Verdict:
    letters = re.search("[\u0391-\u03a9\u03b1-\u03c9]", text)
    others = re.search("[\u0370-\u03ff\u1f00-\u1fff\u00b5\u2126\u2211\u220f]", text)
    return agreed((letters is not None, others is not None))


def _begins(phrase: str) -> Check:
    return lambda text: agreed((
        re.match(rf"{phrase}\b", text) is not None,
        re.match(rf"\W*{phrase}\b", text, re.IGNORECASE) is not None,
    ))  # fmt: skip


def _ends(text: str) -> Verdict:
    return agreed((
        text.endswith("That is all for now."),
        re.search(r"that is all for now\W*$", text, re.IGNORECASE) is not None,
    ))  # fmt: skip


def _same_ends(text: str) -> Verdict:
    readings = word_lists(text)
    if any(len(found) < 2 for found in readings):
        return None
    return agreed(found[0].lower() == found[-1].lower() for found in readings)


def _question_last(text: str) -> Verdict:
    return agreed(text.rstrip(ends).endswith("?") for ends in (" \n\r\t", " \n\r\t\"'”’)]*_!"))


def _brackets(text: str) -> Verdict:
    return agreed(
        len(each) > 1 and each[0] == "[" and each[-1] == "]" for each in (text, text.strip())
    )


def _sentences_of(text: str, judge: Callable[[list[str]], Iterable[bool]]) -> Verdict:
    """What all readings say of the sentences, if there are two of them in each."""
    found = sentence_lists(text)
    if any(len(sentences) < 2 for sentences in found):
        return None
    return agreed(verdict for sentences in found for verdict in judge(sentences))


def _repeated(text: str) -> Verdict:
    def same(sentences: list[str]) -> Iterable[bool]:
        first, last = sentences[0], sentences[-1]
        yield first == last
        yield [w.lower() for w in words(first)] == [w.lower() for w in words(last)]

    return _sentences_of(text, same)


def _no_twice(text: str) -> Verdict:
    readings = word_lists(text.lower())
    # With a sign between them, as in "no, no", the two may count as apart.
    side_by_side = any(a == b.rstrip(".,;:!?") for a, b in pairwise(text.lower().split()))
    return agreed((not side_by_side, *(all(a != b for a, b in pairwise(w)) for w in readings)))


def _line_starts(text: str) -> Verdict:
    found = lines(text)
    if len(found) < 2:
        return None
    exact = [line.split()[0] for line in found]
    loose = [(words(line) or [""])[0].lower() for line in found]
    return agreed(len(set(firsts)) == 1 for firsts in (exact, loose))


def _varied_starts(text: str) -> Verdict:
    def varied(sentences: list[str]) -> Iterable[bool]:
        for reading in range(3):
            firsts = [word_lists(sentence)[reading][:1] for sentence in sentences]
            yield all([w.lower() for w in a] != [w.lower() for w in b] for a, b in pairwise(firsts))

    return _sentences_of(text, varied)


REFERENCES = [
    Reference(
        'Make "today" the third word of the response.',
        _third_word,
        (
            "It is today that we leave.",
            "We leave today.",
            "The weather today is fine.",
            "I am today the oldest of all.",
            "She sings today, and he dances tomorrow.",
        ),
        (
            "Today it rains.",
            "It will rain today.",
            "We leave tomorrow.",
            "Today today",
            "today",
            "The fine weather will last until today.",
        ),
    ),
    Reference(
        "Put a number in the first sentence.",
        _number_first,
        (
            "We met 10 people.",
            "In 1999 it snowed. We stayed inside.",
            "There are 7 days in a week. Monday comes early.",
            "Chapter 3 begins here. It is about rain.",
            "The ticket costs 25 euros! Is that too much?",
        ),
        (
            "It rained.",
            "It rained. We met 10 people.",
            "We stayed inside. In 1999 it snowed.",
            "The ticket is cheap! It costs 25 euros.",
            "Is it late? It is 9 now.",
        ),
    ),
    Reference(
        'Let the second paragraph begin with "Meanwhile".',
        _meanwhile,
        (
            "It rained all day.\n\nMeanwhile the river rose.",
            "Anna cooked.\n\nMeanwhile, Bob read a book.\n\nThen they ate.",
            "We waited.\n\nMeanwhile",
            "The bread was in the oven.\n\nMeanwhile, we made soup. It was hot.",
        ),
        (
            "It rained all day.",
            "It rained all day.\n\nThe river rose.",
            "Meanwhile the river rose.\n\nIt rained all day.",
            "Anna cooked.\n\nBob read a book.\n\nMeanwhile, it rained.",
            "It rained all day. Meanwhile the river rose.",
            "It rained.\n\nThe river, meanwhile, rose.",
        ),
    ),
    Reference(
        'Use the word "garden" in the last sentence.',
        _garden_last,
        (
            "We sat in the garden.",
            "It was warm. We sat in the garden.",
            "The house is old. It has a garden behind it.",
            "Is it late? Yes. Let us go to the garden!",
            "The garden is green. I love the garden.",
        ),
        (
            "It was warm. We sat inside.",
            "We sat in the garden. It was warm.",
            "The garden is green. The house is old.",
            "It rained.",
            "Let us go to the garden! Is it late? Yes.",
        ),
    ),
    Reference(
        "Place a colon in the first line of the response.",
        _colon_first,
        (
            "Here is the list: bread and soup.",
            "Dear Anna:\nIt rained.",
            "Answer: yes.",
            "We need three things: flour, water, salt.\nMix them.",
            "Remember this: it is late.\n\nGo home.",
        ),
        (
            "It rained.",
            "It rained.\nHere is the list: bread and soup.",
            "Dear Anna,\nRemember this: it is late.",
            "Bread; soup; tea.",
            "First line\nSecond line\nThird: line",
        ),
    ),
    Reference(
        "Include exactly three numbers written in digits.",
        _three_numbers,
        (
            "We bought 3 apples, 5 pears and 12 plums.",
            "1 2 3",
            "In 1999 we met 20 people and 4 dogs.",
            "Room 101 is on floor 1 of house 7.",
            "Add 2 eggs. Wait 10 minutes. Serve 4 people.",
        ),
        (
            "It rained.",
            "We bought 3 apples and 5 pears.",
            "We bought 3 apples, 5 pears, 12 plums and 2 figs.",
            "We bought three apples, five pears and twelve plums.",
            "1 2 3 4 5 6",
            "In 1999 it snowed.",
        ),
    ),
    Reference(
        "Do not use any digits; spell numbers out in words.",
        lambda text: agreed(
            not any(map(test, text)) for test in (str.isdigit, str.isdecimal, str.isnumeric)
        ),
        (
            "We bought three apples.",
            "Twenty people came, and ten left.",
            "It was nineteen degrees outside.",
            "One, two, three!",
            "There are seven days in a week.",
        ),
        (
            "We bought 3 apples.",
            "20 people came, and ten left.",
            "In 1999 it snowed.",
            "One, two, 3!",
            "Call 555 now.",
            "We are in room seven on floor 2.",
        ),
    ),
    Reference(
        "Mention at least one four-digit year.",
        _year,
        (
            "In 1999 it snowed.",
            "The house was built in 1850.",
            "The bridge opened in May 2004.",
            "From 1914 to 1918 there was war.",
            "It has been closed since 2020.",
        ),
        (
            "It snowed last year.",
            "It happened in the nineties.",
            "We met 25 people.",
            "It was the year 50.",
            "The house was built long ago.",
            "",
        ),
    ),
    Reference(
        "Include a percentage such as 25% in the response.",
        _percentage,
        (
            "About 25% of them came.",
            "Prices rose by 3%.",
            "We are 100% sure.",
            "The tax is 7.5% now.",
            "Between 10% and 20% is normal.",
        ),
        (
            "A quarter of them came.",
            "Prices rose by 3 euros.",
            "We are sure.",
            "25 of 100 people came.",
            "Most of them came.",
        ),
    ),
    Reference(
        "Give at least one price in dollars, with the $ sign directly before the digits.",
        _price,
        (
            "It costs $5.",
            "The ticket is $12.50 for adults.",
            "Bread is $3 and soup is $4.",
            "He paid $1,000 for the car.",
            "Only $20!",
        ),
        (
            "It costs 5 dollars.",
            "It costs 5$.",
            "It costs $ 5.",
            "It costs €5.",
            "It is cheap.",
            "The $ sign stands for dollars.",
        ),
    ),
    Reference(
        "Use only characters from the ASCII set.",
        str.isascii,
        (
            "The cat sleeps.",
            "It rained; we stayed (inside).",
            "Price: $5 & 10% off!",
            "a = b + c ~ d",
            "One\nTwo\tThree",
        ),
        (
            "The café is open.",
            "Hello 😀",
            "It costs €5.",
            "“Hello,” she said.",
            "Привет",
            "naïve",
            "Wait… what?",
        ),
    ),
    Reference(
        "Include at least one word written in Cyrillic letters.",
        _cyrillic,
        (
            "Привет, my friend.",
            "The Russian word for peace is мир.",
            "Москва is a large city.",
            "We say спасибо and you are welcome.",
            "хлеб",
            "Bread is ХЛЕБ in capitals.",
        ),
        (
            "Hello, my friend.",
            "The Russian word for peace is mir.",
            "Moscow is a large city.",
            "The Greek word is λόγος.",
            "The café is open.",
            "你好",
        ),
    ),
    Reference(
        "Use at least three emoji in the response.",
        _emoji,
        (
            "Hello 😀 🎉 🚀",
            "😀🎉🚀",
            "The cat 🐱 chased the mouse 🐭 into the house 🏠.",
            "Rain 🌧 and bread 🍞 and soup 🍲 and tea 🍵.",
            "One 🍎\nTwo 🍐\nThree 🍇",
        ),
        (
            "Hello.",
            "Hello 😀",
            "Hello 😀 🎉",
            "The cat chased the mouse.",
            "!!! ??? ...",
            "Привет café",
        ),
    ),
    Reference(
        "Write at least one Greek letter, such as α or Ω.",
        _greek,
        (
            "The angle α is small.",
            "Ω stands for the end.",
            "The word λόγος means reason.",
            "Let β be larger than γ.",
            "A circle has 2πr.",
        ),
        (
            "The angle a is small.",
            "The letter alpha is the first.",
            "Привет",
            "The café is open.",
            "Omega stands for the end.",
        ),
    ),
    Reference(
        'Begin the response with the words "Let us begin".',
        _begins("Let us begin"),
        (
            "Let us begin.",
            "Let us begin with the soup.",
            "Let us begin, then. It is late.",
            "Let us begin\n\nIt rained.",
            "Let us begin: mix flour and water.",
        ),
        (
            "It rained.",
            "Now let us begin.",
            "Let us start with the soup.",
            "It is late. Let us begin.",
            "We begin with the soup.",
            "Let us end here.",
        ),
    ),
    Reference(
        'Finish the response with the phrase "That is all for now."',
        _ends,
        (
            "That is all for now.",
            "It rained. That is all for now.",
            "Mix flour and water.\n\nThat is all for now.",
            "Is it late? Yes! That is all for now.",
        ),
        (
            "It rained.",
            "That is all for now. It rained.",
            "It rained. That is all for today.",
            "That is all for now. Goodbye.",
            "It rained. That is everything.",
        ),
    ),
    Reference(
        "Start and end the response with the same word.",
        _same_ends,
        (
            "rain is only rain",
            "Rain falls on the hills, and nobody minds the rain.",
            "Bread is bread.",
            "Home is where you are, and I am going home!",
            "Why do you ask me why?",
            "Never say never.",
        ),
        (
            "It rained.",
            "The cat sleeps on the mat.",
            "Rain falls on the hills.",
            "Is it late? Yes. Go home.",
            "Bread and soup.",
        ),
    ),
    Reference(
        "Close with a question.",
        _question_last,
        (
            "Is it late?",
            "It rained. Did you stay inside?",
            "The soup is hot. The bread is fresh. What else do you need?",
            "We walked home.\n\nWhere were you?",
            "Who came? Who left?",
        ),
        (
            "It rained.",
            "Is it late? Yes.",
            "Did you stay inside? It rained.",
            "What a day!",
            "Who came? Who left? Nobody knows.",
        ),
    ),
    Reference(
        "Open the response with a left square bracket and close it with a right one.",
        _brackets,
        (
            "[It rained.]",
            "[It rained. We stayed inside.]",
            "[bread, soup, tea]",
            "[It rained.\n\nWe stayed inside.]",
            "[one]",
        ),
        (
            "It rained.",
            "(It rained.)",
            "[It rained.",
            "It rained.]",
            "{It rained.}",
            "It rained [all day] here.",
            "]It rained.[",
        ),
    ),
    Reference(
        "Repeat the first sentence word for word as the last sentence.",
        _repeated,
        (
            "It rained. We stayed inside. It rained.",
            "Nobody minded. The soup was hot. The bread was fresh. Nobody minded.",
            "Is it late? I think so. We should go home. Is it late?",
            "Stop! Look around. Listen. Stop!",
        ),
        (
            "It rained. We stayed inside.",
            "It rained. We stayed inside. Nobody minded.",
            "It rained. It rained. We stayed inside.",
            "We stayed inside. It rained. It rained.",
            "Nobody minded. The soup was hot. Everybody minded.",
        ),
    ),
    Reference(
        "Do not use the same word twice in a row.",
        _no_twice,
        (
            "It rained.",
            "The cat saw the dog, and the dog saw the cat.",
            "We walked home and slept.",
            "Rain and rain and rain.",
            "Is it late? It is.",
            "This is his thesis.",
        ),
        (
            "It rained rained.",
            "The the cat sleeps.",
            "We walked home home and slept.",
            "It was very very cold.",
            "no no",
            "I think that that is wrong.",
        ),
    ),
    Reference(
        "Start every line with the same word.",
        _line_starts,
        (
            "We sing.\nWe dance.\nWe sleep.",
            "Rain falls.\nRain stops.",
            "Always eat.\nAlways drink.\nAlways rest.\nAlways laugh.",
            "I came.\nI saw.\nI won.",
        ),
        (
            "We sing.\nYou dance.\nThey sleep.",
            "Rain falls.\nSnow falls.",
            "Always eat.\nAlways drink.\nNever rest.",
            "We sing.\nWe dance.\nThey sleep.",
            "They sleep.\nWe sing.\nWe dance.",
        ),
    ),
    Reference(
        'Say the word "again" exactly four times.',
        lambda text: agreed(count == 4 for count in word_counts(text, "again")),
        (
            "Again and again and again and again.",
            "again again again again",
            "He tried again. He failed again. He tried again. He won again.",
            "Once again it rained, and again we stayed, and again we slept, and then it rained again.",
            "Again, the bell rang.\nAgain, we ran.\nAgain, we sat.\nAgain, it rang.",
        ),
        (
            "It rained.",
            "It rained again.",
            "Again and again and again.",
            "again again again again again",
            "He tried again. He failed again.",
            "He is against it, against us, against them, against all.",
        ),
    ),
    Reference(
        "Do not begin two consecutive sentences with the same word.",
        _varied_starts,
        (
            "It rained. We stayed inside. Nobody minded.",
            "We sang. They danced. We slept.",
            "The cat sleeps. A dog barks. The cat wakes.",
            "Is it late? Yes! Go home.",
        ),
        (
            "It rained. It snowed.",
            "We sang. We danced. They slept.",
            "They slept. We sang. We danced.",
            "The cat sleeps. The dog barks. A bird sings.",
            "I came. I saw. I won.",
        ),
    ),
]
