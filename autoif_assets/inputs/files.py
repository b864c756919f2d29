"""Finding input files, telling their format, and saying what is wrong with them."""

import codecs
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

_PACKAGE = "autoif_assets"
_CHUNK = 1 << 20
_BY_SUFFIX = {
    ".txt": "text",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


class InputError(ValueError):
    """An input a person gave cannot be used; the message names file, place and what to do."""


def fail(source: str | Path, message: str) -> NoReturn:
    """Raise an :class:`InputError` about ``source``."""
    raise InputError(f"{source}: {message}")


def packaged(name: str) -> tuple[str, Path]:
    """Return the name to record and the path of a file in ``method/data``."""
    relative = f"method/data/{name}"
    return f"{_PACKAGE}/{relative}", Path(str(files(_PACKAGE).joinpath(relative)))


def find_files(spec: str) -> list[Path]:
    """Resolve a path, a glob or several of them separated by commas to files, each one once.

    Raises:
        InputError: A path does not exist or is a folder, or a glob matches no file.
    """
    parts = [spec] if Path(spec).expanduser().exists() else spec.split(",")
    found: dict[Path, None] = {}
    for part in filter(None, (part.strip() for part in parts)):
        path = Path(part).expanduser()
        if path.is_dir():
            fail(part, f'is a folder; name a file or a glob such as "{path / "*.jsonl"}"')
        if path.exists():
            found[path] = None
        elif any(sign in part for sign in "*?["):
            pattern = str(path.relative_to(path.anchor))
            matches = sorted(filter(Path.is_file, Path(path.anchor).glob(pattern)))
            if not matches:
                fail(part, "the glob matches no file")
            found.update(dict.fromkeys(matches))
        else:
            fail(part, f"no such file (looked from {Path.cwd()})")
    if not found:
        fail(spec, "names no file")
    return list(found)


def sniff(path: Path) -> str:
    """Return ``text``, ``csv``, ``parquet`` or ``json`` from the name, else from the content.

    Raises:
        InputError: The file cannot be read or is empty.
    """
    head = read_head(path)
    if not head.strip():
        fail(path, "the file is empty")
    known = _BY_SUFFIX.get(path.suffix.lower())
    if known:
        return known
    if head.startswith(b"PAR1"):
        return "parquet"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "text"


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file without a UTF-8 byte order mark."""
    try:
        with path.open("rb") as file:
            return file.read(4096).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        fail(path, f"cannot be read: {error.strerror}")


def decoded(path: Path) -> Iterator[str]:
    """Yield a UTF-8 file's text in pieces, without a byte order mark.

    Raises:
        InputError: The file is not UTF-8; names the line and the byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    line = 1
    with path.open("rb") as file:
        while True:
            data = file.read(_CHUNK)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                _not_utf8(path, line, error.object[error.start])
            if "\0" in text:
                _not_utf8(path, line + text[: text.index("\0")].count("\n"), 0)
            line += text.count("\n")
            yield text
            if not data:
                return


def _not_utf8(path: Path, line: int, byte: int) -> NoReturn:
    # 0xff and 0xfe open a UTF-16 file, 0x00 is every other byte of it.
    hint = " (is it UTF-16?)" if byte in (0x00, 0xFE, 0xFF) else ""
    fail(path, f"line {line} has byte 0x{byte:02x}{hint}; expected UTF-8 text, save it as UTF-8")
