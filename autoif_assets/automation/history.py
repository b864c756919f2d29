"""What Dagster's instance remembers of batches: what was made, what runs, what keeps failing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
)
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster_shared.error import SerializableErrorInfo

from autoif_assets.automation.missing import Made, Stage, missing_part
from autoif_assets.automation.partitions import BATCHES

_IDS = 500  # records asked for at a time; SQLite takes no long lists

_OVER = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_NOT_OVER = [*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]


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


def batch_states(
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph[Any],
    batches: Sequence[str],
    attempts: int,
) -> list[BatchState]:
    """Say where every batch stands; ``attempts`` failed runs in a row park one."""
    declared = stages(graph)
    made = made_by_batch(instance, declared, batches)
    busy = busy_batches(instance)
    states = []
    for batch in batches:
        lacking = missing_part(declared, made[batch])
        parked = None
        if lacking and batch not in busy:
            parked = repeated_failure(instance, batch, attempts)
        states.append(BatchState(batch, lacking, batch in busy, parked))
    return states


def stages(graph: BaseAssetGraph[Any]) -> list[Stage]:
    """Return the assets a batch needs, upstream first: the batched ones and all they read.

    Assets of a batch and a policy are no part of a batch: they wait for a policy.
    """
    ordered: dict[dg.AssetKey, Stage] = {}

    def visit(key: dg.AssetKey) -> None:
        if key in ordered:
            return
        together = graph.get(key).execution_set_entity_keys
        members = sorted(member for member in together if isinstance(member, dg.AssetKey)) or [key]
        for member in members:
            for parent in sorted(graph.get(member).parent_keys):
                visit(parent)
        for member in members:
            node = graph.get(member)
            ordered[member] = Stage(
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
    instance: dg.DagsterInstance, stages: Sequence[Stage], batches: Sequence[str]
) -> dict[str, dict[str, Made]]:
    """Return batch → asset → how it was last made, with few queries an asset."""
    found: dict[str, dict[str, Made]] = {batch: {} for batch in batches}
    for stage in stages:
        key = dg.AssetKey(stage.name)
        if not stage.batched:
            event = instance.get_latest_materialization_event(key)
            if event is not None and event.asset_materialization is not None:
                made = _made(event.asset_materialization.tags or {}, False)
                for batch in batches:
                    found[batch][stage.name] = made
            continue
        for record in _latest(instance, key):
            materialization = record.asset_materialization
            if materialization is not None and materialization.partition in found:
                made = _made(materialization.tags or {}, True)
                found[materialization.partition][stage.name] = made
    return found


def _latest(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    """Yield the latest materialization of every partition of an asset."""
    latest = instance.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    ids = list(latest.values())
    for start in range(0, len(ids), _IDS):
        some = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[start : start + _IDS])
        yield from instance.fetch_materializations(some, limit=_IDS).records


def old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Return the runs that ended, were made before a time, and are not needed any more.

    A run that holds the latest materialization of some asset and batch is needed: with its events
    Dagster would forget that the asset was made.
    """
    needed: set[str] = set()
    for key in instance.all_asset_keys():
        needed.update(record.run_id for record in _latest(instance, key))
        event = instance.get_latest_materialization_event(key)
        if event is not None:
            needed.add(event.run_id)
    old = instance.get_runs(dg.RunsFilter(statuses=_OVER, created_before=before))
    return [run.run_id for run in old if run.run_id not in needed]


def _made(tags: Mapping[str, str], batched: bool) -> Made:
    version = tags.get(DATA_VERSION_TAG)
    if batched and version is not None:
        # Dagster writes down of a partitioned input the hash of its partitions' versions.
        version = sha256(version.encode()).hexdigest()
    prefix = f"{INPUT_DATA_VERSION_TAG_PREFIX}/"
    return Made(
        code_version=tags.get(CODE_VERSION_TAG),
        data_version=version,
        inputs={
            tag.removeprefix(prefix): value for tag, value in tags.items() if tag.startswith(prefix)
        },
    )


def busy_batches(instance: dg.DagsterInstance) -> set[str]:
    """Return the batches that a run is making, or will once it leaves the queue."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_NOT_OVER))
    return {run.tags[PARTITION_NAME_TAG] for run in runs if PARTITION_NAME_TAG in run.tags}


def repeated_failure(instance: dg.DagsterInstance, batch: str, attempts: int) -> str | None:
    """Return why the last ``attempts`` runs of a batch failed, or None if one of them did not."""
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_NAME_TAG: batch}), limit=attempts)
    if len(runs) < attempts or any(run.status != dg.DagsterRunStatus.FAILURE for run in runs):
        return None
    return failure_words(instance, runs[0].run_id)


def failure_words(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the words of the first step of a run that failed, or of the run itself."""
    for event_type in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        records = instance.get_records_for_run(run_id, of_type=event_type, limit=1).records
        for record in records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            if event.is_step_failure:
                return f"{event.step_key}: {innermost_words(event.step_failure_data.error)}"
            return (event.message or "").strip()
    return "no reason is recorded"


def innermost_words(error: SerializableErrorInfo | None) -> str:
    """Return the words of the error that all the others were raised from."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "no reason is recorded"
