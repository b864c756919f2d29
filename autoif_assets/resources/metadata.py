"""What Dagster shows of an asset's run: the rows it wrote, and what its resources report."""

import re
from collections import Counter
from typing import Any

import dagster as dg
import polars as pl

from autoif_assets.charts import Bar, histogram_chart, in_markdown
from autoif_assets.display import displayed
from autoif_assets.warehouse.schema import Table
from autoif_assets.warehouse.tables import TABLES

_ROWS = 3  # shown of each status
_CHARS = 160  # shown of each text
_CODE_CHARS = 4000  # shown of each function
_CODE = "Python source"  # so begins the description of a column that holds one
_SHORTEST = 4  # a text of up to 2 ** 4 characters is in the first bin


def add_metadata(context: dg.AssetExecutionContext, metadata: dict[str, Any]) -> None:
    """Add metadata to every table the running asset writes."""
    for name in context.assets_def.keys_by_output_name:
        context.add_output_metadata(metadata, output_name=name)


class Tally:
    """Counts and samples the rows of an output as they pass."""

    def __init__(self, table: Table):
        self._table = table
        self._rows = 0
        self._outcomes: Counter[tuple[str | None, str | None]] = Counter()
        self._shown: dict[str, list[dict[str, object]]] = {}
        self._distributions = [Distribution(column, measure) for column, measure in table.charts]

    def count(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return ``frame`` as it is. One without status or reason is refused in a moment."""
        self._rows += frame.height
        for distribution in self._distributions:
            distribution.count(frame)
        if self._table.is_gate and {"status", "reason"} <= set(frame.columns):
            for status, reason, rows in frame.group_by("status", "reason").len().rows():
                self._outcomes[status, reason] += rows
            for status in ("accepted", "rejected"):
                self._show(status, frame.lazy().filter(pl.col("status") == status))
        else:
            self._show("rows", frame.lazy())
        return frame

    def _show(self, title: str, rows: pl.LazyFrame) -> None:
        shown = self._shown.setdefault(title, [])
        if len(shown) < _ROWS:
            shown += rows.head(_ROWS - len(shown)).collect().to_dicts()

    def metadata(self) -> dict[str, dg.MetadataValue]:
        """Return the number of rows, a preview, for a gate the counts by status and reason, charts.

        The columns are not repeated with every run; ``table_schema`` belongs into the asset's
        definition, as ``dagster/column_schema``.
        """
        metadata: dict[str, dg.MetadataValue] = {
            "dagster/row_count": dg.MetadataValue.int(self._rows)
        }
        if lineage := column_lineage(self._table):
            metadata["dagster/column_lineage"] = dg.MetadataValue.column_lineage(lineage)
        if self._table.is_gate:
            # The accepted ones first, then from the most frequent reason to the rarest.
            counts = sorted(self._outcomes.items(), key=lambda item: (str(item[0][0]), -item[1]))
            for wanted in ("accepted", "rejected"):
                rows = sum(rows for (status, _), rows in counts if status == wanted)
                metadata[f"rows/{wanted}"] = dg.MetadataValue.int(rows)
                if wanted == "accepted" and self._rows:
                    # A number, so that Dagster draws it over the batches.
                    metadata["yield"] = dg.MetadataValue.float(round(rows / self._rows, 4))
            metadata["outcomes"] = dg.MetadataValue.md(
                markdown_table(
                    ["status", "reason", "rows"],
                    [[status, reason, rows] for (status, reason), rows in counts],
                )
            )
        # What all rows of a run share, or the heading says, would only take up room.
        code = [one.name for one in self._table.columns if one.description.startswith(_CODE)]
        for title, shown in self._shown.items():
            if shown:
                hidden = ("batch", "status", "call_id", *code)
                names = [name for name in shown[0] if name not in hidden]
                rows_told = markdown_table(names, [[row[name] for name in names] for row in shown])
                blocks = [code_block(row[name]) for row in shown for name in code if row.get(name)]
                metadata[f"preview/{title}"] = dg.MetadataValue.md(
                    "\n\n".join([rows_told, *blocks])
                )
        for distribution in self._distributions:
            if chart := distribution.chart():
                name, number = distribution.mean()
                metadata[name] = dg.MetadataValue.float(number)
                metadata[f"chart/{distribution.column}"] = dg.MetadataValue.md(
                    in_markdown(chart, f"distribution of {distribution.column}")
                )
        return metadata


class Distribution:
    """A histogram and a mean of a column, in memory that does not grow with the rows.

    Attributes:
        column: Its name.
    """

    def __init__(self, column: str, measure: str):
        """Count a ``share`` from 0 to 1, a ``score`` from 0 to 10, or the ``length`` of a text."""
        self.column = column
        self._measure = measure
        self._rows: Counter[tuple[int, bool]] = Counter()
        self._sum = 0.0

    def count(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame, the accepted ones apart from the rejected ones.

        A frame without the column, or with another type, is not counted: the warehouse is about to
        refuse it.
        """
        kind = frame.schema.get(self.column)
        if kind is None or not (
            kind == pl.String if self._measure == "length" else kind.is_numeric()
        ):
            return
        kept = pl.col("status") == "accepted" if "status" in frame.columns else pl.lit(True)
        value = pl.col(self.column)
        if self._measure == "length":
            # Bins that double: a few characters and a whole essay are in one picture.
            value = value.str.len_chars().cast(pl.Float64)
            place = value.clip(1).log(2).ceil().clip(_SHORTEST)
        else:
            # The best is a bar of its own.
            place = (value * (10 if self._measure == "share" else 1) + 1e-9).floor().clip(0, 10)
        counted = (
            frame.lazy()
            .filter(pl.col(self.column).is_not_null())
            .group_by(place=place.cast(pl.Int64), kept=kept)
            .agg(rows=pl.len(), sum=value.sum())
            .collect()
        )
        for at, good, rows, total in counted.iter_rows():
            self._rows[at, bool(good)] += rows
            self._sum += total

    def mean(self) -> tuple[str, float]:
        """Return the mean of all rows under its name in metadata."""
        name = "mean_chars" if self._measure == "length" else "mean"
        return f"{self.column}/{name}", round(self._sum / max(self._rows.total(), 1), 4)

    def chart(self) -> str:
        """Return the histogram as an SVG; empty where there was no value."""
        if not self._rows:
            return ""
        places = [place for place, _ in self._rows]
        first, last = (min(places), max(places)) if self._measure == "length" else (0, 10)
        bars = [
            Bar(self._label(place), self._rows[place, True], self._rows[place, False])
            for place in range(first, last + 1)
        ]
        axis = f"{self.column}, characters" if self._measure == "length" else self.column
        return histogram_chart(bars, axis)

    def _label(self, place: int) -> str:
        if self._measure == "length":
            return f"≤ {2**place}"
        return f"{place / 10:g}" if self._measure == "share" else str(place)


def column_lineage(table: Table) -> dg.TableColumnLineage | None:
    """Return which columns come from which of other tables: along foreign keys, and as declared."""
    pairs = [
        (column, parent, theirs)
        for key in table.foreign_keys
        for parent in key.tables
        if parent in TABLES and parent != "llm_calls"  # the latter is no asset
        for column, theirs in zip(key.columns, key.to, strict=True)
    ]
    for column, origin in table.origins:
        parent, _, theirs = origin.partition(".")
        pairs.append((column, parent, theirs))
    deps: dict[str, list[dg.TableColumnDep]] = {}
    # Two keys into one table share a column such as the batch.
    for column, parent, theirs in dict.fromkeys(pairs):
        dep = dg.TableColumnDep(asset_key=dg.AssetKey(parent), column_name=theirs)
        deps.setdefault(column, []).append(dep)
    return dg.TableColumnLineage(deps_by_column=deps) if deps else None


def markdown_table(header: list[str], rows: list[list[object]]) -> str:
    """Return a table; a model's text shows as text, whatever it holds."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code_block(source: object) -> str:
    """Return Python source as a block of code that nothing in the source ends."""
    text = displayed(str(source)[:_CODE_CHARS])
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{text}\n{fence}"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    # Cut first: only the beginning is shown, and the text may be a whole response.
    text = " ".join(displayed(text[: _CHARS + 1]).split())
    if len(text) > _CHARS:
        text = f"{text[:_CHARS]}…"
    for special in "\\`*[]<>|!#":
        text = text.replace(special, f"\\{special}")
    return text
