"""Words, phrases and signs the families draw their parameters from."""

from autoif_assets.simulator.constraints import Choice, Letter, Number, Relation, Word

# Words that sentences have only where a constraint asks for them.
KEYWORDS = (
    "harbour", "lantern", "velvet", "compass", "orchard", "marble", "thunder", "pepper", "ribbon",
    "anchor", "copper", "meadow", "puzzle", "window", "garden", "bridge", "candle", "saddle",
    "pocket", "shadow", "mirror", "castle", "forest", "ladder", "button", "basket", "hammer",
    "violin", "cactus", "dolphin", "walnut", "pebble", "rocket", "sailor", "tunnel", "blanket",
    "glacier", "lemon", "magnet", "napkin",
)  # fmt: skip
OPENINGS = (
    "In short",
    "To begin with",
    "First of all",
    "Let us see",
    "As a start",
    "Well then",
    "Good question",
    "Here we go",
)
CLOSINGS = (
    "That is all",
    "Thank you for asking",
    "Hope this helps",
    "The end",
    "And so it goes",
    "Case closed",
    "Over and out",
    "Nothing more to say",
)
TAGS = ("answer", "reply", "summary", "result", "output", "final")
MARK_NAMES = {
    ",": ("commas", "comma"),
    ";": ("semicolons", "semicolon"),
    ":": ("colons", "colon"),
    "!": ("exclamation marks", "exclamation mark", "exclamation points", "exclamation point"),
    "?": ("question marks", "question mark"),
    "-": ("hyphens", "hyphen"),
    ".": ("full stops", "full stop", "periods", "period"),
    "&": ("ampersands", "ampersand"),
    "*": ("asterisks", "asterisk"),
}
END_NAMES = {
    "!": ("an exclamation mark", "exclamation mark", "exclamation point", "exclamation marks"),
    "?": ("a question mark", "question mark", "question marks"),
}

relation = Relation()
bound = Relation(("at least", "at most"))
few = Number(2, 6, default=1)
keyword = Word(KEYWORDS)
opening = Word(OPENINGS, bare=False, lower=False)
closing = Word(CLOSINGS, bare=False, lower=False)
common_letter = Letter("aeinorst")
any_letter = Letter("abcdefghiklmnoprstuvwy")
mark = Choice(MARK_NAMES)
end_mark = Choice(END_NAMES)
