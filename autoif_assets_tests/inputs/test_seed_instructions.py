import json
from collections import Counter

import polars as pl
import pytest

from autoif_assets.inputs import read_seed_instructions
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
