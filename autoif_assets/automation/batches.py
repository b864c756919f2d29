"""Where each batch stands: what it lacks and why, what runs, and what keeps failing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
)

from autoif_assets.automation.partitions import BATCHES
from autoif_assets.automation.runs import busy_batches, latest_materializations, repeated_failure


@dataclass(frozen=True)
class BatchState:
    """Where a batch stands.

    Attributes:
        batch: Its key.
        lacking: Assets that are to be made, each with why; empty for a complete batch.
        busy: Whether a run is making it, or will once it leaves the queue.
        parked: Why its last runs failed, if all of them did; nobody but a person runs it then.
    """

    batch: str
    lacking: Mapping[str, str]
    busy: bool
    parked: str | None


@dataclass(frozen=True)
class DeclaredAsset:
    """An asset as the code declares it now.

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


@dataclass(frozen=True)
class MadeAsset:
    """What Dagster recorded when an asset was last made for a batch.

    Attributes:
        code_version: Of the code that made it.
        data_version: Of what it made, as assets that read it write it down.
        inputs: Data version of each upstream asset that was read, by name.
    """

    code_version: str | None
    data_version: str | None
    inputs: Mapping[str, str] = field(default_factory=dict)


def batch_states(
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph[Any],
    batches: Sequence[str],
    attempts: int,
) -> list[BatchState]:
    """Say where every batch stands; ``attempts`` failed runs in a row park one."""
    declared = declared_assets(graph)
    made = made_by_batch(instance, declared, batches)
    busy = busy_batches(instance)
    states = []
    for batch in batches:
        lacking = missing_or_stale(declared, made[batch])
        parked = None
        # A query a batch, so only of those that would be run otherwise.
        if lacking and batch not in busy:
            parked = repeated_failure(instance, batch, attempts)
        states.append(BatchState(batch, lacking, batch in busy, parked))
    return states


def missing_or_stale(
    assets: Sequence[DeclaredAsset], made: Mapping[str, MadeAsset]
) -> dict[str, str]:
    """Find what a batch lacks.

    An asset that is up to date but downstream of one that is not is part of the result: it is to
    be made again once its inputs have been.

    Args:
        assets: Every asset the batch needs, upstream first; what is made together in a row.
        made: Of these, what has been made, by name.

    Returns:
        Asset → why it is to be made, in the order of ``assets``.
    """
    reasons: dict[str, str] = {}
    for asset in assets:
        found = made.get(asset.name)
        if found is None:
            reasons[asset.name] = "missing"
        elif found.code_version != asset.code_version:
            reasons[asset.name] = "code or recipe changed"
        elif changed := [name for name in asset.upstream if _changed(name, found, made)]:
            reasons[asset.name] = f"{changed[0]} changed"
        elif again := [name for name in asset.upstream if name in reasons]:
            reasons[asset.name] = f"{again[0]} is to be made"
        # Their own upstream may be as it was: what one function makes is made as a whole.
        if asset.name in reasons:
            for name in asset.together:
                reasons.setdefault(name, f"made together with {asset.name}")
    return {asset.name: reasons[asset.name] for asset in assets if asset.name in reasons}


def _changed(upstream: str, found: MadeAsset, made: Mapping[str, MadeAsset]) -> bool:
    now = made.get(upstream)
    read = found.inputs.get(upstream)
    return now is not None and read is not None and now.data_version != read


def declared_assets(graph: BaseAssetGraph[Any]) -> list[DeclaredAsset]:
    """Return the assets a batch needs, upstream first: the batched ones and all they read.

    Assets of a batch and a policy are no part of a batch: they wait for a policy.
    """
    ordered: dict[dg.AssetKey, DeclaredAsset] = {}

    def visit(key: dg.AssetKey) -> None:
        if key in ordered:
            return
        # One function makes these: each has to come after what any of them reads.
        together = graph.get(key).execution_set_entity_keys
        members = sorted(member for member in together if isinstance(member, dg.AssetKey)) or [key]
        for member in members:
            for parent in sorted(graph.get(member).parent_keys):
                visit(parent)
        for member in members:
            node = graph.get(member)
            ordered[member] = DeclaredAsset(
                member.to_user_string(),
                node.code_version,
                tuple(sorted(parent.to_user_string() for parent in node.parent_keys)),
                node.is_partitioned,
                tuple(name.to_user_string() for name in members),
            )

    for key in sorted(graph.get_all_asset_keys()):
        if graph.get(key).partitions_def == BATCHES:
            visit(key)
    return list(ordered.values())


def made_by_batch(
    instance: dg.DagsterInstance, assets: Sequence[DeclaredAsset], batches: Sequence[str]
) -> dict[str, dict[str, MadeAsset]]:
    """Return batch → asset → how it was last made, with few queries an asset."""
    found: dict[str, dict[str, MadeAsset]] = {batch: {} for batch in batches}
    for asset in assets:
        key = dg.AssetKey(asset.name)
        # Made once for all batches: each of them has read the same.
        if not asset.batched:
            event = instance.get_latest_materialization_event(key)
            if event is not None and event.asset_materialization is not None:
                made = _made(event.asset_materialization.tags or {}, False)
                for batch in batches:
                    found[batch][asset.name] = made
            continue
        for record in latest_materializations(instance, key):
            materialization = record.asset_materialization
            if materialization is not None and materialization.partition in found:
                made = _made(materialization.tags or {}, True)
                found[materialization.partition][asset.name] = made
    return found


def _made(tags: Mapping[str, str], batched: bool) -> MadeAsset:
    version = tags.get(DATA_VERSION_TAG)
    if batched and version is not None:
        # Dagster writes down of a partitioned input the hash of its partitions' versions.
        version = sha256(version.encode()).hexdigest()
    prefix = f"{INPUT_DATA_VERSION_TAG_PREFIX}/"
    return MadeAsset(
        code_version=tags.get(CODE_VERSION_TAG),
        data_version=version,
        inputs={
            tag.removeprefix(prefix): value for tag, value in tags.items() if tag.startswith(prefix)
        },
    )
