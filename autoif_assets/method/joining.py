"""A query and an instruction put into what a trained model is asked, neither of them damaged."""

import re
import unicodedata

_TERMINAL = frozenset(".!?…:;。！？：；｡؟۔।‼⁉⁇⁈")
_CLOSING = "\"'”’)]}»」』）】》〉〗`*_"
# What the last line of a text ends in if a full stop would become part of it.
_ENDS_IN_CODE = re.compile(
    r"""
    (?:
        `[^`\n]+`
      | (?:https?|ftp|file)://\S+ | www\.\S+ | \S+@[\w-]+(?:\.[\w-]+)* | \$[a-zA-Z_]\w*
      | (?<![\w.])[\w-]+(?:\.[\w-]+)*\.[a-z][a-z0-9]{1,9}(?:/\S*)?
      | (?<!\S)(?:~|\.{1,2})?/[\w./~-]+ | \b[A-Z]:\\\S+ | (?<!\S)--?[a-zA-Z][\w-]*(?:=\S+)?
      | \w\((?!e?s\))[^()\n]*\) | \w\[[^\[\]\n]*\] | [\]}>] | (?<=[)\]}\w]);
    )
    $
    """,
    re.VERBOSE,
)
# One line that is code from its begin on: a command, a statement of SQL, an assignment. A sentence
# may begin with one.
_IS_CODE = re.compile(
    r"""
    (?!.*\ (?:is|are|must|should|shall|the|a|an|that|vs|versus)\b)
    (?:\$\ |sudo\ )?(?:
        (?:npm|npx|yarn|pnpm|pip3?|conda|brew|apt|apt-get|git|docker|kubectl|helm|cargo|curl|wget|ssh
          |scp|cd|mkdir|chmod|chown|grep|sed|awk|systemctl|python3?)(?:\ [^\s?!]+){1,8}
      | (?:SELECT|INSERT\ INTO|DELETE\ FROM|UPDATE|CREATE|ALTER|DROP)\ [^?!]+
      | [a-zA-Z_][\w.]*(?:\[[^\[\]\s]*\])?\ ?[+\-*/%|&]?=\ ?[^\s=?][^?!]*
    )
    """,
    re.VERBOSE,
)
_LOOKED_AT = 300  # characters of a line's end; of a longer address the end is one
_ITEM = re.compile(r"\s*(?:[-*+•]|\(?\d{1,3}[.)、]|[①-⑳])\s*\S")
# Only these begin a sentence for certain; a name, a command or a symbol keeps its small letter.
_OPENERS = (
    "what why how who whom whose where when is are am was were do does did can could would"
    " should will shall may might must have has had i i'm i'd i've we you he she it they there"
    " this that these those the a an my your our their his her its please give tell explain"
    " describe write generate suggest summarize summarise translate compose propose provide use"
    " include avoid begin say answer respond reply mention ensure keep finish imagine discuss"
    " compare identify design draft rewrite edit classify analyze analyse calculate convert"
    " correct construct develop determine evaluate outline paraphrase predict recommend rephrase"
    " restrict think consider let's don't never always every all no each only at as after"
    " before come add state thanks thank hello hi hey"
    # German, French, Spanish
    " was wie wer wo wann warum welche welcher welches der die das ein eine ist sind kann bitte"
    " schreibe schreib erkläre nenne gib verwende benutze antworte quel quelle quels quelles"
    " comment pourquoi quand qui que le la les un une est écris écrivez explique expliquez donne"
    " donnez utilise utilisez réponds répondez qué cómo cuál cuáles quién dónde cuándo por el"
    " los las una es escribe explica dame usa utiliza responde"
)
_OPENING_WORDS = frozenset(_OPENERS.split())
# Commands and keywords as well as words; what follows in prose tells them.
_AMBIGUOUS = (
    "make find which sort test time cut list create select update delete insert open close run"
    " start end stop set get print read count check change take look search in to on of for with"
    " from if while not and or but so compile order show put limit repeat rank help name let"
)
_AMBIGUOUS_WORDS = frozenset(_AMBIGUOUS.split())
_FOLLOWS = re.compile(
    # Without "i", which code counts with.
    r"\s+(?:a|an|the|me|my|your|our|their|this|these|those|some|all|any|every|each|it|its|you|us|we"
    r"|of the|up|out|no|exactly|at)\b"
)
# What a sign of code follows is a name, be it "this.x", "is.na(x)" or "a = 1".
_FIRST_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*(?=[,:;.!?…]*(?:\s+(?![=+*/<>|&^%{(\[])|$))")


def join_prompt(query: str, instruction: str) -> str:
    """Join a query and an instruction into what a trained model is asked [3.4].

    Prose begins with a capital and ends with a mark of its own or a full stop; a text of several
    lines, and one that ends in code, a list or an address, gets none and is followed by a blank
    line. The authors' step 9 looks for ``?`` or ``.`` anywhere in the query and always appends a
    full stop, which leaves "Write a poem" unended after "v1.0" and doubles the mark of "Use no
    commas."; we look at the end of each text.
    """
    query, instruction = _trimmed(query), _trimmed(instruction)
    between = "\n\n" if _stands_apart(query) else " "
    return between.join((_sentence(query), _sentence(instruction)))


def _trimmed(text: str) -> str:
    # The space that a text of several lines begins with may be that of its code.
    return text.strip("\r\n").rstrip() if "\n" in text.strip() else text.strip()


def _stands_apart(text: str) -> bool:
    if "\n" in text or "\r" in text or _ITEM.match(text):
        return True
    return bool(_IS_CODE.fullmatch(text[:_LOOKED_AT])) or bool(
        _ENDS_IN_CODE.search(text[-_LOOKED_AT:])
    )


def _sentence(text: str) -> str:
    if not text:
        return text
    if _begins_a_sentence(text):
        # One character's capital can be several ("ß" -> "SS"); such letters stay as they are.
        capital = text[0].upper()
        text = (capital if len(capital) == 1 else text[0]) + text[1:]
    end = text.rstrip(_CLOSING) or text
    if end[-1] in _TERMINAL or _stands_apart(text):
        return text
    return text + ("。" if _is_han_or_kana(end[-1]) else ".")


def _begins_a_sentence(text: str) -> bool:
    word = _FIRST_WORD.match(text)
    if word is None or not word[0].islower():
        return False
    if not word[0].isascii() and not unicodedata.name(word[0][0], "").startswith("LATIN"):
        # Commands and code are written in Latin letters.
        return True
    first = word[0].replace("’", "'")
    if first in _OPENING_WORDS:
        return True
    return first in _AMBIGUOUS_WORDS and _FOLLOWS.match(text, word.end()) is not None


def _is_han_or_kana(letter: str) -> bool:
    # Korean is as wide, and ends its sentences with a full stop.
    wide = unicodedata.east_asian_width(letter) in "WF" and letter.isalpha()
    return wide and not unicodedata.name(letter, "").startswith("HANGUL")
