"""Plain readable sentences about a query, with words that can be restricted."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from random import Random
from typing import Any


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADJECTIVES = _words(
    "calm good quiet small bright old warm simple honest careful steady kind young strong plain "
    "quick fresh wise patient modern local busy vast clever gentle open"
)

NOUNS = _words(
    "people plans habits maps tools words books teams minds paths goals rooms songs signs trips "
    "farms links skills notes facts men women children folk ways ideas towns groups experts "
    "lessons stories"
)

VERBS = _words(
    "bring build keep find help show hold watch shape guide join carry need form support know "
    "study enjoy follow explain improve use mix trust"
)

ADVERBS = _words("daily slowly together again often gladly now always today abroad")

JOINERS = _words("and while as so but")

# Words of a query that say nothing about its topic.
STOP_WORDS = _words(
    "about after all also and any are because been before being between both but can could did "
    "does doing each few for from had has have having her here hers him his how into its itself "
    "just like more most not now off once only other our out over own please same she should "
    "some such than that the their them then there these they this those through too under "
    "until very was were what when where which while who whom why will with would you your give "
    "write make explain describe tell following using use list create find get want need answer "
    "response question provide generate sentence word words text one two three"
)

_TOPIC_WORD = re.compile(r"[a-z]{3,14}")
# Words of the sentences themselves would make any text look as if it were about the query.
_OWN_WORDS = frozenset(ADJECTIVES + NOUNS + VERBS + ADVERBS)


@lru_cache(maxsize=4096)
def topic_words(query: str) -> tuple[str, ...]:
    """Return up to four content words of a query, in lower case, longest first."""
    found = dict.fromkeys(_TOPIC_WORD.findall(query.lower()))
    content = [word for word in found if word not in STOP_WORDS and word not in _OWN_WORDS]
    return tuple(sorted(content, key=len, reverse=True)[:4])


class Draft:
    """Writes sentences of the form "careful people study gardens" for one completion.

    Args:
        rng: Source of every choice.
        topics: Words of the query that sentences are about.
        size: Sentences in an ordinary body of text.
        allow: Which words may be used; every word if None.
    """

    def __init__(
        self,
        rng: Random,
        topics: tuple[str, ...] = (),
        size: int = 4,
        allow: Callable[[str], bool] | None = None,
    ) -> None:
        self.rng = rng
        self.size = size
        self._all_topics = topics
        self._fresh_topic = True

        def keep(words: Iterable[str]) -> list[str]:
            return [word for word in words if allow is None or allow(word)]

        # A filter may leave no noun or verb; a sentence needs one of each.
        self.topics = keep(topics)
        self.adjectives = keep(ADJECTIVES)
        self.nouns = keep(NOUNS) or ["folk"]
        self.verbs = keep(VERBS) or ["know"]
        self.adverbs = keep(ADVERBS)
        self.joiners = keep(JOINERS)

    def limited(self, allow: Callable[[str], bool]) -> "Draft":
        """Return a draft of the same text that uses only words that ``allow`` accepts."""
        return Draft(self.rng, self._all_topics, self.size, allow)

    def _noun(self) -> str:
        # The first chance goes to a topic, so that every text is about its query.
        if self.topics and (self._fresh_topic or self.rng.random() < 0.4):
            self._fresh_topic = False
            return self.rng.choice(self.topics)
        return self.rng.choice(self.nouns)

    def _clause(self, count: int) -> list[str]:
        choice = self.rng.choice
        if count == 1:
            return [self._noun()]
        if count == 2:
            return [choice(self.nouns), choice(self.verbs)]
        words = [choice(self.nouns), choice(self.verbs), self._noun()]
        if count >= 4:
            words.insert(0, choice(self.adjectives or self.nouns))
        if count >= 5:
            words.insert(3, choice(self.adjectives or self.nouns))
        return words

    def clause(self, count: int) -> list[str]:
        """Return ``count`` words in lower case that read as one clause or several joined."""
        words = self._clause(min(count, 5))
        while len(words) < count:
            missing = count - len(words)
            if missing >= 4 and self.joiners:
                words.append(self.rng.choice(self.joiners))
                words += self._clause(min(missing - 1, 5))
            else:
                words.append(self.rng.choice(self.adverbs or self.nouns))
        return words

    def sentence(self, count: int | None = None, end: str = ".") -> str:
        """Return a sentence of ``count`` words; six to ten if None."""
        words = self.clause(count or self.rng.randint(6, 10))
        words[0] = words[0][0].upper() + words[0][1:]
        return " ".join(words) + end

    def sentences(self, count: int | None = None, end: str = ".") -> list[str]:
        """Return ``count`` sentences; as many as the draft's size if None."""
        return [self.sentence(end=end) for _ in range(count or self.size)]

    def body(self, count: int | None = None) -> str:
        """Return sentences joined by spaces."""
        return " ".join(self.sentences(count))

    def of_words(self, count: int) -> str:
        """Return sentences that have ``count`` words in all."""
        sentences = []
        while count > 0:
            size = count if count <= 12 else self.rng.randint(5, 9)
            sentences.append(self.sentence(size))
            count -= size
        return " ".join(sentences)

    def insert(self, text: str, word: str, *, verbatim: bool = False) -> str:
        """Return a text with a word put behind some word that ends in a letter.

        At times the word is capitalised, unless it must stay ``verbatim``.
        """
        if not verbatim and word.isalpha() and word.islower() and self.rng.random() < 0.2:
            word = word.capitalize()
        pieces = text.split(" ")
        places = [i for i, piece in enumerate(pieces[:-1]) if piece[-1:].isalpha()]
        place = self.rng.choice(places) + 1 if places else 0
        return " ".join([*pieces[:place], word, *pieces[place:]])

    def many(self, values: Mapping[str, Any]) -> int:
        """Return a count of at least one that fits the values ``rel`` and ``n``."""
        return max(self.amount(values["rel"], values["n"], low=1), 1)

    def amount(self, relation: str, number: int, low: int = 0) -> int:
        """Return a count that stands in ``relation`` to ``number``."""
        if relation == "exactly":
            return number
        if relation == "at least":
            return number + self.rng.randint(0, 2)
        return max(number - self.rng.randint(0, 2), min(low, number))
