"""Even lengths: pairs that do not teach a policy to write longer or shorter answers.

DPO learns what tells chosen from rejected, and length is the easiest thing to learn. Where the
prompts of an instruction have more responses than their pairs need, those are taken whose lengths
differ least on average; where the instruction is about length, length is what a pair shall teach
and is left alone. What one instruction lacks no other makes up for: it would have to prefer longer
answers for no reason of its own.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from math import comb, prod

import polars as pl

from autoif_assets.method.text import CJK

_CATEGORY = "length"
# Numbers and units of English, German, French and Spanish: few words are in several of them, and
# an instruction is hardly ever in two.
_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty"
    " fifty sixty seventy eighty ninety hundred a single"
    " ein eine einem einen einer zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig"
    " dreißig vierzig fünfzig hundert"
    " un une deux trois quatre cinq sept huit neuf dix onze douze quinze vingt trente quarante"
    " cinquante cent"
    " uno una dos tres cuatro cinco seis siete ocho nueve diez once doce quince veinte treinta"
    " cuarenta cincuenta cien"
)
_NUMBER = rf"(?:\d[\d,.]*|{'|'.join(_NUMBERS.split())})"
_UNIT = (
    r"(?:words?|characters?|letters|sentences?|lines?|paragraphs?|stanzas?|tokens?|pages?"
    r"|wörtern?|worte?n?|zeichen|buchstaben|s[aä]tze?n?|zeilen?|abs[aä]tze?n?|seiten?|strophen?"
    r"|mots?|caractères?|lettres|phrases?|lignes?|paragraphes?|strophes?"
    r"|palabras?|caracteres|letras|frases?|oraci(?:ón|ones)|líneas?|párrafos?|páginas?|estrofas?)"
)
# "Five words that begin with m" or "two sentences in bold" says nothing of the whole.
_NARROWED = (
    r"(?: \w+ly)?,? (?:that|which|whose|beginning|starting|ending|containing|written|with|from"
    r"|of a|in (?:bold|italics?|capitals?|upper|lower|all|cyrillic|greek)"
    r"|die|deren|mit|aus|in (?:fett|kursiv|gro(?:ß|ss)|klein)"
    r"|qui|dont|avec|commençant|finissant|contenant|en (?:gras|italique|majuscules?|minuscules?)"
    r"|que|cuyas?|con|en (?:negrita|cursiva|mayúsculas?|minúsculas?))\b"
)
_COUNTED = rf"\b{_NUMBER}[ -](?:\w+[ -])?{_UNIT}\b"
# Without a number: "in a few words".
_FEW = (
    rf"\b(?:fewe?r?|wenige[nr]?|quelques|peu de|poc[ao]s|couple of) (?:\w+ )?{_UNIT}\b"
    r"|\b(?:long|lengthy|longue|lange[nrs]?) (?:answers?|responses?|repl(?:y|ies)|essays?|texts?"
    r"|réponses?|antwort(?:en)?|texte?)\b"
)
_SAID = (
    r"\b(?:(?:very |as )?(?:short(?:er)?|brief(?:ly)?|concise(?:ly)?|terse(?:ly)?|succinct(?:ly)?"
    r"|lengthy|longer|at length|verbose|wordy|word count|character (?:count|limit)|word limit)"
    r"|(?:length|long|size) of (?:the|your|each|every)|in (?:great )?detail|in[- ]depth"
    r"|kurz(?:e[nmrs]?)?|knapp(?:e[nmrs]?)?|kürzer|länger|wortzahl|zeichenzahl|ausführlich"
    r"|detailliert|umfangreich(?:e[nrs]?)?|länge (?:der|deiner|jede[rs]?)"
    r"|courte?s?|bref|brèves?|brièvement|concise?s?|longue?s?|détaillée?s?|en détail|longueur"
    r"|cort[oa]s?|breve(?:s|mente)?|concis[oa]s?|larg[oa]s?|detallad[oa]s?|en detalle|longitud"
    r"|extensión|con (?:mucho )?detalle)\b"
)
# Chinese, Japanese and Korean put no spaces, or no \b, around a number and its unit.
_CJK_SAID = (
    r"[\d〇一二两兩三四五六七八九十百千]+ ?(?:个|個|つの)?(?:汉|漢)?"
    r"(?:字|词|詞|单词|單詞|句|行|段|页|頁|文字|語|単語|文|段落|ページ)"
    r"|(?:\d+|한|두|세|네|다섯|여섯|일곱|여덟|아홉|열) ?(?:개의? ?)?"
    r"(?:글자|자|단어|문장|줄|문단|단락|페이지)"
    r"|简短|簡短|简洁|簡潔|精简|简要|简明|详细|詳細|详尽|长度|長度|字数|字數|篇幅"
    r"|[长長短][文篇]|冗长|冗長"
    r"|短く|短い(?:文|回答)|手短|一言|長く|詳しく|長さ|文字数"
    r"|짧게|간결|간단(?:히|하게)|길게|자세히|자세하게|길이|글자 ?수"
)
# Words that hardly any instruction in these languages does without.
_KNOWN_WORDS = (
    r"\b(?:the|a|an|your|of|with|and|no|not|use|to|at|be|each|every|all|write|answer|do|only|it"
    r"|der|die|das|den|dem|ein|eine|einen|und|mit|nicht|deine|deiner|kein|keine|schreibe|verwende"
    r"|le|les|une|des|du|dans|avec|et|ta|votre|aucun|au|aux|pas|écris|utilise"
    r"|el|los|las|una|en|tu|con|ningún|ninguna|escribe|usa|responde)\b"
)

# Of more candidates the first twelve, which are any twelve, are compared: all ways to take two
# of twelve are 66, of a hundred 4,950.
_COMPARED = 12


def constrains_length(instruction: pl.Expr, category: pl.Expr) -> pl.Expr:
    """Return whether an instruction constrains how long the answer, or a part of it, is.

    It does if its category is ``length``, or if its text counts words, characters, letters,
    sentences, lines, paragraphs, tokens or pages (unless only those of some kind: "five words
    that begin with m"), or asks for something short, long or detailed. Category alone does not
    do: instructions that a model wrote have none.

    Args:
        instruction: Text of the instruction.
        category: Its category or null.

    Returns:
        A Boolean expression; null where neither tells and the text is in none of the languages
        whose words are known (English, German, French, Spanish, Chinese, Japanese, Korean):
        ``follows_length`` measures it there.
    """
    text = instruction.str.to_lowercase()
    counted = text.str.replace_all(_COUNTED + _NARROWED, "").str.contains(_COUNTED)
    said = (
        counted | text.str.contains(_SAID) | text.str.contains(_FEW) | text.str.contains(_CJK_SAID)
    )
    known = text.str.contains(rf"[{CJK}]") | text.str.contains(_KNOWN_WORDS) | (text == "")
    tells = (category == _CATEGORY).fill_null(False) | said.fill_null(False)
    return pl.when(tells | known.fill_null(True)).then(tells)


# Of the lengths that passed so many span what is allowed; chance puts two in nine of the others
# outside of it, and nine in ten of four hardly ever.
_LEAST_PASSING, _LEAST_FAILING, _OUTSIDE = 8, 4, 0.9


def follows_length(passing: pl.DataFrame, failing: pl.DataFrame) -> pl.DataFrame:
    """Measure which instructions are about length: those that texts of other lengths fail.

    Args:
        passing: ``instruction_id`` and ``length`` of texts that obey the instruction.
        failing: The same of those that do not.

    Returns:
        ``instruction_id`` and ``follows_length`` of the instructions of ``passing``: whether nine
        in ten that fail are shorter or longer than every one that passes; False where fewer than
        eight pass or four fail.
    """
    spans = passing.group_by("instruction_id", maintain_order=True).agg(
        least=pl.col("length").min(), most=pl.col("length").max(), passing=pl.len()
    )
    outside = (
        failing.join(spans, on="instruction_id")
        .group_by("instruction_id")
        .agg(
            outside=(~pl.col("length").is_between("least", "most")).mean(),
            failing=pl.len(),
        )
    )
    enough = (pl.col("passing") >= _LEAST_PASSING) & (pl.col("failing") >= _LEAST_FAILING)
    return spans.join(outside, on="instruction_id", how="left", maintain_order="left").select(
        "instruction_id",
        follows_length=(enough & (pl.col("outside") >= _OUTSIDE)).fill_null(False),
    )


def balanced(
    prompts: Iterable[tuple[str, Sequence[int], Sequence[int], tuple[int, int]]],
) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Choose what is paired of the prompts of one instruction, so that lengths come out even.

    Those with the fewest ways to choose come first, and each takes the way that brings the sum of
    all differences so far closest to zero; so what some prompts lack others make up for, and a
    prompt alone gets the smallest difference there is.

    Args:
        prompts: Of each prompt its key, the lengths of what may be chosen and of what may be
            rejected, and how many to take of each; at most as many as there are.

    Yields:
        The key, and the places of those taken on each side; of equally good ones the first. Of
        more than twelve on a side only the first twelve are looked at.
    """

    def ways(prompt: tuple[str, Sequence[int], Sequence[int], tuple[int, int]]) -> tuple[int, str]:
        key, *sides, sizes = prompt
        counts = (
            comb(min(len(side), _COMPARED), size) for side, size in zip(sides, sizes, strict=True)
        )
        return prod(counts), key

    balance = 0
    for key, chosen, rejected, sizes in sorted(prompts, key=ways):
        balance, first, second = _closest(chosen, rejected, sizes, balance)
        yield key, first, second


def _closest(
    chosen: Sequence[int], rejected: Sequence[int], sizes: tuple[int, int], balance: int
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return the sum closest to zero of ``balance`` and all differences, and how to get it."""
    of_chosen, of_rejected = sizes
    sums: dict[int, tuple[int, ...]] = {}
    for picked in combinations(range(min(len(rejected), _COMPARED)), of_rejected):
        sums.setdefault(of_chosen * sum(rejected[i] for i in picked), picked)
    ascending = sorted(sums)
    found = []
    for picked in combinations(range(min(len(chosen), _COMPARED)), of_chosen):
        total = balance + of_rejected * sum(chosen[i] for i in picked)
        place = bisect_left(ascending, total)
        found += [
            (abs(total - near), picked, sums[near], total - near)
            for near in ascending[max(place - 1, 0) : place + 1]
        ]
    _, first, second, balance = min(found)
    return balance, first, second
