"""What documents for people hold: code blocks, commands, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / ".github" / "pull_request_template.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its document, its place among those of its language, and its text."""

    document: str
    language: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}-{self.language}-{self.number}"


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of some languages in all documents; all blocks where none is named."""
    found = []
    for document, text in DOCUMENTS.items():
        numbers: dict[str, int] = {}
        for _, language, block in _BLOCK.findall(text):
            numbers[language] = number = numbers.get(language, -1) + 1
            if not languages or language in languages:
                found.append(Block(document, language, number, block))
    return found


def commands(document: str) -> list[str]:
    """Return the commands of a document's shell blocks, each in a line."""
    found = [block.text for block in blocks("sh") if block.document == document]
    return [
        line for text in found for line in text.replace("\\\n", " ").split("\n") if line.strip()
    ]


def words(command: str) -> list[str]:
    """Return a command as its program and arguments, without variables before and comments."""
    found = shlex.split(command, comments=True)
    while found and re.match(r"[A-Z_]+=", found[0]):
        del found[0]
    return found


def spoken(document: str) -> Iterator[str]:
    """Yield what stands in backquotes within the text."""
    yield from _CODE.findall(_BLOCK.sub("", DOCUMENTS[document]))


def links(document: str) -> list[str]:
    """Return where the links and pictures of a document lead."""
    return re.findall(r"\]\(([^)\s]+)\)", _CODE.sub("", _BLOCK.sub("", DOCUMENTS[document])))


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", DOCUMENTS[document]), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in kept}
