"""The blocks of a database that a killed or failed checkpoint can leave half written.

DuckDB writes rows into free blocks, but its metadata over the blocks in which the last checkpoint's
metadata lies. SIGKILL or a full disk in the middle of such a block leaves a file that cannot be
opened. So these blocks, a few of 256 KB, are put aside before a transaction that writes, and put
back where its checkpoint did not get as far as the header that ends it.
"""

import os
from contextlib import suppress
from pathlib import Path

import duckdb

HEADERS = 3 * 4096
"""Bytes of DuckDB's main header and its two alternating database headers."""

_BLOCK = 1 << 18
_NUMBER = 8


class Undo:
    """The blocks put aside of one database file, in a file beside it.

    Args:
        database: The file; nobody else may use it meanwhile.
    """

    def __init__(self, database: Path):
        self._database = database
        self._path = database.with_name(f"{database.name}.undo")
        self._fd = -1

    def recover(self) -> None:
        """Put back what a checkpoint that did not end has overwritten, before the file is opened.

        Harmless where it overwrote nothing.
        """
        try:
            saved = self._path.read_bytes()
        except FileNotFoundError:
            return
        with suppress(FileNotFoundError), self._database.open("r+b") as file:
            if file.read(HEADERS) == saved[:HEADERS]:
                for start in range(HEADERS, len(saved), _NUMBER + _BLOCK):
                    number = int.from_bytes(saved[start : start + _NUMBER], "little")
                    file.seek(HEADERS + number * _BLOCK)
                    file.write(saved[start + _NUMBER : start + _NUMBER + _BLOCK])
                file.flush()
                os.fsync(file.fileno())
        self._path.unlink()

    def save(self, con: duckdb.DuckDBPyConnection) -> None:
        """Put the metadata's blocks aside, before a transaction that writes.

        Not flushed to disk: it is for killed processes, not for power cuts. Where the disk is full
        the transaction will fail, too, and tell.
        """
        found = con.execute("SELECT DISTINCT block_id FROM pragma_metadata_info()").fetchall()
        if self._fd < 0:
            # Closing any descriptor of the file would drop the lock that DuckDB has on it.
            self._fd = os.open(self._database, os.O_RDONLY | os.O_CLOEXEC)
        parts = [os.pread(self._fd, HEADERS, 0)]
        for (number,) in found:
            block = os.pread(self._fd, _BLOCK, HEADERS + number * _BLOCK)
            if len(block) == _BLOCK:  # else it was never written
                parts += [number.to_bytes(_NUMBER, "little"), block]
        partial = self._path.with_name(f"{self._path.name}.partial")
        try:
            partial.write_bytes(b"".join(parts))
            partial.replace(self._path)
        except OSError:
            partial.unlink(missing_ok=True)

    def close(self, done: bool) -> None:
        """Let the file go after DuckDB has closed it, and what was put aside where all is well."""
        if self._fd >= 0:
            os.close(self._fd)
        if done:
            self._path.unlink(missing_ok=True)
