"""`autoif show`: any row by its id, and what it was made from, up to the seed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.home import data_dir, open_warehouse
from autoif_assets.cli.output import say

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

    from autoif_assets.warehouse.relations import Found, Origin, Query

_LEAST = 4  # letters of an id
_SHORT = 90  # characters of a text beside others
_LONG = 2_000
# What the model wrote before it was read, and what every row has.
_BEHIND = ("raw", "reasoning", "batch")


@click.command()
@click.argument("row_id")
@click.option("--batch", default=None, help="Batch whose rows are shown, where several have it.")
@click.option("--full", is_flag=True, help="Show texts whole, and the answers as they came.")
def show(row_id: str, batch: str | None, full: bool) -> None:
    """Show what ROW_ID names, an instruction, verifier, case, response, pair or call, and its way.

    ROW_ID is any id of the tables, or its beginning. Shown are all rows that are about it, what it
    was made from, up to the seed and the calls, and what was made of it.
    """
    import polars as pl

    from autoif_assets.cli.pages import console
    from autoif_assets.warehouse import relations

    if len(row_id) < _LEAST:
        raise click.ClickException(f"{row_id!r} is no id: give {_LEAST} letters of it or more.")
    with open_warehouse().reader() as con:

        def query(sql: str, values: Any) -> pl.DataFrame:
            return pl.DataFrame(con.sql(sql, params=values).to_arrow_table())

        ids = relations.ids_like(query, row_id)
        if not ids:
            raise click.ClickException(
                f"No row of the tables in {data_dir()} has the id {row_id}; ids are in the columns "
                "whose names end with _id (docs/tables.md)."
            )
        if len(ids) > 1:
            raise click.ClickException(f"Several ids begin with {row_id}: {', '.join(ids)}.")
        batches = relations.batches_with(query, ids[0])
        if batch is not None and batches and batch not in batches:
            raise click.ClickException(f"{ids[0]} is in {', '.join(batches)}, not in {batch}.")
        batch = batch or next(iter(batches), None)
        terminal = console()
        for page in _pages(query, ids[0], batch, full=full):
            terminal.print(page)
    if others := [name for name in batches if name != batch]:
        say(f"Shown is {batch}; it is also in {', '.join(others)} (--batch).")


def _pages(
    query: "Query", row_id: str, batch: str | None, *, full: bool
) -> Iterator["RenderableType"]:
    from rich.tree import Tree

    from autoif_assets.cli.pages import plain
    from autoif_assets.warehouse import relations

    rows = relations.rows_about(query, row_id, batch)
    told: dict[str, Any] = {}
    for found in rows:
        yield _page(found, row_id, told, full=full)
        told |= found.row
    seen = {(found.table, found.id) for found in rows}
    tree = Tree(plain(f"{row_id} was made from", style="bold"))
    # Rows about the same are one thing: what each of them came from is above it.
    for found in rows:
        _grow(tree, relations.ancestry(query, found, seen))
    yield tree if tree.children else plain("Nothing in the tables came before it.")
    if made := relations.made_of_it(query, row_id, batch):
        yield plain(
            "Rows that name it: " + ", ".join(f"{count} {name}" for name, count in made.items())
        )


def _page(found: "Found", row_id: str, told: dict[str, Any], *, full: bool) -> "RenderableType":
    """Return all that a row says and those before it did not."""
    from autoif_assets.cli.pages import facts_table, panel, plain, python
    from autoif_assets.reports.formatting import in_words
    from autoif_assets.reports.reasons import explain
    from autoif_assets.warehouse import TABLES

    facts: list[tuple[str, str]] = []
    texts: list[RenderableType] = []
    most = None if full else _LONG
    for name, value in found.row.items():
        if value is None or value == row_id or (name in _BEHIND and not full):
            continue
        # What a gate says counts for itself.
        if name not in ("status", "reason") and name in told and told[name] == value:
            continue
        text = in_words(value)
        if name == "source" and "evaluate" in text:
            texts += [python(text)]
        elif name == "reason":
            facts.append((name, f"{text}: {explain(found.table, text)}".removesuffix(": ")))
        elif len(text) > _SHORT or "\n" in text:
            texts += [plain(f"{name}:", style="bold"), plain(text, most)]
        else:
            facts.append((name, text))
    colour = {"accepted": "green", "rejected": "red"}.get(str(found.row.get("status")), "")
    about = plain(TABLES[found.table].description, style="italic")
    return panel(found.table, about, facts_table(facts), *texts, style=colour)


def _grow(tree: "Tree", origins: "list[Origin]") -> None:
    """Add what a row was made from, and what that was made from."""
    from autoif_assets.cli.pages import plain

    for origin in origins:
        found, row = origin.found, origin.found.row
        told = [*filter(None, [found.role]), found.table, found.id]
        if found.table == "llm_calls":
            told.append(str(row["model"]))
        elif "line" in row:
            told.append(f"{row['source']}, line {row['line']}")
        label = plain(" ".join(told), style="bold")
        if found.text:
            line = " ".join(found.text.split())
            line = line if len(line) <= _SHORT else f"{line[:_SHORT]}…"
            label.append_text(plain(f"\n{line}", style="not bold"))
        _grow(tree.add(label), origin.origins)
