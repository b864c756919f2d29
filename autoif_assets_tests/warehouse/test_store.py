"""Slices are replaced whole, and come back as they went in."""

import threading

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.warehouse import (
    TABLES,
    Rows,
    SchemaMismatch,
    Warehouse,
    WarehouseError,
    WarehouseLocked,
    empty_frame,
    polars_schema,
)

from .backends import BACKENDS, new_warehouse
from .samples import frames, sample

QUERIES = TABLES["augmented_queries"]
GATE = TABLES["response_scores"]
NASTY = [
    "it's",
    'say "b"; DROP TABLE x; --',
    " two  spaces ",
    "línea\n新しい 🦆",
    "../..",
    "$1 ? %s {x}",
    "x" * 300,
]


@pytest.fixture(params=BACKENDS)
def warehouse(request, tmp_path) -> Warehouse:
    return new_warehouse(request, tmp_path / "data")


@pytest.fixture
def local(tmp_path) -> Warehouse:
    return Warehouse(tmp_path / "data")


@pytest.fixture(scope="module", params=BACKENDS)
def kept(request, tmp_path_factory) -> Warehouse:
    """One warehouse for all examples of a property."""
    return new_warehouse(request, tmp_path_factory.mktemp("kept"))


@pytest.mark.slow
def test_every_table_round_trips(warehouse):
    for table in TABLES.values():
        partition = dict.fromkeys(table.partitions, "b1")
        frame = sample(table, 3, **partition).unique(table.key)
        assert warehouse.write(table.name, frame, partition or None) == frame.height
        assert warehouse.read(table.name).equals(frame.sort(table.key))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_values_round_trip(kept, data):
    table = TABLES[data.draw(st.sampled_from(["response_verdicts", "llm_calls", "test_cases"]))]
    partition = {name: data.draw(st.sampled_from(NASTY)) for name in table.partitions}
    frame = data.draw(frames(table, partition))
    kept.write(table.name, frame, partition)
    found = kept.read(table.name, partition)
    assert found.schema == polars_schema(table)
    # Order of text differs between the libraries outside ASCII; the rows may not.
    key = list(table.key)
    assert found.sort(key).equals(frame.sort(key))


def test_a_write_replaces_its_slice_and_no_other(warehouse):
    for batch in ("b1", "b2"):
        warehouse.write(QUERIES.name, sample(QUERIES, 3, batch=batch), {"batch": batch})
    warehouse.write(QUERIES.name, sample(QUERIES, 2, "new", batch="b1"), {"batch": "b1"})
    assert warehouse.read(QUERIES.name, {"batch": "b1"})["prompt_id"].to_list() == [
        "new0000",
        "new0001",
    ]
    assert warehouse.read(QUERIES.name, {"batch": "b2"}).height == 3


def test_an_empty_frame_empties_its_slice(warehouse):
    warehouse.write(QUERIES.name, sample(QUERIES, 3, batch="b1"), {"batch": "b1"})
    assert warehouse.write(QUERIES.name, empty_frame(QUERIES), {"batch": "b1"}) == 0
    assert warehouse.read(QUERIES.name).equals(empty_frame(QUERIES))


def test_a_first_empty_frame_makes_a_readable_table(warehouse):
    warehouse.write(QUERIES.name, empty_frame(QUERIES), {"batch": "b1"})
    assert warehouse.read(QUERIES.name, {"batch": "b1"}).schema == polars_schema(QUERIES)


def test_a_table_without_partitions_is_replaced_whole(warehouse):
    seeds = TABLES["seed_queries"]
    warehouse.write(seeds.name, sample(seeds, 3))
    warehouse.write(seeds.name, sample(seeds, 1))
    assert warehouse.read(seeds.name).height == 1


def test_several_slices_are_written_at_once(warehouse):
    for batch in ("b1", "b2", "b3"):
        warehouse.write(QUERIES.name, sample(QUERIES, 3, batch=batch), {"batch": batch})
    frame = pl.concat([sample(QUERIES, 1, batch="b1"), sample(QUERIES, 2, batch="b4")])
    slices = [{"batch": "b1"}, {"batch": "b2"}, {"batch": "b4"}]
    assert warehouse.write(QUERIES.name, frame, partitions=slices) == 3
    counts = dict(warehouse.read(QUERIES.name).group_by("batch").len().rows())
    assert counts == {"b1": 1, "b3": 3, "b4": 2}


def test_slices_of_two_columns(warehouse):
    calls = TABLES["llm_calls"]
    for asset in ("responses", "verifiers"):
        frame = sample(calls, 2, batch="b1", asset=asset)
        warehouse.write(calls.name, frame, {"asset": asset, "batch": "b1"})
    warehouse.write(calls.name, empty_frame(calls), {"batch": "b1", "asset": "responses"})
    assert warehouse.read(calls.name, {"batch": "b1"})["asset"].unique().to_list() == ["verifiers"]


@pytest.mark.parametrize("batch", NASTY)
def test_any_text_is_a_batch_key(warehouse, batch):
    warehouse.write(QUERIES.name, sample(QUERIES, 2, batch="other"), {"batch": "other"})
    for rows in (2, 1):
        warehouse.write(QUERIES.name, sample(QUERIES, rows, batch=batch), {"batch": batch})
    assert warehouse.read(QUERIES.name, {"batch": batch})["batch"].to_list() == [batch]
    assert warehouse.read(QUERIES.name).height == 3


def test_read_narrows_to_columns_status_and_slices(warehouse):
    for batch in ("b1", "b2", "b3"):
        warehouse.write(GATE.name, sample(GATE, 4, batch=batch), {"batch": batch})
    frame = warehouse.read(
        GATE.name,
        partitions=[{"batch": "b3"}, {"batch": "b1"}],
        columns=["score", "response_id"],
        where_status="accepted",
    )
    assert frame.columns == ["score", "response_id"]
    assert frame["response_id"].to_list() == ["0001", "0003"] * 2
    assert warehouse.read(GATE.name, partitions=[]).is_empty()
    assert warehouse.read(GATE.name, where_status="rejected").height == 6


def test_reading_before_anything_was_written_makes_no_file(local):
    assert local.read(GATE.name, columns=["score"]).schema == {"score": pl.Float64}
    assert not local.data_dir.exists()
    with pytest.raises(WarehouseError, match="no database"):
        local.query("SELECT 1")
    assert local.publish() is False


def test_a_frame_that_does_not_fit_changes_nothing(warehouse):
    warehouse.write(QUERIES.name, sample(QUERIES, 3, batch="b1"), {"batch": "b1"})
    with pytest.raises(SchemaMismatch):
        warehouse.write(QUERIES.name, sample(QUERIES, 3, batch="b2"), {"batch": "b1"})
    assert warehouse.read(QUERIES.name).height == 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda w: w.read("nothing"), "no table 'nothing'"),
        (lambda w: w.read(QUERIES.name, columns=["nothing"]), "no column nothing"),
        (lambda w: w.read(QUERIES.name, where_status="accepted"), "no status"),
        (lambda w: w.read(QUERIES.name, {"policy": "p"}), "does not name a slice"),
        (lambda w: w.write(QUERIES.name, empty_frame(QUERIES)), "say which"),
        (lambda w: w.write("llm_calls", empty_frame(TABLES["llm_calls"]), {"batch": "b"}), "slice"),
        (lambda w: w.write(QUERIES.name, empty_frame(QUERIES), {"batch": 1}), "is text, not 1"),
        (
            lambda w: w.write("seed_queries", empty_frame(TABLES["seed_queries"]), {"batch": "b"}),
            "partitioned by nothing",
        ),
    ],
)
def test_wrong_names_are_told(warehouse, call, words):
    with pytest.raises(ValueError, match=words):
        call(warehouse)


def test_a_query_reads_with_parameters_and_cannot_write(warehouse):
    warehouse.write(QUERIES.name, sample(QUERIES, 3, batch="it's"), {"batch": "it's"})
    sql = "SELECT count(*) AS n FROM autoif.augmented_queries WHERE batch = "
    assert warehouse.query(sql + "?", ["it's"])["n"].to_list() == [3]
    assert warehouse.query(sql + "$b", {"b": "it's"})["n"].to_list() == [3]
    with pytest.raises(Exception, match="read-only"):
        warehouse.query("DELETE FROM autoif.augmented_queries")
    assert warehouse.read(QUERIES.name).height == 3


def test_threads_take_turns(warehouse):
    errors = []

    def work(batch: str) -> None:
        try:
            for rows in (1, 2, 3):
                warehouse.write(QUERIES.name, sample(QUERIES, rows, batch=batch), {"batch": batch})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"b{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert warehouse.read(QUERIES.name).height == 12


def test_waiting_is_told_and_ends(local):
    said = []
    waiting = Warehouse(local.data_dir, lock_timeout_s=1.2, log=said.append)
    words = "Gave up writing augmented_queries of batch 'b1' after .* in use by .*: tidying up"
    with local._database.connection("tidying up"), pytest.raises(WarehouseLocked, match=words):
        waiting.write(QUERIES.name, empty_frame(QUERIES), {"batch": "b1"})
    assert any("Waiting to start writing augmented_queries" in line for line in said)


def test_a_turn_is_one_at_a_time_and_keeps_nobody_from_the_tables(warehouse):
    ended = []

    def take():
        with warehouse.turn("the export a/b"):
            ended.append("second")

    second = threading.Thread(target=take)
    with warehouse.turn("the export a/b"):
        second.start()
        with warehouse.turn("the export c"):
            warehouse.write(QUERIES.name, sample(QUERIES, 1, batch="b1"), {"batch": "b1"})
        second.join(0.2)
        ended.append("first")
    second.join()
    assert ended == ["first", "second"]


def test_a_lock_file_left_behind_blocks_nobody(local):
    local.data_dir.mkdir()
    (local.data_dir / "pipeline.lock").write_text("process 1: a run of last year")
    assert local.write(QUERIES.name, empty_frame(QUERIES), {"batch": "b1"}) == 0


def test_frames_in_turn_are_one_write(warehouse):
    frames = [sample(QUERIES, 2, tag, batch="b1") for tag in ("a", "b")]
    for _ in range(2):
        rows = warehouse.write_frames(QUERIES.name, [*frames, frames[0].clear()], {"batch": "b1"})
        assert rows == 4
    assert warehouse.read(QUERIES.name).equals(pl.concat(frames))
    assert warehouse.write_frames(QUERIES.name, [], {"batch": "b1"}) == 0
    assert warehouse.read(QUERIES.name).is_empty()
    assert not list(warehouse.data_dir.glob(".stream-*"))


@pytest.mark.slow
def test_every_table_round_trips_in_frames(warehouse):
    for table in TABLES.values():
        partition = dict.fromkeys(table.partitions, "b1")
        frame = sample(table, 3, **partition).unique(table.key)
        warehouse.write_frames(table.name, [frame], partition or None)
        ((found,),) = warehouse.read_parts(Rows(table.name), on=table.key[-1])
        assert found.equals(frame.sort(table.key))


def test_frames_that_repeat_a_key_change_nothing(warehouse):
    frame = sample(QUERIES, 2, batch="b1")
    warehouse.write(QUERIES.name, frame[:1], {"batch": "b1"})
    with pytest.raises(
        SchemaMismatch, match=r"must be unique: two frames hold \('b1', '000[01]'\)"
    ):
        warehouse.write_frames(QUERIES.name, [frame, frame], {"batch": "b1"})
    assert warehouse.read(QUERIES.name).height == 1


def test_a_later_frame_that_does_not_fit_changes_nothing(warehouse):
    frame = sample(QUERIES, 2, batch="b1")
    warehouse.write(QUERIES.name, frame[:1], {"batch": "b1"})
    with pytest.raises(SchemaMismatch, match="column query is missing"):
        warehouse.write_frames(QUERIES.name, [frame, frame.drop("query")], {"batch": "b1"})
    assert warehouse.read(QUERIES.name).height == 1
    assert not list(warehouse.data_dir.glob(".stream-*"))


@pytest.mark.parametrize("size", [7, 1000])
def test_parts_of_several_tables_hold_what_belongs_together(warehouse, size):
    scores = sample(GATE, 60, batch="b1").with_columns(
        instruction_id=pl.format("i{}", pl.int_range(60) * 7 % 15)
    )
    queries = sample(QUERIES, 20, batch="b1").with_columns(
        instruction_id=pl.format("i{}", pl.int_range(20))
    )
    for table, frame in ((GATE, scores), (QUERIES, queries)):
        warehouse.write(table.name, frame, {"batch": "b1"})
        warehouse.write(table.name, sample(table, 3, "other", batch="b2"), {"batch": "b2"})
    wanted = (
        Rows(GATE.name, ("instruction_id", "score"), "accepted", [{"batch": "b1"}]),
        Rows(QUERIES.name, None, None, [{"batch": "b1"}]),
        Rows(GATE.name, ("raw",), None, [{"batch": "none"}]),
    )
    parts = list(warehouse.read_parts(*wanted, on="instruction_id", rows=size))
    assert len(parts) > 2 or size == 1000
    assert all(empty.is_empty() and empty.columns == ["raw"] for _, _, empty in parts)
    seen = [
        sorted({*first["instruction_id"], *second["instruction_id"]}) for first, second, _ in parts
    ]
    met = [name for names in seen for name in names]
    assert met == sorted(set(met))
    for number, (table, rows) in enumerate(zip((GATE, QUERIES), wanted, strict=False)):
        whole = warehouse.read(
            table.name, {"batch": "b1"}, columns=rows.columns, where_status=rows.status
        )
        found = pl.concat(part[number] for part in parts)
        assert found.sort(pl.all()).equals(whole.sort(pl.all()))
        for part in parts:
            ours = whole.filter(
                pl.col("instruction_id").is_in(part[number]["instruction_id"].implode())
            )
            assert part[number].equals(ours)


def test_parts_are_read_as_of_the_first(warehouse):
    warehouse.write(GATE.name, sample(GATE, 40, batch="b1"), {"batch": "b1"})
    parts = warehouse.read_parts(Rows(GATE.name), on="response_id", rows=10)
    rows = next(parts)[0].height
    warehouse.write(GATE.name, empty_frame(GATE), {"batch": "b1"})
    assert rows + sum(frame.height for (frame,) in parts) == 40
    assert not list(warehouse.data_dir.glob(".stream-*"))


def test_what_a_killed_stream_left_is_removed_and_a_living_one_kept(warehouse):
    warehouse.write(GATE.name, sample(GATE, 40, batch="b1"), {"batch": "b1"})
    left = warehouse.data_dir / ".stream-left"
    left.mkdir()
    (left / "000000.parquet").write_bytes(b"half")
    parts = warehouse.read_parts(Rows(GATE.name), on="response_id", rows=10)
    (first,) = next(parts)
    assert not left.exists()
    warehouse.write_frames(QUERIES.name, [], {"batch": "b1"})
    assert first.height + sum(frame.height for (frame,) in parts) == 40


def test_reading_parts_before_anything_was_written_gives_an_empty_one(local):
    ((frame,),) = local.read_parts(Rows(GATE.name, ("score",)), on="response_id")
    assert frame.is_empty()
    assert frame.schema == {"score": pl.Float64}
    assert not local.data_dir.exists()
