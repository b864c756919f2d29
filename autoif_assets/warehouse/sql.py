"""SQL as DuckDB 1.5 and 2.0 both want it: statements, transactions and literals."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection, mode: str = "") -> Iterator[None]:
    """Commit at the end, or roll back if there is an error.

    Args:
        con: The open database.
        mode: ``"READ ONLY"`` to refuse statements that write.
    """
    execute(con, f"BEGIN TRANSACTION {mode}")
    try:
        yield
        execute(con, "COMMIT")
    except BaseException:
        # A commit that failed has ended the transaction itself.
        with suppress(duckdb.Error):
            execute(con, "ROLLBACK")
        raise


def execute(con: duckdb.DuckDBPyConnection, sql: str, params: Sequence[object] = ()) -> None:
    """Execute a statement to its end; DuckDB 2.0 wants a result fetched before the next."""
    con.execute(sql, list(params)).fetchall()


def literal(text: str) -> str:
    """Return ``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
