"""How the trusted checkers take a text apart."""

import re

SENTENCE_END = re.compile(r"[.!?]+")
BLANK_LINE = re.compile(r"\n\s*\n")


def words(text: str) -> list[str]:
    """Return what stands between white space."""
    return text.split()


def plain_words(text: str) -> list[str]:
    """Return the words in lower case without punctuation."""
    return re.findall(r"\w+", text.lower())


def sentences(text: str) -> list[str]:
    """Return the non-empty parts between ends of sentences."""
    return [part.strip() for part in SENTENCE_END.split(text) if part.strip()]


def paragraphs(text: str) -> list[str]:
    """Return the non-empty parts between blank lines."""
    return [part.strip() for part in BLANK_LINE.split(text) if part.strip()]


def lines(text: str) -> list[str]:
    """Return the non-empty lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def count_word(text: str, word: str) -> int:
    """Return how often a word or phrase occurs as whole words, in any case."""
    return len(re.findall(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text.lower()))
