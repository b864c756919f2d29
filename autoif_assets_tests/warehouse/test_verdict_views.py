"""Duplicates, implications, conflicts and base rates, by the bits of ``verdict_matrix``."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.method.verdict_vectors import same_verdicts
from autoif_assets.warehouse import Warehouse

from .samples import put

pytestmark = pytest.mark.slow


def fill(warehouse: Warehouse, vectors: dict[str, str]) -> None:
    """Write a matrix: 1 and 0 are verdicts, and ? is none."""
    known = [{"instruction_id": name, "instruction": f"Do {name}."} for name in vectors]
    # One was written again, and rejected.
    known += [{**known[0], "instruction": "-", "status": "rejected", "reason": "duplicate"}]
    numbered = ({**row, "position": n} for n, row in enumerate(known))
    put(warehouse, "augmented_instructions", *numbered)
    put(
        warehouse,
        "verdict_matrix",
        *(
            {
                "instruction_id": name,
                "texts": len(bits),
                "verdicts": bits.replace("?", "0"),
                "known": bits.replace("0", "1").replace("?", "0"),
                "base_rate": 0.5,
                "own_rate": None,
            }
            for name, bits in vectors.items()
        ),
    )


def found(warehouse: Warehouse, macro: str, *columns: str, batch: str = "b1") -> list[tuple]:
    frame = warehouse.query(f"FROM autoif.{macro}($batch)", {"batch": batch})
    return frame.select(columns).rows() if columns else frame.rows()


HALF = "1" * 10 + "0" * 10


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (HALF, HALF, True),
        (HALF, "1" * 10 + "0" * 9 + "1", False),
        ("1" * 3 + "0" * 17, "1" * 3 + "0" * 17, True),
        ("1" * 2 + "0" * 18, "1" * 2 + "0" * 18, False),  # nearly no text obeys either
        ("1" * 18 + "0" * 2, "1" * 18 + "0" * 2, False),  # nearly any does
        ("1" * 20, "1" * 20, False),
        ("0" * 20, "0" * 20, False),
        (HALF[1:], HALF[1:], False),  # 19 texts
        # Where one has no verdict nothing is said.
        (HALF + "1", HALF + "?", True),
        (HALF + "?1", HALF + "0?", True),
        ("?" + HALF[1:], HALF, False),
        ("?" * 20, HALF, False),
    ],
)
def test_duplicates_are_obeyed_by_the_same_texts(tmp_path, one, other, told):
    warehouse = Warehouse(tmp_path)
    fill(warehouse, {"j": other, "i": one})
    columns = ("instruction_id", "instruction", "other_id", "other")
    pairs = found(warehouse, "duplicates", *columns)
    assert pairs == ([("i", "Do i.", "j", "Do j.")] if told else [])
    # Who divides instructions goes by the same rule.
    assert same_verdicts(warehouse.read("verdict_matrix")).rows() == [
        ("b1", one, other) for one, _, other, _ in pairs
    ]
    assert found(warehouse, "implications") == []


def test_duplicates_say_on_how_many_texts(tmp_path):
    fill(Warehouse(tmp_path), {"i": HALF + "?1", "j": HALF + "01", "k": "0" * 22})
    assert found(Warehouse(tmp_path), "duplicates", "other_id", "obey", "texts") == [("j", 11, 21)]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("1" * 10 + "0" * 20, "1" * 15 + "0" * 15, [("i", "j", 10, 15, 30)]),
        ("1" * 15 + "0" * 15, "1" * 10 + "0" * 20, [("j", "i", 10, 15, 30)]),
        ("1" * 10 + "0" * 20, "1" * 9 + "0" + "1" * 6 + "0" * 14, []),
        # Of ten texts five would be alone by chance, and of nine fewer.
        ("1" * 9 + "0" * 21, "1" * 15 + "0" * 15, []),
        # Nearly any text obeys the other.
        ("1" * 10 + "0" * 20, "1" * 29 + "0", []),
        ("0" * 30, "1" * 15 + "0" * 15, []),
        ("1" * 15 + "0" * 15, "1" * 15 + "0" * 15, []),
        ("1" * 10 + "0" * 20 + "1", "1" * 15 + "0" * 15 + "?", [("i", "j", 10, 15, 30)]),
    ],
)
def test_implications_have_a_direction(tmp_path, one, other, told):
    warehouse = Warehouse(tmp_path)
    fill(warehouse, {"i": one, "j": other})
    columns = ("instruction_id", "implied_id", "obey", "implied_obey", "texts")
    assert found(warehouse, "implications", *columns) == told
    if told:
        ((words, implied),) = found(warehouse, "implications", "instruction", "implied")
        assert (words, implied) == (f"Do {told[0][0]}.", f"Do {told[0][1]}.")


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("1" * 10 + "0" * 10, "0" * 10 + "1" * 10, [("i", "j", 10, 10, 20)]),
        ("1" * 10 + "0" * 10, "0" * 9 + "1" * 11, []),
        ("1" * 10 + "0" * 10, "0" * 11 + "1" * 9, []),  # 4.5 would by chance
        ("1" * 10 + "0" * 10, "?" * 10 + "1" * 10, []),
        ("1" * 10 + "0" * 10 + "1", "0" * 10 + "1" * 10 + "?", [("i", "j", 10, 10, 20)]),
        ("0" * 20, "1" * 20, []),
    ],
)
def test_conflicts_are_obeyed_by_no_text_at_once(tmp_path, one, other, told):
    warehouse = Warehouse(tmp_path)
    fill(warehouse, {"i": one, "j": other})
    columns = ("instruction_id", "other_id", "obey", "other_obey", "texts")
    assert found(warehouse, "conflicts", *columns) == told


def test_base_rates_tell_how_often_an_instruction_holds_by_chance(tmp_path):
    warehouse = Warehouse(tmp_path)
    fill(warehouse, {"i": "1?00", "j": "????"})
    verified = {"instruction_id": "i", "status": "rejected", "reason": "vacuous"}
    put(warehouse, "verified_instructions", verified)
    columns = ("instruction_id", "instruction", "base_rate", "obey", "known", "reason")
    assert found(warehouse, "base_rates", *columns) == [
        ("i", "Do i.", 0.5, 1, 3, "vacuous"),
        ("j", "Do j.", 0.5, 0, 0, None),
    ]


@pytest.mark.parametrize(
    "macro", ["duplicates", "implications", "conflicts", "base_rates", "verdict_pairs"]
)
def test_other_batches_and_empty_matrices_are_left_alone(tmp_path, macro):
    warehouse = Warehouse(tmp_path)
    fill(warehouse, {"i": HALF, "j": HALF})
    assert found(warehouse, macro, batch="b1") != [] or macro in ("implications", "conflicts")
    assert found(warehouse, macro, batch="b2") == []
    assert found(warehouse, macro, batch="b1' OR 1 = 1 --") == []
    fill(warehouse, {"i": "", "j": ""})
    assert macro == "base_rates" or found(warehouse, macro) == []


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return Warehouse(tmp_path_factory.mktemp("pairs"))


@settings(max_examples=10)
@given(st.integers(20, 70), st.data())
def test_pairs_are_counted_as_by_hand(warehouse, texts, data):
    bits = st.text("01?", min_size=texts, max_size=texts)
    vectors = {f"i{n}": data.draw(bits) for n in range(3)}
    fill(warehouse, vectors)
    pairs = {
        (row["instruction_id"], row["other_id"]): row
        for row in warehouse.query("FROM autoif.verdict_pairs('b1')").iter_rows(named=True)
    }
    for one in vectors:
        for other in vectors:
            both = [
                pair for pair in zip(vectors[one], vectors[other], strict=True) if "?" not in pair
            ]
            row = pairs.get((one, other))
            assert (row is not None) == (one < other and len(both) >= 20)
            if row:
                counts = [both.count(pair) for pair in (("1", "1"), ("1", "0"), ("0", "1"))]
                assert [row[name] for name in ("both_obey", "one_obeys", "other_obeys")] == counts
                assert row["none_obeys"] == len(both) - sum(counts)
                assert row["texts"] == len(both)


def test_thousands_of_bits_fit(tmp_path):
    fill(Warehouse(tmp_path), {"i": HALF * 200, "j": HALF * 200})
    assert found(Warehouse(tmp_path), "duplicates", "obey", "texts") == [(2000, 4000)]
