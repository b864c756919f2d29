"""Texts of servers and models as people see them; no rule of the method, which carries them."""

import unicodedata

# Text needs these beside what is printed: breaks, tabs, and what joins letters and emoji.
_NEEDED = "\n\t\u200c\u200d"
# Blanks, and letters of one's own or newer than this Python.
_SHOWN = ("Zs", "Co", "Cn")


def displayed(text: str) -> str:
    """Return a text as a terminal or a page may show it: without what directs the display.

    Escapes, other control characters, and signs that turn or hide text (bidi controls, zero-width
    and tag characters) are left out; what an escape would have said shows as plain letters. Tables
    and exports keep texts as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        for letter in text
        if letter.isprintable() or letter in _NEEDED or unicodedata.category(letter) in _SHOWN
    )
