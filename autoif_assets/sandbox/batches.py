"""Units cut and joined into requests of a bounded size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.share import may_share
from autoif_assets.sandbox.types import Limits, Unit

INPUTS = 4096  # per request of one unit
BYTES = 16 << 20  # of inputs per request, one longer input excepted


@dataclass(slots=True)
class Batch:
    """One request: some units with the same inputs, or a part of one unit.

    Attributes:
        numbers: Position of each unit in the stream.
        units: The units.
        first: Index of the first input in this part; `count` inputs follow.
        queries: Of all inputs; none for verifiers that do not ask for them.
        parts: Requests the unit was cut into.
        encoded: The inputs, and the queries where the verifiers may ask for them, as bytes.
        refused: Why it is not run at all, else empty.
        attempts: Workers that died with it.
    """

    numbers: list[int]
    units: list[Unit]
    first: int
    count: int
    parts: int
    encoded: bytes
    queries: Sequence[str | None] = ()
    refused: str = ""
    attempts: int = 0

    @property
    def texts(self) -> int:
        """Inputs and queries in `encoded`."""
        return 2 * self.count if self.queries else self.count

    @property
    def sources(self) -> list[str]:
        """The verifiers to run."""
        return [unit.source for unit in self.units]

    def alone(self) -> list["Batch"]:
        """One request per unit."""
        return [
            Batch([number], [unit], self.first, self.count, self.parts, self.encoded, self.queries)
            for number, unit in zip(self.numbers, self.units, strict=True)
        ]


def batches(units: Iterable[Unit], limits: Limits, share: bool) -> Iterator[Batch]:
    """Requests for a stream of units, about in its order.

    A group stays open past its neighbours that may not share, but not for long: results come in
    the order of the units.
    """
    group: Batch | None = None  # still open to the next unit
    encode = _Encoder()
    for number, unit in enumerate(units):
        _check(unit)
        alone = not (share and unit.group is not None and may_share(unit.source))
        if group is not None and not (
            _goes_on(group, number, unit) and (alone or _joins(group, unit))
        ):
            yield group
            group = None
        if group is not None and not alone:
            group.numbers.append(number)
            group.units.append(unit)
            continue
        parts = _cut(number, unit, limits, encode)
        if alone or len(parts) > 1 or parts[0].refused:
            yield from parts
        else:
            group = parts[0]
    if group is not None:
        yield group


def _goes_on(group: Batch, number: int, unit: Unit) -> bool:
    return unit.group == group.units[0].group and number - group.numbers[0] < wire.SOURCES


def _joins(group: Batch, unit: Unit) -> bool:
    head = group.units[0]
    return (
        (len(group.units) + 1) * max(1, group.count) <= wire.CELLS
        and (unit.inputs is head.inputs or list(unit.inputs) == list(head.inputs))
        and list(unit.queries_to_send) == list(group.queries)
    )


def _cut(number: int, unit: Unit, limits: Limits, encode: "_Encoder") -> list[Batch]:
    if len(unit.source) > limits.source_chars:
        count = len(unit.inputs)
        return [Batch([number], [unit], 0, count, 1, b"", refused="source_too_long")]
    inputs, queries = unit.inputs, unit.queries_to_send
    if len(inputs) <= INPUTS:
        encoded = encode(inputs, queries)
        if len(encoded) <= BYTES:
            return [Batch([number], [unit], 0, len(inputs), 1, encoded, queries)]
    ranges, first, size = [], 0, 0
    for index, text in enumerate(inputs):
        bytes_at_most = 4 * (len(text) + len((queries[index] or "") if queries else ""))
        if index > first and (index - first == INPUTS or size + bytes_at_most > BYTES):
            ranges.append((first, index))
            first, size = index, 0
        size += bytes_at_most
    ranges.append((first, len(inputs)))
    return [
        Batch(
            *([number], [unit], a, b - a, len(ranges)),
            wire.encode_inputs(inputs[a:b], queries[a:b]),
            queries[a:b],
        )
        for a, b in ranges
    ]


class _Encoder:
    """Encodes inputs, once for neighbours that have the same ones."""

    def __init__(self) -> None:
        self.last = _Encoded((), (), wire.encode_inputs(()))

    def __call__(self, inputs: Sequence[str], queries: Sequence[str | None]) -> bytes:
        texts, asked = tuple(inputs), tuple(queries)
        if texts != self.last.inputs or asked != self.last.queries:
            self.last = _Encoded(texts, asked, wire.encode_inputs(texts, asked))
        return self.last.encoded


class _Encoded(NamedTuple):
    inputs: tuple[str, ...]
    queries: tuple[str | None, ...]
    encoded: bytes


def _check(unit: Unit) -> None:
    if not isinstance(unit.source, str):
        raise TypeError(f"Unit {unit.id!r}: the source is {type(unit.source).__name__}, not str.")
    if isinstance(unit.inputs, str):
        raise TypeError(f"Unit {unit.id!r}: inputs must be a sequence of strings, not one string.")
    if not set(map(type, unit.inputs)) <= {str}:
        for index, text in enumerate(unit.inputs):
            if not isinstance(text, str):
                raise TypeError(
                    f"Unit {unit.id!r}: input {index} is {type(text).__name__}, not str. "
                    "A missing response cannot be judged; leave it out."
                )
    if unit.queries is not None:
        if isinstance(unit.queries, str) or len(unit.queries) != len(unit.inputs):
            raise TypeError(f"Unit {unit.id!r}: queries must be a sequence, one for each input.")
        if not set(map(type, unit.queries)) <= {str, type(None)}:
            raise TypeError(f"Unit {unit.id!r}: a query is a string or None.")
