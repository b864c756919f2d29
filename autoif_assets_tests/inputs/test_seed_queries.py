import json

import polars as pl
import pytest

from autoif_assets.inputs import read_seed_queries
from autoif_assets.warehouse.tables import TABLES


def read(spec, column=None):
    return read_seed_queries(None if spec is None else str(spec), column, 3, 60)


def write(path, content):
    path.write_bytes(content.encode())
    return path


def sharegpt(*turns):
    return {"conversations": [{"from": who, "value": text} for who, text in turns]}


RECORDS = [
    sharegpt(("human", "What is rain?"), ("gpt", "Water."), ("human", "And snow?")),
    sharegpt(("system", "Be brief."), ("user", "What is snow? é"), ("gpt", "Ice.")),
    sharegpt(("gpt", "Hello.")),
    sharegpt(),
    {"conversations": None},
    sharegpt(("human", None), ("gpt", "Yes?")),
    {"conversations": [{"from": "human"}, 3, "x"], "more": {"deep": [1]}},
]
EXPECTED = [
    ("What is rain?", 1, None),
    ("What is snow? é", 2, None),
    ("", 3, "no_human_turn"),
    ("", 4, "no_human_turn"),
    ("", 5, "no_human_turn"),
    ("", 6, "empty"),
    ("", 7, "empty"),
]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(RECORDS)),
        ("a.json", json.dumps(RECORDS, indent=1, ensure_ascii=False).replace("\n", "\r\n")),
        ("a.jsonl", "\r\n\n".join(map(json.dumps, RECORDS))),
        ("a.json", "\n".join(map(json.dumps, RECORDS))),
        ("a.dump", "\n".join(json.dumps(record, indent=2) for record in RECORDS)),
        ("a [1]'s.json", json.dumps(RECORDS)),
    ],
)
def test_sharegpt(tmp_path, mark, name, content):
    frame = read(write(tmp_path / name, mark + content))
    assert frame.columns == [column.name for column in TABLES["seed_queries"].columns]
    assert frame.select("query", "line", "reason").rows() == EXPECTED
    assert frame["source"].to_list() == [str(tmp_path / name)] * 7


def test_openai_messages(tmp_path):
    parts = [{"type": "image_url"}, {"type": "text", "text": "Name"}, {"text": "this bird"}]
    rows = [
        {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Hi there"}]},
        {"messages": [{"role": "user", "content": parts}]},
        {"messages": [{"role": "assistant", "content": "Hi"}]},
    ]
    frame = read(write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows))))
    assert frame["query"].to_list() == ["Hi there", "Name\nthis bird", ""]
    assert frame["reason"].to_list() == [None, None, "no_human_turn"]


def test_alpaca_joins_the_input(tmp_path):
    rows = [
        {"instruction": "Add these.", "input": "1, 2", "output": "3"},
        {"instruction": "Say hello.", "input": "", "output": ""},
        {"instruction": "Say goodbye.", "input": "<noinput>"},
        {"instruction": "Say thanks."},
        {"instruction": "Say no.", "input": None},
    ]
    frame = read(write(tmp_path / "a.json", json.dumps(rows)))
    assert frame["query"].to_list() == [
        "Add these.\n1, 2",
        "Say hello.",
        "Say goodbye.",
        "Say thanks.",
        "Say no.",
    ]


def test_text_lines_and_their_numbers(tmp_path):
    text = "What is rain?\n\nWhat is\u2028snow?\nwhat is rain\nok\n" + "x" * 60
    frame = read(write(tmp_path / "q.txt", text))
    assert frame.select("line", "reason").rows() == [
        (1, None),
        (3, None),
        (4, "near_duplicate"),
        (5, "too_short"),
        (6, "too_long"),
    ]


def test_a_text_file_with_an_unknown_suffix(tmp_path):
    assert read(write(tmp_path / "q.lst", "What is rain?"))["query"].to_list() == ["What is rain?"]


@pytest.mark.parametrize("name", ["q.parquet", "q.bin"])
def test_parquet_column(tmp_path, name):
    frame = pl.DataFrame({"n": [1, 2, 3], "ask it": ["What is rain?", None, "What is snow?"]})
    frame.write_parquet(tmp_path / name)
    read_back = read(tmp_path / name, "ask it")
    assert read_back.select("query", "line", "reason").rows() == [
        ("What is rain?", 1, None),
        ("", 2, "empty"),
        ("What is snow?", 3, None),
    ]


def test_parquet_of_conversations(tmp_path):
    rows = [sharegpt(("human", "What is rain?")), sharegpt(("gpt", "Hello."))]
    pl.DataFrame(rows).write_parquet(tmp_path / "q.parquet")
    frame = read(tmp_path / "q.parquet")
    assert frame["query"].to_list() == ["What is rain?", ""]
    assert read(tmp_path / "q.parquet", "conversations").equals(frame)


def test_a_named_column_of_csv_and_json(tmp_path):
    csv = write(tmp_path / "q.csv", 'id,ask\n1,"What, then, is rain?"\n')
    jsonl = write(tmp_path / "q.jsonl", '{"ask": "What is snow?", "instruction": "x"}\n')
    assert read(csv, "ask")["query"].to_list() == ["What, then, is rain?"]
    assert read(jsonl, "ask")["query"].to_list() == ["What is snow?"]


def test_several_files_and_globs_each_file_once(tmp_path):
    write(tmp_path / "b.txt", "What is rain?")
    write(tmp_path / "a.txt", "What is snow?\nWhat is rain?")
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "c.json", json.dumps([sharegpt(("human", "What is hail?"))]))
    frame = read(f"{tmp_path}/*.txt, {tmp_path}/a.txt,{tmp_path}/**/*.json")
    assert frame.select("query", "line", "status").rows() == [
        ("What is snow?", 1, "accepted"),
        ("What is rain?", 2, "accepted"),
        ("What is rain?", 1, "rejected"),
        ("What is hail?", 1, "accepted"),
    ]


def test_a_comma_in_a_file_name(tmp_path):
    assert read(write(tmp_path / "a,b.txt", "What is rain?")).height == 1


def test_many_records_keep_their_order_and_number(tmp_path):
    filler = [("gpt", "word " * 200)]
    rows = (json.dumps(sharegpt(("human", f"Question {n}"), *filler)) for n in range(1, 4001))
    frame = read(write(tmp_path / "big.json", "[" + ",\n".join(rows) + "]"))
    assert frame.filter(pl.col("query") != pl.format("Question {}", "line")).is_empty()
    assert frame["line"].to_list() == list(range(1, 4001))


def test_packaged_queries():
    frame = read_seed_queries(None, None, 20, 300)
    assert frame.height >= 300
    assert (frame["status"] == "accepted").all()
    assert frame["source"].unique().to_list() == ["autoif_assets/method/data/seed_queries.txt"]
    assert frame["query"].str.len_chars().max() > 200


@pytest.mark.parametrize(
    ("name", "records", "accepted"), [("sharegpt_300", 300, 191), ("alpaca_999", 999, 966)]
)
def test_real_files(shared_data, name, records, accepted):
    frame = read_seed_queries(str(shared_data / "queries" / f"{name}.json"), None, 20, 300)
    assert frame.height == records
    assert frame.filter(status="accepted").height == accepted
    assert set(frame["reason"].drop_nulls()) <= {"too_short", "too_long", "duplicate"}


def test_both_real_files_at_once(shared_data):
    frame = read_seed_queries(str(shared_data / "queries" / "*.json"), None, 20, 300)
    assert frame.height == 1299
    assert frame.select(pl.struct("source", "line").is_unique().all()).item()
