"""How the values of a column are distributed, counted as the rows pass."""

from collections import Counter

import polars as pl

from autoif_assets.charts import Bar, histogram_chart

_SHORTEST = 4  # a text of up to 2 ** 4 characters is in the first bin


class Distribution:
    """A histogram and a mean of a column, in memory that does not grow with the rows.

    Attributes:
        column: Its name.
    """

    def __init__(self, column: str, what: str):
        """Count a ``share`` from 0 to 1, a ``score`` from 0 to 10, or the ``length`` of a text."""
        self.column = column
        self._what = what
        self._rows: Counter[tuple[int, bool]] = Counter()
        self._sum = 0.0

    def count(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame, the accepted ones apart from the rejected ones.

        A frame without the column, or with another type, is not counted: the warehouse is about to
        refuse it.
        """
        kind = frame.schema.get(self.column)
        if kind is None or not (kind == pl.String if self._what == "length" else kind.is_numeric()):
            return
        kept = pl.col("status") == "accepted" if "status" in frame.columns else pl.lit(True)
        value = pl.col(self.column)
        if self._what == "length":
            value = value.str.len_chars().cast(pl.Float64)
            place = value.clip(1).log(2).ceil().clip(_SHORTEST)
        else:
            # The best is a bar of its own.
            place = (value * (10 if self._what == "share" else 1) + 1e-9).floor().clip(0, 10)
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
        name = "mean_chars" if self._what == "length" else "mean"
        return f"{self.column}/{name}", round(self._sum / max(self._rows.total(), 1), 4)

    def chart(self) -> bytes:
        """Return the histogram as a PNG; empty where there was no value."""
        if not self._rows:
            return b""
        places = [place for place, _ in self._rows]
        first, last = (min(places), max(places)) if self._what == "length" else (0, 10)
        bars = [
            Bar(self._label(place), self._rows[place, True], self._rows[place, False])
            for place in range(first, last + 1)
        ]
        axis = f"{self.column}, characters" if self._what == "length" else self.column
        return histogram_chart(bars, axis)

    def _label(self, place: int) -> str:
        if self._what == "length":
            return f"≤ {2**place}"
        return f"{place / 10:g}" if self._what == "share" else str(place)
