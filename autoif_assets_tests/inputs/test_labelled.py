import json

import polars as pl
import pytest

from autoif_assets.inputs import InputError, check_inputs, read_labelled

ROWS = [
    {"instruction": "Use no commas.", "response": " a\n", "follows": True},
    {"instruction": "Use no commas.", "response": "a, b", "follows": False},
    {"instruction": "Be kind.", "response": "", "follows": True, "query": "Why?"},
]
READ = [
    (1, "Use no commas.", " a\n", None, True),
    (2, "Use no commas.", "a, b", None, False),
    (3, "Be kind.", "", "Why?", True),
]


def written(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        frame = pl.DataFrame(rows, strict=False)
        frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return str(path)


@pytest.mark.parametrize("spec", [None, "", "  "])
def test_nothing_named_is_nothing_labelled(spec):
    assert read_labelled(spec).is_empty()


@pytest.mark.parametrize("name", ["l.json", "l.jsonl", "l.csv", "l.parquet"])
def test_every_format(tmp_path, name):
    path = written(tmp_path / name, ROWS)
    frame = read_labelled(path)
    wanted = READ if name != "l.csv" else [(2, *READ[0][1:]), (4, *READ[1][1:]), (5, *READ[2][1:])]
    assert frame.drop("source").rows() == wanted
    assert set(frame["source"]) == {path}


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        *((text, True) for text in (True, "yes", "True", 1, "1", " TRUE ", 1.0)),
        *((text, False) for text in (False, "no", "false", 0, "0")),
    ],
)
def test_labels_are_written_in_many_ways(tmp_path, text, follows):
    path = written(tmp_path / "l.json", [{**ROWS[0], "follows": text}])
    assert read_labelled(path)["follows"].to_list() == [follows]


def test_a_glob_and_rows_that_say_the_same_twice(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        written(tmp_path / name, ROWS[:2])
    assert read_labelled(f"{tmp_path}/*.jsonl")["line"].to_list() == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"follows": "perhaps"}, '"follows" is "perhaps"; write true or false'),
        ({"follows": None}, '"follows" is null; write true or false'),
        ({"follows": 2}, '"follows" is 2; write true or false'),
        ({"instruction": " "}, 'there is no text under "instruction"'),
        ({"response": ["a"]}, 'there is no text under "response"'),
        ({"query": 7}, 'there is no text under "query"; leave it out where there is none'),
        ({"follows": False}, "says otherwise of the response than {path}, record 1; leave one"),
        (
            {"follows": False, "instruction": "Use  no commas. "},
            "says otherwise of the response than {path}, record 1; leave one",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_place(tmp_path, row, said):
    path = written(tmp_path / "l.jsonl", [ROWS[0], {**ROWS[0], **row}])
    with pytest.raises(InputError) as refused:
        read_labelled(path)
    assert str(refused.value).startswith(f"{path}, record 2: {said.format(path=path)}")
    assert "\n" not in str(refused.value)


def test_a_line_of_csv_is_told(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text('instruction,response,follows\nBe kind.,"a\nb",yes\nBe kind.,c,never\n')
    with pytest.raises(InputError, match=r'l\.csv, line 4: "follows" is "never"'):
        read_labelled(str(path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "l.txt",
            "Use no commas.",
            'has no columns; expected "instruction", "response", "follows"',
        ),
        ("l.csv", "instruction,answer\na,b\n", "the file has: instruction, answer; expected"),
        ("l.jsonl", '{"response": "a"}\n', "the file has: response; expected"),
        ("l.jsonl", json.dumps(ROWS[0]) + "\n{", "record 2: cannot be read (not json)"),
        ("l.csv", "instruction,response,follows\n", "has no records"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as refused:
        read_labelled(str(tmp_path / name))
    assert said in str(refused.value)


def test_a_column_is_not_to_be_named(tmp_path):
    path = written(tmp_path / "l.jsonl", ROWS)
    with pytest.raises(InputError, match='the column "response" was named'):
        read_labelled(f"{path}:response")


def test_labels_are_checked_with_the_other_inputs(tmp_path):
    check_inputs(None, None, None, 20, 300, labelled=written(tmp_path / "l.jsonl", ROWS))
    wrong, seeds = tmp_path / "w.jsonl", tmp_path / "s.jsonl"
    written(wrong, [{**ROWS[0], "follows": "?"}])
    written(seeds, [{"instruction": "Be kind.", "cases": "none"}])
    with pytest.raises(InputError) as refused:
        check_inputs(str(seeds), None, None, 20, 300, labelled=str(wrong))
    first, second = str(refused.value).splitlines()
    assert "s.jsonl, record 1: the cases are no list" in first
    assert 'w.jsonl, record 1: "follows" is "?"' in second
