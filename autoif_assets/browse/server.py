"""The pages over HTTP, for this machine alone.

On aiohttp, as the reward server is. Nothing is written, and nothing is kept between requests: each
opens what readers read, so that a run's next publication is seen.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import duckdb
import polars as pl
from aiohttp import web

from autoif_assets.browse import queries
from autoif_assets.browse.pages import id_address, row_page, rows_page
from autoif_assets.browse.queries import BadAddress, Relation, Selection
from autoif_assets.display import displayed
from autoif_assets.reports.formatting import environment
from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.relations import (
    Found,
    Query,
    about,
    batches_with,
    ids_like,
    rows,
    rows_about,
)
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import TABLES

HOST = "127.0.0.1"
_NAMES = {HOST, "localhost", "::1"}
_THREADS = 2  # each holds a page's rows
_LEAST = 4  # letters of an id
_PACKAGES = ("autoif_assets.browse", "autoif_assets.reports")
# No script, no other server, no form to elsewhere, whatever is in the tables.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Page = Callable[[Query, web.Request], str]


def application(warehouse: Warehouse) -> web.Application:
    """Return the pages of a warehouse as an application.

    Args:
        warehouse: What is read, as it is published at each request.
    """
    threads = ThreadPoolExecutor(_THREADS, "autoif-browse")

    def answer(page: _Page, request: web.Request) -> str:
        with warehouse.reader() as con:

            def query(sql: str, values: Any) -> pl.DataFrame:
                return pl.DataFrame(con.sql(sql, params=values).to_arrow_table())

            return page(query, request)

    async def serve(page: _Page, request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        return _html(await loop.run_in_executor(threads, answer, page, request))

    app = web.Application(middlewares=[_guard])
    app.router.add_get("/style.css", _style)
    pages: dict[str, _Page] = {
        "/": partial(_tables, warehouse.for_readers),
        "/table/{table:.+}": _table,
        "/row/{table}": _row,
        "/id": _search,
        "/id/{id:.+}": _about,
    }
    for path, page in pages.items():
        app.router.add_get(path, partial(serve, page))
    return app


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer this machine's browsers alone, and tell what is wrong on a page."""
    response: web.StreamResponse
    try:
        if not _is_ours(request.headers.get("Host", "")):
            raise web.HTTPForbidden(text=f"These pages are for this machine: http://{HOST}.")
        response = await handler(request)
    except web.HTTPRedirection as error:
        error.headers.update(_HEADERS)
        raise
    except web.HTTPException as error:
        response = _trouble(error.status, error.text or error.reason)
    except (BadAddress, duckdb.ConversionException) as error:
        response = _trouble(400, str(error).partition("\n")[0])
    except (WarehouseError, duckdb.Error) as error:
        response = _trouble(503, str(error).partition("\n")[0])
    response.headers.update(_HEADERS)
    return response


def _is_ours(host: str) -> bool:
    """Whether a browser asked by a name of this machine, not by one that only leads here."""
    try:
        return urlsplit(f"//{host}").hostname in _NAMES
    except ValueError:
        return False


async def _style(request: web.Request) -> web.Response:
    return web.Response(text=_css(), content_type="text/css")


@cache
def _css() -> str:
    names = zip(reversed(_PACKAGES), ("style.css", "browse.css"), strict=True)
    return "\n".join((files(package) / name).read_text("utf-8") for package, name in names)


@cache
def _templates() -> Any:
    templates = environment(*_PACKAGES)
    templates.globals["comparisons"] = queries.COMPARISONS
    return templates


def _rendered(name: str, **values: Any) -> str:
    # Models' texts are in it: none may turn what is written around them.
    return displayed(_templates().get_template(f"{name}.html.jinja").render(**values))


def _html(page: str, status: int = 200) -> web.Response:
    return web.Response(
        body=page.encode(), status=status, content_type="text/html", charset="utf-8"
    )


def _trouble(status: int, message: str) -> web.Response:
    return _html(_rendered("message", message=message, ids=[]), status)


def _tables(place: str, query: Query, request: web.Request) -> str:
    found = queries.catalogue(query)
    counted = [one for one in found.values() if not one.is_view]
    counts: dict[str, int] = {}
    if counted:
        parts = [
            f"SELECT {place} AS place, count(*) AS rows FROM {one.sql}"
            for place, one in enumerate(counted)
        ]
        counts = {
            counted[place].address: count
            for place, count in query(" UNION ALL ".join(parts), []).iter_rows()
        }
    groups: dict[str, list[Relation]] = {}
    for one in found.values():
        groups.setdefault(one.group, []).append(one)
    return _rendered("tables", place=place, groups=groups, counts=counts, SORT=queries.SORT)


def _table(query: Query, request: web.Request) -> str:
    relation = _relation(query, request)
    pairs = list(request.query.items())
    if any(name in _FORM for name, _ in pairs):
        raise web.HTTPFound(queries.address(relation, _asked(relation, pairs)))
    of = queries.selection(relation, pairs)

    def to(**changed: Any) -> str:
        return queries.address(relation, replace(of, **changed))

    page = rows_page(query, relation, of)
    pages = max(-(-page["total"] // of.size), 1)
    return _rendered(
        "table",
        table=relation,
        of=of,
        to=to,
        pages=pages,
        first=(of.page - 1) * of.size + 1,
        without={one: queries.address(relation, of.without(one)) for one in of.filters},
        fields=queries.pairs(relation, of.without(*(one for one in of.filters if one.is_batch))),
        **page,
    )


# What the form of a table sends beside what the address had.
_FORM = ("_batch", "_column", "_comparison", "_value")


def _asked(relation: Relation, pairs: list[tuple[str, str]]) -> Selection:
    """Return the selection that the form of a table asks for."""
    sent = {name: value for name, value in pairs if name in _FORM}
    rest = [pair for pair in pairs if pair[0] not in _FORM]
    if column := sent.get("_column"):
        comparison = sent.get("_comparison", "")
        name = f"{column}.{comparison}" if comparison else column
        rest.append((name, sent.get("_value", "")))
    if batch := sent.get("_batch"):
        rest.insert(0, ("batch", batch))
    return queries.selection(relation, rest)


def _relation(query: Query, request: web.Request) -> Relation:
    name = request.match_info["table"]
    found = queries.catalogue(query)
    if name not in found:
        raise web.HTTPNotFound(text=f"There is no table {name[:80]!r}; the first page lists them.")
    return found[name]


def _row(query: Query, request: web.Request) -> str:
    relation = _relation(query, request)
    key = [(name, request.query.get(name)) for name in relation.key]
    if not key or any(value is None for _, value in key):
        raise BadAddress(
            f"A row of {relation.address} is named by {', '.join(relation.key) or 'nothing'}."
        )
    table = TABLES[relation.name]
    condition = " AND ".join(
        f"{queries.quoted(name)} = CAST(? AS {relation.columns[name]})" for name, _ in key
    )
    found = [
        Found(table.name, row)
        for row in rows(query, table, condition, [value for _, value in key], limit=1)
    ]
    if not found:
        raise web.HTTPNotFound(text=f"{relation.address} has no such row, or no longer.")
    row = found[0].row
    batch = row.get("batch")
    if (column := about(table)) and row[column] is not None:
        others = rows_about(query, str(row[column]), batch)
        found += [one for one in others if (one.table, one.row) != (table.name, row)]
    return _rendered("row", table=relation, batch=batch, others=[], **row_page(query, found, batch))


def _search(query: Query, request: web.Request) -> str:
    start = request.query.get("start", "").strip()
    if len(start) < _LEAST:
        raise BadAddress(f"{start!r} is no id: give {_LEAST} letters of it or more.")
    ids = ids_like(query, start)
    if len(ids) == 1:
        raise web.HTTPFound(id_address(ids[0]))
    if not ids:
        raise web.HTTPNotFound(text=_no_id(start))
    return _rendered(
        "message",
        message=f"Several ids begin with {start}:",
        ids=[(id, id_address(id)) for id in ids],
    )


def _about(query: Query, request: web.Request) -> str:
    id = request.match_info["id"]
    batches = batches_with(query, id)
    batch = request.query.get("batch") or next(iter(batches), None)
    found = rows_about(query, id, batch)
    if not found:
        raise web.HTTPNotFound(text=_no_id(id))
    others = [(name, id_address(id, name)) for name in batches if name != batch]
    page = row_page(query, found, batch)
    return _rendered("row", table=None, batch=batch, others=others, **page)


def _no_id(id: str) -> str:
    return f"No row of the tables is about {id[:80]!r}; ids are in the columns that end with _id."


async def listening(app: web.Application, port: int) -> web.AppRunner:
    """Have an application listen to this machine alone; the runner knows its address.

    Args:
        app: The application.
        port: 0 takes a free one.

    Raises:
        OSError: The port cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner
