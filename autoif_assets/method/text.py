"""When two short texts say the same: exact repeats, and repeats in other wording.

A similarity score is the wrong tool here: "all capital letters" and "all lowercase letters", or
"the first half" and "the second half", score high and mean opposite things. Two texts are
near-duplicates only when nothing but case, sentence punctuation, filler words, plurals, number
words and a few fixed phrases tells them apart, in the same order. Chinese, Japanese and Korean
texts are compared by characters, for their words have no spaces between them, or not always.
That is equality of a key: it needs no threshold and no comparison of pairs, and one pass does any
number of texts.
"""

import polars as pl

from autoif_assets.method.ids import normalise
from autoif_assets.method.readable import INDENTED

# What Chinese, Japanese and Korean are written in, for the inside of a character class.
CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー々〇"
_NO_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}ー々〇"  # Korean has some between its words.
# Letters, digits and signs as wide as these, and what is meant by them.
_WIDE = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)} | {
    "、": ",",
    "。": ".",
    "｡": ".",
    "，": ",",
    "\u3000": " ",
}

# \B keeps apostrophes out: a single quote counts at the edge of a word only.
_QUOTED = (
    r""""[^"]*"|“[^”]*”|«[^»]*»|`[^`]*`|「[^」]*」|『[^』]*』|《[^》]*》|\B['‘][^'‘’]+['’]\B"""
)

# Signs inside a text (C++, #, 5!, a < b) may be what it is about; those that end a sentence or
# join words are not. "A" is an article at the start and a name ("vitamin A") elsewhere.
_SIGNS = (
    (r" A\b", " a_"),
    (r"(\w)[.,:;?…]+(\s|$)", "$1$2"),
    (r"(\p{L}{2})[.,:;?!…]+(\s|$)", "$1$2"),
    (r"\x00 [.,:;?!…]+(\s|$)", "\x00$1"),
    (r"(\p{L})-\b", "$1 "),
    (rf"([{CJK}\x00]) ?[.,:;!?…·]+", "$1 "),
)

_OWN = r"(?:your|the)(?: (?:entire|whole|complete|full))? (?:response|answer|reply)"
_PHRASES = (
    (r"won't", "will not"),
    (r"can't|cannot", "can not"),
    (r"(\w+)n't", "$1 not"),
    (r"(what|how|where|who)'s", "$1 is"),
    (r"(?:can|could|would|will) you|i(?: would|'d) like you to", ""),
    (r"(?:make sure|be sure|ensure)(?: that| to)?", ""),
    (r"how (?:do|can|would|should) (?:i|you|we|one)|how to", "how"),
    (rf"(?:in|within|throughout) {_OWN}", ""),
    (rf"{_OWN}(?: (?:must|should|has to|needs to|shall))?", "response"),
    (r"no (?:fewer|less) than|not (?:fewer|less) than|a minimum of", "at least"),
    (r"no more than|not more than|a maximum of|up to", "at most"),
    (r"avoid using|refrain from using|do not (?:ever )?use|never use|avoid", "use no"),
    (r"(?:response )?(?:include|contain|incorporate|use)", "use"),
)

# Politeness and whose answer it is; what is left is compared by characters.
_CJK_PHRASES = r"请您?|請您?|务必|務必|[你您]的|(?:して)?(?:ください|下さい)|あなたの|당신의|반드시"

_FILLERS = ("the", "a", "an", "any", "please", "kindly", "your", "that", "just")
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: str(number) for number, word in enumerate(_UNITS.split())} | {
    word: str(10 * number) for number, word in enumerate(_TENS.split(), start=3)
}
_NUMBERS |= {sign: str(number) for number, sign in enumerate("〇一二三四五六七八九十")}
_NUMBERS |= {"两": "2", "兩": "2"}
_PLURAL = r"^(\p{L}{2,}[^\Wsui\d_])s$"


def near_duplicate_keys(texts: pl.Series) -> pl.Series:
    """Return for each text a key that two texts share exactly when they are near-duplicates.

    Numbers (digits or words) and quoted parts stay in the key, quoted parts letter by letter, so
    texts that differ in them never share one; nor do texts with a content word, a sign inside
    the text or the order of words changed.

    Args:
        texts: Short strings in any language; the folding of fillers and phrases is English, and
            for a few words Chinese, Japanese and Korean.

    Returns:
        A String series of the same length; null for a null or a text without content.
    """
    text = pl.col("text")
    plain = text.str.replace_all(_QUOTED, " \x00 ")
    plain = plain.str.replace_many(_WIDE)
    for pattern, replacement in _SIGNS:
        plain = plain.str.replace_all(pattern, replacement)
    plain = plain.str.to_lowercase()
    plain = plain.str.replace_all(_CJK_PHRASES, "").str.replace_all(rf"[{CJK}]", " $0 ")
    for pattern, replacement in _PHRASES:
        plain = _squeeze(plain.str.replace_all(rf"\b(?:{pattern})\b", replacement))
    word = pl.element()
    words = plain.str.split(" ").list.eval(
        word.filter(~word.is_in(_FILLERS) & (word != ""))
        .replace(_NUMBERS)
        .str.replace(_PLURAL, "$1")
    )
    quoted = text.str.extract_all(_QUOTED).list.eval(word.str.replace("^.(.*).$", "$1"))
    key = pl.when(words.list.len() > 0).then(
        pl.concat_list(words.list.join(" "), quoted).list.join("\x1f")
    )
    folded = _squeeze(pl.col("text").str.normalize("NFC").str.replace_all("’", "'"))
    return texts.alias("text").to_frame().select(folded).select(key.alias("key")).to_series()


def duplicates(texts: pl.Series, beside: pl.Series | None = None) -> pl.Series:
    """Return for each text the index of the first equal one before it, or null.

    Texts are equal when :func:`autoif_assets.method.ids.normalise` makes them equal; case counts.

    Args:
        texts: Strings; a null has no duplicates.
        beside: What must be the same, too, letter by letter, such as what was said before.

    Returns:
        A UInt32 series of the same length.
    """
    keys = pl.Series([None if t is None else normalise(t) for t in texts], dtype=pl.String)
    return _earlier(keys, beside)


def near_duplicates(texts: pl.Series, beside: pl.Series | None = None) -> pl.Series:
    """Return for each text the index of the first near-duplicate before it, or null.

    Exact duplicates are near-duplicates too. To compare a batch with earlier texts, put the
    earlier ones first. Time and memory grow linearly.

    Args:
        texts: Strings; a null or a text without content has no duplicates.
        beside: As of ``duplicates``.

    Returns:
        A UInt32 series of the same length.
    """
    return _earlier(near_duplicate_keys(texts), beside)


def _squeeze(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"[\s\x01-\x1f]+", " ").str.strip_chars(" ")


def _earlier(keys: pl.Series, beside: pl.Series | None) -> pl.Series:
    frame = pl.DataFrame({"key": keys} if beside is None else {"key": keys, "beside": beside})
    first = pl.col("row").min().over(frame.columns)
    repeats = pl.col("key").is_not_null() & (first < pl.col("row"))
    frame = frame.with_row_index("row")
    return frame.select(pl.when(repeats).then(first).alias("earlier")).to_series()


def trimmed(text: pl.Expr) -> pl.Expr:
    """Take off the space around a text but for the indentation of code; see `readable.trimmed`."""
    behind = text.str.strip_chars_end().str.replace(r"^\s*\n", "")
    is_indented = behind.str.contains(INDENTED)
    return pl.when(is_indented).then(behind).otherwise(behind.str.strip_chars_start())


def length_of(text: pl.Expr) -> pl.Expr:
    """Return how long a text is in characters, those of Chinese, Japanese and Korean as two.

    A text in these languages says the same in about half the characters.
    """
    return text.str.len_chars() + text.str.count_matches(rf"[{CJK}]")


def similarity(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Return the share of runs of three words that two texts have in common, from 0 to 1.

    A character of Chinese and Japanese, which have no spaces, is a word.

    Of all distinct runs in either text (their Jaccard index), so that a word, a sign, the case
    of letters or the order counts, in a short text more than in a long one. White space does not.
    """
    first, second = _runs(left), _runs(right)
    shared = first.list.set_intersection(second).list.len()
    return shared / first.list.set_union(second).list.len()


_WORDS = rf"[{_NO_SPACES}]|[^\s{_NO_SPACES}]+"


def _runs(text: pl.Expr) -> pl.Expr:
    return _all_runs(text).list.unique()


def _all_runs(text: pl.Expr) -> pl.Expr:
    word = pl.element()
    # The first two words end a run, too, and so does the only word of a text.
    padded = pl.concat_list(pl.lit(["", ""]), text.str.extract_all(_WORDS))
    runs = pl.concat_str([word.shift(2), word.shift(1), word], separator=" ")
    return padded.list.eval(runs.drop_nulls())


def word_runs(text: pl.Expr, words: int) -> pl.Expr:
    """Return all runs of so many words of a text, or the whole of a shorter one.

    The case of letters, punctuation and white space do not count; a character of Chinese and
    Japanese is a word.
    """
    found = text.str.to_lowercase().str.extract_all(_SPOKEN)
    behind = [pl.element().shift(by) for by in reversed(range(words))]
    runs = found.list.eval(pl.concat_str(behind, separator=" ").drop_nulls())
    return (
        pl.when(found.list.len() < words).then(pl.concat_list(found.list.join(" "))).otherwise(runs)
    )


_SPOKEN = rf"[{_NO_SPACES}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_NO_SPACES}]]+"


# Letters with their marks, digits, and symbols that stand for things, such as emoji.
_SAYS_SOMETHING = r"[\p{L}\p{M}\p{N}\p{So}]"
_MIN_SAYING = 0.3
_MIN_RUNS, _MIN_DISTINCT = 30, 0.3
_MIN_CHARACTERS, _MAX_KINDS = 100, 5


def degenerate(text: pl.Expr) -> pl.Expr:
    """Say which texts are noise or go round in circles, so that nobody could take them for answers.

    The rules are of the kind of Gopher's for web pages (arXiv 2112.11446, table A1: words with a
    letter, symbols, repeated n-grams), with bounds for answers, which are shorter and may have to
    be odd. A text is degenerate if

    - less than 0.3 of what is not white space are letters, digits or emoji (the lines of a table
      do not count),
    - it has 30 runs of three words and more, and less than 0.3 of them are distinct, or
    - it has 100 characters and more of at most 5 kinds.

    Measured on distinct texts: of 1,977 rejected responses of the simulator's demo 84 are (all are
    symbols; the other 1,893 have a share of 0.78 and more), of 2,171 chosen ones none. Of 286
    responses that the authors recorded, 78 of Qwen2.5-Coder-1.5B and 551 of ShareGPT none is: the
    smallest shares there are 0.52 of letters, 0.44 of distinct runs.
    """
    solid = text.str.count_matches(r"\S")
    # Tables of Markdown are drawn with these.
    drawn = text.str.replace_all(r"-{3,}|\|", "").str.count_matches(r"\S")
    says = text.str.count_matches(_SAYS_SOMETHING)
    runs = _all_runs(text)
    kinds = text.str.replace_all(r"\s", "").str.split("").list.n_unique()
    return (
        ((solid > 0) & ((says == 0) | (says < _MIN_SAYING * drawn)))
        | (
            (runs.list.len() >= _MIN_RUNS)
            & (runs.list.n_unique() < _MIN_DISTINCT * runs.list.len())
        )
        | ((solid >= _MIN_CHARACTERS) & (kinds <= _MAX_KINDS))
    )
