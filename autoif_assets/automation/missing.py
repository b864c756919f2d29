"""Which assets of a batch are missing, failed or out of date: the part that is to be made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Made:
    """What Dagster recorded when an asset was last made for a batch.

    Attributes:
        code_version: Of the code that made it.
        data_version: Of what it made, as assets that read it write it down.
        inputs: Data version of each upstream asset that was read, by name.
    """

    code_version: str | None
    data_version: str | None
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """An asset as it is declared now.

    Attributes:
        name: Its name.
        code_version: Of the code that would make it.
        upstream: Names of the assets it reads.
        batched: Whether there is one for each batch; otherwise all batches share one.
        together: Names of all assets that one function makes at once, this one included.
    """

    name: str
    code_version: str | None
    upstream: tuple[str, ...]
    batched: bool
    together: tuple[str, ...] = ()


def missing_part(stages: Sequence[Stage], made: Mapping[str, Made]) -> dict[str, str]:
    """Find what a batch lacks.

    An asset that is up to date but downstream of one that is not is part of the result: it is to
    be made again once its inputs have been.

    Args:
        stages: Every asset the batch needs, upstream first; what is made together in a row.
        made: Of these, what has been made, by name.

    Returns:
        Asset → why it is to be made, in the order of ``stages``.
    """
    reasons: dict[str, str] = {}
    for stage in stages:
        found = made.get(stage.name)
        if found is None:
            reasons[stage.name] = "missing"
        elif found.code_version != stage.code_version:
            reasons[stage.name] = "code or recipe changed"
        elif changed := [name for name in stage.upstream if _changed(name, found, made)]:
            reasons[stage.name] = f"{changed[0]} changed"
        elif again := [name for name in stage.upstream if name in reasons]:
            reasons[stage.name] = f"{again[0]} is to be made"
        if stage.name in reasons:
            for name in stage.together:
                reasons.setdefault(name, f"made together with {stage.name}")
    return {stage.name: reasons[stage.name] for stage in stages if stage.name in reasons}


def _changed(upstream: str, found: Made, made: Mapping[str, Made]) -> bool:
    now = made.get(upstream)
    read = found.inputs.get(upstream)
    return now is not None and read is not None and now.data_version != read
