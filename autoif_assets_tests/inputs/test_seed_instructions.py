import json
from collections import Counter

import polars as pl
import pytest

from autoif_assets.inputs import InputError, read_seed_instructions
from autoif_assets.sandbox import static_check
from autoif_assets.warehouse.tables import TABLES


@pytest.fixture
def packaged():
    return read_seed_instructions(None)


def test_packaged_seeds(packaged):
    assert packaged.columns == [column.name for column in TABLES["seed_instructions"].columns]
    assert packaged.height >= 60
    assert (packaged["status"] == "accepted").all()
    categories = Counter(packaged["category"])
    assert None not in categories
    assert len(categories) >= 10
    assert min(categories.values()) >= 3


def test_packaged_seeds_name_their_file_without_a_machine_path(packaged):
    assert packaged["source"].unique().to_list() == [
        "autoif_assets/method/data/seed_instructions.jsonl"
    ]


@pytest.mark.parametrize("spec", ["", "  ", None])
def test_nothing_named_means_the_packaged_file(spec, packaged):
    assert read_seed_instructions(spec).equals(packaged)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.txt", "Use no commas.\n\n  Use 3 dots.\n"),
        ("s.txt", "\ufeffUse no commas.\r\n\r\nUse 3 dots.\r\n"),
        ("s.csv", "instruction\nUse no commas.\n\nUse 3 dots.\n"),
        ("s.csv", '\ufeffid,instruction\r\n1,Use no commas.\r\n\r\n2,"Use 3 dots."'),
    ],
)
def test_lines_of_text_and_csv(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode())
    frame = read_seed_instructions(str(path))
    assert frame["instruction"].to_list() == ["Use no commas.", "Use 3 dots."]
    assert frame["line"].to_list() == ([1, 3] if name == "s.txt" else [2, 4])
    assert frame["source"].to_list() == [str(path)] * 2
    assert frame["category"].to_list() == [None, None]


def test_csv_with_categories_commas_and_line_breaks(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(
        'category,instruction\nlength,"Use a, b\nand c."\n,Use dots.\n', encoding="utf-8"
    )
    frame = read_seed_instructions(str(path))
    assert frame.select("instruction", "category", "line").rows() == [
        ("Use a, b and c.", "length", 2),
        ("Use dots.", None, 4),
    ]


@pytest.mark.parametrize("name", ["s.md", "s.txt"])
def test_numbered_lists(tmp_path, name):
    path = tmp_path / name
    path.write_text(
        "1. Use no commas.\n2. Use **3** dots.\n\n10) Use:\n   - a\n   - b\n", encoding="utf-8"
    )
    frame = read_seed_instructions(str(path))
    assert frame.select("instruction", "line").rows() == [
        ("Use no commas.", 1),
        ("Use **3** dots.", 2),
        ("Use: - a - b", 4),
    ]


def test_markdown(tmp_path):
    path = tmp_path / "s.md"
    text = "# Seeds\n\nWe use these:\n\n- Use no commas.\n- [ ] Use *3* dots.\n* Use 3 dots only.\n"
    path.write_text(text, encoding="utf-8")
    frame = read_seed_instructions(str(path))
    assert frame.select("instruction", "line").rows() == [
        ("Use no commas.", 5),
        ("Use *3* dots.", 6),
        ("Use 3 dots only.", 7),
    ]
    path.write_bytes(b"# Seeds\nUse no commas.\nUse \xe9.\nUse 3 dots.\n")
    frame = read_seed_instructions(str(path))
    assert frame.select("instruction", "line", "reason").rows() == [
        ("Use no commas.", 2, None),
        ("", 3, "not_text"),
        ("Use 3 dots.", 4, None),
    ]


def test_text_that_is_no_list_keeps_its_marks(tmp_path):
    path = tmp_path / "s.txt"
    path.write_text("Use no commas.\n- Use 3 dots.\n", encoding="utf-8")
    assert read_seed_instructions(str(path))["instruction"].to_list() == [
        "Use no commas.",
        "- Use 3 dots.",
    ]


def test_parquet_and_a_column_of_another_name(tmp_path):
    frame = pl.DataFrame({"rule": ["Use no commas.", "Use 3 dots."], "category": ["a", None]})
    frame.write_parquet(tmp_path / "s.parquet")
    read = read_seed_instructions(f"{tmp_path}/s.parquet:rule")
    assert read.select("instruction", "category").rows() == [
        ("Use no commas.", "a"),
        ("Use 3 dots.", None),
    ]


def test_jsonl_with_some_categories(tmp_path):
    rows = [
        {"instruction": "Use no commas.", "category": "punctuation"},
        {"instruction": "Use 3 dots.", "id": 7},
        {"instruction": "Use 4 dots.", "category": None},
        {"instruction": None},
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\r\n" for row in rows), encoding="utf-8-sig")
    frame = read_seed_instructions(str(path))
    assert frame.select("instruction", "category", "line", "reason").rows() == [
        ("Use no commas.", "punctuation", 1, None),
        ("Use 3 dots.", None, 2, None),
        ("Use 4 dots.", None, 3, None),
        ("", None, 4, "empty"),
    ]


def test_the_authors_own_seed_list_loads(shared_data):
    frame = read_seed_instructions(str(shared_data / "autoif" / "seed_instruction.txt"))
    accepted = frame.filter(pl.col("status") == "accepted")
    assert accepted.height >= 30


SOURCE = "def evaluate(response):\n    return ',' not in response\n"
OTHER = "def evaluate(response):\n    return True"
CASES = [{"input": "a, b", "output": False}, {"input": "a", "output": True, "query": "Why?"}]
ROWS = [
    {"instruction": "Use no commas.", "verifier": SOURCE, "cases": CASES},
    {"instruction": "Use 3 dots.", "verifier": [SOURCE, OTHER]},
    {"instruction": "Say 7.", "category": "words", "cases": CASES[:1]},
    {"instruction": "Be kind."},
]


def cell(value):
    return value if isinstance(value, str | None) else json.dumps(value)


def write(path, rows):
    """Write rows in the format of the path."""
    names = ("instruction", "category", "verifier", "cases")
    cells = [{name: cell(row.get(name)) for name in names} for row in rows]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        pl.DataFrame(cells).write_csv(path)
    else:
        pl.DataFrame(rows, strict=False).write_parquet(path)
    return str(path)


def handed(frame):
    return [
        tuple(None if text is None else json.loads(text) for text in row)
        for row in frame.select("verifier", "cases").iter_rows()
    ]


WANTED = [([SOURCE], CASES), ([SOURCE, OTHER], None), (None, CASES[:1]), (None, None)]


@pytest.mark.parametrize("name", ["s.json", "s.jsonl", "s.csv"])
def test_seeds_come_with_verifiers_and_cases(tmp_path, name):
    frame = read_seed_instructions(write(tmp_path / name, ROWS), static_check)
    assert frame.filter(status="accepted").height == 4
    assert handed(frame) == WANTED


def test_seeds_of_parquet_come_with_lists_of_their_own(tmp_path):
    rows = [{**row, "verifier": row.get("verifier")} for row in ROWS]
    for row in rows:
        if isinstance(row["verifier"], str):
            row["verifier"] = [row["verifier"]]
    frame = read_seed_instructions(write(tmp_path / "s.parquet", rows), static_check)
    assert handed(frame) == WANTED


def test_a_column_of_another_name_and_checks_of_one_kind_only(tmp_path):
    frame = pl.DataFrame({"rule": ["Use no commas.", "Use 3 dots."], "verifier": [SOURCE, ""]})
    frame.write_parquet(tmp_path / "s.parquet")
    read = read_seed_instructions(f"{tmp_path}/s.parquet:rule", static_check)
    assert handed(read) == [([SOURCE], None), (None, None)]


def test_checks_that_come_late_in_a_file_are_found(tmp_path):
    rows = [{"instruction": f"Say the word {number} twice."} for number in range(1200)]
    rows.append({"instruction": "Use no commas.", "verifier": SOURCE})
    frame = read_seed_instructions(write(tmp_path / "s.jsonl", rows), static_check)
    assert handed(frame)[-1] == ([SOURCE], None)
    assert frame["verifier"].null_count() == 1200


def test_what_several_records_hand_in_for_one_instruction_counts_together(tmp_path):
    rows = [
        {"instruction": "Use no commas."},
        {"instruction": "Use no  commas.", "verifier": SOURCE, "cases": CASES[:1]},
        {"instruction": "Use no commas.", "verifier": [OTHER, SOURCE], "cases": CASES},
        {"instruction": "use no commas", "verifier": OTHER},
    ]
    frame = read_seed_instructions(write(tmp_path / "s.json", rows), static_check)
    assert frame["reason"].to_list() == [None, "duplicate", "duplicate", "near_duplicate"]
    assert handed(frame)[0] == ([SOURCE, OTHER], CASES)


WRONG = [
    ({"verifier": "def evaluate("}, "the verifier is not Python; expected Python that defines"),
    ({"verifier": [SOURCE, "import os\n" + OTHER]}, "verifier 2 imports os, which no verifier may"),
    ({"verifier": 3}, "the verifier is no text"),
    ({"cases": "yes"}, "the cases are no list; expected"),
    ({"cases": [{"input": "a"}]}, 'case 1 cannot be used: a case lacks "input" or "output"'),
    ({"cases": [*CASES, {"input": "a, b", "output": True}]}, "the cases say both true and false"),
]


@pytest.mark.parametrize(("row", "said"), WRONG)
@pytest.mark.parametrize(("name", "place"), [("s.jsonl", "record 2"), ("s.csv", "line 3")])
def test_a_check_that_is_none_is_refused_with_its_place(tmp_path, row, said, name, place):
    rows = [{"instruction": "Be kind."}, {"instruction": "Use no commas.", **row}]
    path = write(tmp_path / name, rows)
    with pytest.raises(InputError) as refused:
        read_seed_instructions(path, static_check)
    if name == "s.csv" and row == {"verifier": 3}:
        # A cell has no type; as Python it defines nothing.
        said = "the verifier defines no function named evaluate"
    assert str(refused.value).startswith(f"{path}, {place}: {said}")
    assert "\n" not in str(refused.value)


def test_records_that_contradict_one_another_are_refused(tmp_path):
    rows = [
        {"instruction": "Be kind.", "cases": [{"input": "a", "output": n}]} for n in (True, False)
    ]
    path = write(tmp_path / "s.json", rows)
    with pytest.raises(InputError) as refused:
        read_seed_instructions(path, static_check)
    said = f"{path}, 1 and {path}, 2: the cases say both true and false of the text 'a'"
    assert str(refused.value) == said


def test_a_broken_record_is_a_row_and_the_checks_beside_it_are_read(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join([json.dumps(ROWS[0]), '{"instruction": ', json.dumps(ROWS[2])]))
    frame = read_seed_instructions(str(path), static_check)
    assert frame["reason"].to_list() == [None, "not_json", None]
    assert handed(frame) == [WANTED[0], (None, None), WANTED[2]]
