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
from dagster._core.storage.tags import PARTITION_NAME_TAG

from autoif_assets.automation.partitions import BATCHES
from autoif_assets.automation.runs import busy_batches, latest_materializations, repeated_failure
from autoif_assets.warehouse import Batch


@dataclass(frozen=True)
class BatchState:
    """Where a batch stands.

    Attributes:
        batch: Its key.
        lacking: Assets that are missing or failed, each with why; empty for a complete batch.
        stale: Assets that are there and would come out otherwise today, each with why. They are
            made again only by a person who names the batch.
        busy: Whether a run is making it, or will once it leaves the queue.
        parked: Why its last runs failed, if all of them did; nobody but a person runs it then.
    """

    batch: str
    lacking: Mapping[str, str]
    stale: Mapping[str, str]
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
        made_at: When, in seconds since 1970.
        run_id: The run that made it.
    """

    code_version: str | None
    data_version: str | None
    inputs: Mapping[str, str] = field(default_factory=dict)
    made_at: float = 0.0
    run_id: str = ""


def batch_states(
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph[Any],
    batches: Sequence[str],
    attempts: int,
    known: Mapping[str, Batch],
    changed_seeds: Mapping[str, int] | None = None,
) -> list[BatchState]:
    """Say where every batch stands.

    Args:
        instance: Dagster's.
        graph: The assets as they are declared now.
        batches: Keys of the batches.
        attempts: Failed runs in a row that park a batch.
        known: What batches are pinned to. What was made before that, or of a batch that is not
            there, was discarded or removed since.
        changed_seeds: How many of its seeds are not among the seeds any more, by batch.
    """
    declared = declared_assets(graph)
    made = made_by_batch(instance, declared, batches, known)
    busy = busy_batches(instance)
    states = []
    for batch in batches:
        changed = {}
        if count := (changed_seeds or {}).get(batch):
            changed = {READS_SEEDS: f"{count} of its seeds changed"}
        standing = Standing.of(declared, made[batch], changed)
        if standing.stale and batch not in busy:
            failed = unmade_by_failed_run(instance, batch, made[batch], standing.stale)
            standing = standing.with_failed(declared, failed)
        parked = None
        # A query a batch, so only of those that would be run otherwise.
        if standing.lacking and batch not in busy:
            parked = repeated_failure(instance, batch, attempts)
        states.append(BatchState(batch, standing.lacking, standing.stale, batch in busy, parked))
    return states


READS_SEEDS = "augmented_instructions"
"""The asset that the seeds of a batch go into."""


@dataclass(frozen=True)
class Standing:
    """What a batch lacks and what of it is stale, each with why; see `BatchState`."""

    lacking: Mapping[str, str]
    stale: Mapping[str, str]

    @classmethod
    def of(
        cls,
        assets: Sequence[DeclaredAsset],
        made: Mapping[str, MadeAsset],
        changed: Mapping[str, str] | None = None,
    ) -> "Standing":
        """Find what a batch lacks, and what of it is stale.

        What is missing lacks, unless something that is made of it is there: then the batch was
        whole once, the asset came later, and making it would replace what is there.

        Args:
            assets: Every asset the batch needs, upstream first; what is made together in a row.
            made: Of these, what has been made, by name.
            changed: Assets whose inputs from outside changed, each with why.
        """
        downstream = _downstream(assets)
        batched = {asset.name for asset in assets if asset.batched}
        missing = {asset.name for asset in assets if asset.name not in made}
        later = {
            asset.name
            for asset in assets
            if asset.name in missing & batched and downstream[asset.name] - missing
        }
        # It cannot be made without what came later.
        later |= {name for one in later for name in downstream[one] if name in missing}
        lacking = {asset.name: "missing" for asset in assets if asset.name in missing - later}
        stale: dict[str, str] = {}
        for asset in assets:
            found = made.get(asset.name)
            if asset.name in lacking:
                continue
            if asset.name in later:
                stale[asset.name] = "new in this version"
            elif found is None or not asset.batched:
                # Seeds are read again by every run, and a batch keeps those it was made of.
                continue
            elif found.code_version != asset.code_version:
                stale[asset.name] = "a rule or prompt changed"
            elif asset.name in (changed or {}):
                stale[asset.name] = (changed or {})[asset.name]
            elif moved := [
                name for name in asset.upstream if name in batched and _changed(name, found, made)
            ]:
                stale[asset.name] = f"{moved[0]} changed"
        return cls(lacking, _with_downstream(assets, stale, set(lacking)))

    def with_failed(self, assets: Sequence[DeclaredAsset], failed: Mapping[str, str]) -> "Standing":
        """Return it with assets that a run was to make again and did not among the lacking."""
        if not failed:
            return self
        reasons = _with_downstream(assets, {**failed, **self.lacking}, set())
        stale = {name: why for name, why in self.stale.items() if name not in reasons}
        return Standing(reasons, stale)


def _with_downstream(
    assets: Sequence[DeclaredAsset], reasons: Mapping[str, str], besides: set[str]
) -> dict[str, str]:
    """Add what is made of assets that are to be made, or together with them, in their order."""
    found = dict(reasons)
    for asset in assets:
        again = [name for name in asset.upstream if name in found]
        if again and asset.name not in found and asset.name not in besides:
            found[asset.name] = f"{again[0]} is to be made"
        # Their own upstream may be as it was: what one function makes is made as a whole.
        if asset.name in found:
            for name in asset.together:
                if name not in besides:
                    found.setdefault(name, f"made together with {asset.name}")
    return {asset.name: found[asset.name] for asset in assets if asset.name in found}


def _downstream(assets: Sequence[DeclaredAsset]) -> dict[str, set[str]]:
    """Return what is made of each asset and of those made together with it, and these."""
    found: dict[str, set[str]] = {asset.name: set() for asset in assets}
    for asset in reversed(assets):
        for name in asset.upstream:
            if name in found:
                found[name] |= {asset.name, *asset.together} | found[asset.name]
    for asset in assets:
        for name in asset.together:
            if name != asset.name:
                found[asset.name] |= {name} | found[name]
    return found


def unmade_by_failed_run(
    instance: dg.DagsterInstance,
    batch: str,
    made: Mapping[str, MadeAsset],
    stale: Mapping[str, str],
) -> dict[str, str]:
    """Return which stale assets the batch's last run was to make again and did not, and why.

    Only of a run that failed and had begun to replace what was there: the batch is neither what
    it was nor what it was to be.
    """
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_NAME_TAG: batch}), limit=1)
    if not runs or runs[0].status != dg.DagsterRunStatus.FAILURE:
        return {}
    (run,) = runs
    begun = {name for name, asset in made.items() if asset.run_id == run.run_id}
    if not begun:
        return {}
    planned = run.asset_selection or {dg.AssetKey(name) for name in stale}
    return {
        name: "the last run failed before it"
        for name in stale
        if name not in begun and dg.AssetKey(name) in planned
    }


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
    instance: dg.DagsterInstance,
    assets: Sequence[DeclaredAsset],
    batches: Sequence[str],
    known: Mapping[str, Batch],
) -> dict[str, dict[str, MadeAsset]]:
    """Return batch → asset → how it was last made, with few queries an asset."""
    found: dict[str, dict[str, MadeAsset]] = {batch: {} for batch in batches}
    for asset in assets:
        key = dg.AssetKey(asset.name)
        # Made once for all batches: each of them has read the same.
        if not asset.batched:
            event = instance.get_latest_materialization_event(key)
            if event is not None and event.asset_materialization is not None:
                made = _made(event.asset_materialization.tags or {}, event, batched=False)
                for batch in batches:
                    found[batch][asset.name] = made
            continue
        for record in latest_materializations(instance, key):
            materialization = record.asset_materialization
            if materialization is None or materialization.partition not in found:
                continue
            made = _made(materialization.tags or {}, record.event_log_entry, batched=True)
            since = _since(known.get(materialization.partition))
            if since is not None and made.made_at >= since:
                found[materialization.partition][asset.name] = made
    return found


def _since(batch: Batch | None) -> float | None:
    """Return from when on what was made of a batch counts; None where nothing does."""
    if batch is None or batch.created_at is None:
        return None
    return batch.created_at.timestamp()


def _made(tags: Mapping[str, str], event: dg.EventLogEntry, *, batched: bool) -> MadeAsset:
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
        made_at=event.timestamp,
        run_id=event.run_id,
    )
