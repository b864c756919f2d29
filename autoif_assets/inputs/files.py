"""Finding input files, telling their format, and saying what is wrong with them."""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO, NoReturn, cast

_PACKAGE = "autoif_assets"
_CHUNK = 1 << 20
_BY_SUFFIX = {
    ".txt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_COMPRESSED = (".gz", ".zst")
# What a byte that is no UTF-8 becomes, and what a half of a surrogate pair is: neither is text.
_NO_TEXT = re.compile("[\ud800-\udfff]")


class InputError(ValueError):
    """An input a person gave cannot be used; the message names file, place and what to do."""


def fail(source: str | Path, message: str) -> NoReturn:
    """Raise an :class:`InputError` about ``source``."""
    raise InputError(f"{source}: {message}")


def packaged(name: str) -> tuple[str, Path]:
    """Return the name to record and the path of a file in ``method/data``."""
    relative = f"method/data/{name}"
    return f"{_PACKAGE}/{relative}", Path(str(files(_PACKAGE).joinpath(relative)))


PREFIX = "hf://"


@dataclass(frozen=True)
class Named:
    """A file or a dataset of a hub, and what was named with it.

    Attributes:
        source: What is recorded of it.
        column: The column to read (``path:column``).
        split: The split of a dataset.
    """

    source: str
    column: str | None = None
    split: str | None = None

    @property
    def path(self) -> Path:
        """Where it lies, if it is a file."""
        return Path(self.source)

    @property
    def is_on_hub(self) -> bool:
        """Whether it is a dataset of a hub."""
        return self.source.startswith(PREFIX)


def split_spec(spec: str) -> list[str]:
    """Return the parts of a spec that commas separate, unless a file has its name."""
    parts = [spec] if Path(spec).expanduser().exists() else spec.split(",")
    return [part for part in (part.strip() for part in parts) if part]


def find_files(part: str) -> list[Named]:
    """Resolve a path or a glob; behind a colon may stand the column to read of the files.

    Raises:
        InputError: The path does not exist or is a folder, or the glob matches no file.
    """
    paths, column = _matches(part), None
    before, _, behind = part.rpartition(":")
    if not paths and before and behind and (named := _matches(before)):
        paths, column = named, behind
    if paths is None:
        fail(part, f"no such file (looked from {Path.cwd()})")
    if not paths:
        fail(part, "the glob matches no file")
    return [Named(str(path), column) for path in paths]


def _matches(part: str) -> list[Path] | None:
    """Return the files that a path or a glob names; None where there is no such path."""
    path = Path(part).expanduser()
    if path.is_dir():
        fail(part, f'is a folder; name a file or a glob such as "{path / "*.jsonl"}"')
    if path.exists():
        return [path]
    if any(sign in part for sign in "*?["):
        pattern = str(path.relative_to(path.anchor))
        return sorted(filter(Path.is_file, Path(path.anchor).glob(pattern)))
    return None


def sniff(path: Path) -> str:
    """Return ``text``, ``markdown``, ``csv``, ``tsv``, ``parquet`` or ``json``.

    The name decides; the content where it has no suffix.

    Raises:
        InputError: The file cannot be read, is empty or UTF-16, or its suffix is not known.
    """
    suffix, packed = _suffixes(path)
    known = _BY_SUFFIX.get(suffix)
    if suffix and known is None:
        names = ", ".join(_BY_SUFFIX)
        fail(path, f'the suffix "{suffix}" is not known; known are {names}, also with .gz or .zst')
    if packed and known == "parquet":
        fail(path, "Parquet files are compressed inside; unpack it")
    head = read_head(path)
    if not head.strip():
        fail(path, "the file is empty")
    if known != "parquet" and not head.startswith(b"PAR1"):
        _refuse_utf16(path, head)
    if known:
        return known
    if head.startswith(b"PAR1"):
        return "parquet"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "text"


def _suffixes(path: Path) -> tuple[str, str]:
    """Return the suffix that tells the format, and that of the compression; empty without."""
    suffix = path.suffix.lower()
    if suffix in _COMPRESSED:
        return Path(path.stem).suffix.lower(), suffix
    return suffix, ""


def compression(path: Path) -> str:
    """Return how DuckDB calls the compression of a file."""
    return {".gz": "gzip", ".zst": "zstd"}.get(_suffixes(path)[1], "none")


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading what it holds, decompressed."""
    kind = compression(path)
    if kind == "zstd":
        import pyarrow as pa

        return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path)), kind))
    return cast("IO[bytes]", gzip.open(path)) if kind == "gzip" else path.open("rb")


def chunks(path: Path, size: int | None = None) -> Iterator[bytes]:
    """Yield what a file holds in pieces, decompressed.

    Raises:
        InputError: It cannot be read or decompressed.
    """
    try:
        with open_file(path) as file:
            while data := file.read(size or _CHUNK):
                yield data
    except (EOFError, zlib.error) as error:
        fail(path, f"cannot be decompressed: {error}")
    except OSError as error:
        fail(path, f"cannot be read: {error.strerror or error}")


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file without a UTF-8 byte order mark."""
    return next(chunks(path, 4096), b"").removeprefix(codecs.BOM_UTF8)


def decoded(path: Path) -> Iterator[str]:
    """Yield a UTF-8 file's text in pieces, without a byte order mark.

    A byte that is not UTF-8 becomes half of a surrogate pair, which `is_text` tells.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    is_first = True
    for data in chunks(path):
        text = decoder.decode(data.removeprefix(codecs.BOM_UTF8) if is_first else data)
        is_first = False
        yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


def is_text(text: str) -> bool:
    """Whether a text holds nothing that UTF-8 cannot."""
    return text.isascii() or _NO_TEXT.search(text) is None


def _refuse_utf16(path: Path, head: bytes) -> None:
    # 0xff and 0xfe open a UTF-16 file, 0x00 is every other byte of it.
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or 4 * head.count(0) > len(head):
        byte = head[0] if head[0] >= 0xFE else 0
        fail(
            path,
            f"line 1 has byte 0x{byte:02x} (is it UTF-16?); expected UTF-8 text, save it as UTF-8",
        )
