"""What a person reads when an input cannot be used: the whole message, file name shortened."""

import codecs
import json

import polars as pl
import pytest

from autoif_assets.inputs import InputError, read_seed_instructions, read_seed_queries
from autoif_assets.inputs.broken import find_broken_record


def message(read, folder, *args):
    with pytest.raises(InputError) as caught:
        read(*args)
    assert isinstance(caught.value, ValueError)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.fixture
def queries(tmp_path):
    def refuse(name, content=None, column=None):
        if content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name).write_bytes(data)
        return message(read_seed_queries, tmp_path, str(tmp_path / name), column, 20, 300)

    return refuse


@pytest.fixture
def seeds(tmp_path):
    def refuse(name, content):
        (tmp_path / name).write_bytes(content.encode())
        return message(read_seed_instructions, tmp_path, str(tmp_path / name))

    return refuse


def test_missing_file(queries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert queries("none.json") == f"none.json: no such file (looked from {tmp_path})"


def test_glob_without_a_match(queries):
    assert queries("*.jsonl") == "*.jsonl: the glob matches no file"


def test_folder(queries, tmp_path):
    (tmp_path / "in").mkdir()
    assert queries("in") == 'in: is a folder; name a file or a glob such as "in/*.jsonl"'


def test_only_commas():
    with pytest.raises(InputError, match=r"^,: names no file$"):
        read_seed_queries(",", None, 20, 300)


@pytest.mark.parametrize("content", ["", " \r\n\n", "\ufeff"])
@pytest.mark.parametrize("name", ["q.txt", "q.json", "q.csv", "q.parquet"])
def test_empty_file(queries, name, content):
    assert queries(name, content) == f"{name}: the file is empty"


def test_no_records(queries):
    assert queries("q.json", "[ ]") == "q.json: has no records"


EXPECTED = "expected one JSON array of records, or one record per line"
GOOD = '{"instruction": "Name three rivers of Asia."}'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "q.jsonl",
            f'{GOOD}\n\n{{"instruction": "x"\n{GOOD}\n',
            "q.jsonl: record 2 is not JSON: Expecting ',' delimiter (line 4, column 1); "
            + EXPECTED,
        ),
        (
            "q.jsonl",
            f"{GOOD}\nName three rivers.\n",
            "q.jsonl: record 2 is not JSON: Expecting value (line 2, column 1); " + EXPECTED,
        ),
        (
            "q.json",
            f'[{GOOD},\n{GOOD},\n  {{"instruction": }}]',
            "q.json: record 3 is not JSON: Expecting value (line 3, column 19); " + EXPECTED,
        ),
        (
            "q.json",
            f"[{GOOD},\n{GOOD}",
            "q.json: ends after record 2 without a closing ]; is it cut off?",
        ),
        ("q.json", f"[{GOOD}]\n{GOOD}", "q.json: has something after the ] that follows record 1"),
        (
            "q.json",
            f"[{GOOD}\n {GOOD}]",
            'q.json: after record 1 comes "{" (line 2, column 2); expected , or ]',
        ),
        (
            "q.json",
            f"[{GOOD} {GOOD}]",
            f'q.json: after record 1 comes "{{" (line 1, column {len(GOOD) + 3}); expected , or ]',
        ),
        (
            "q.json",
            "What is rain?",
            "q.json: record 1 is not JSON: Expecting value (line 1, column 1); " + EXPECTED,
        ),
        (
            "q.jsonl",
            GOOD + '\n{"instruction": "\\ud83d"}',
            "q.jsonl: record 2 has half of a surrogate pair (\\ud800 to \\udfff)",
        ),
    ],
)
def test_broken_json(queries, name, content, expected):
    assert queries(name, content) == expected
    assert queries(name, "\ufeff" + content) == expected


def test_a_broken_record_far_into_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("autoif_assets.inputs.broken._WINDOW", 100)
    monkeypatch.setattr("autoif_assets.inputs.files._CHUNK", 7)
    path = tmp_path / "q.json"
    lines = [json.dumps({"instruction": f"é {n}"}, ensure_ascii=False) for n in range(200)]
    path.write_text("[" + ",\n".join(lines) + "]", encoding="utf-8")
    find_broken_record(path)
    lines[150] = "{'instruction'}"
    path.write_text("[" + ",\n".join(lines) + "]", encoding="utf-8")
    found = message(find_broken_record, tmp_path, path)
    assert found.startswith("q.json: record 151 is not JSON: ")
    assert "(line 151, column 2)" in found


def test_a_record_that_is_too_large(queries):
    content = f'[{GOOD},{{"instruction": "' + "x" * 36_000_000 + '"}]'
    assert queries("q.json", content) == "q.json: record 2 is larger than 16 MiB; leave it out"


def test_what_only_duckdb_refuses(queries, monkeypatch):
    monkeypatch.setattr("autoif_assets.inputs.records.find_broken_record", lambda path: None)
    found = queries("q.json", f"[{GOOD}, 3")
    assert found.startswith("q.json: is not readable JSON: ")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"data": [], "version": 2}', "data, version"),
        ("{}", "no keys"),
    ],
)
def test_unknown_keys(queries, content, found):
    assert queries("q.json", content) == (
        f'q.json: record 1 has: {found}; expected "conversations" (ShareGPT), "messages" (OpenAI) '
        'or "instruction" (Alpaca), or the name of the text column in AUTOIF_QUERIES_COLUMN'
    )


def test_records_that_are_no_objects(queries):
    assert queries("q.json", '["Name three rivers of Asia."]') == (
        'q.json: record 1 is text; expected an object such as {"instruction": "..."}'
    )


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ('{"conversation": []}', "missing"),
        ('{"conversations": "Hi"}', "text"),
        ('{"conversations": {}}', "an object"),
        ('{"conversations": 5}', "a number"),
    ],
)
def test_a_record_unlike_the_first(queries, second, found):
    assert queries("q.jsonl", '{"conversations": []}\n' + second) == (
        f'q.jsonl: record 2: "conversations" is {found}; expected a list of turns such as '
        '{"from": "human", "value": "..."}'
    )


def test_an_instruction_that_is_no_text(queries):
    content = GOOD + '\n{"instruction": ["a"]}'
    assert queries("q.jsonl", content) == (
        'q.jsonl: record 2: "instruction" is a list; expected text'
    )


def test_unknown_column(queries, tmp_path):
    pl.DataFrame({"a": ["x"], "b": [1]}).write_parquet(tmp_path / "q.parquet")
    assert queries("q.parquet", column="c") == (
        'q.parquet: the file has no column "c" (AUTOIF_QUERIES_COLUMN); it has: a, b'
    )
    assert queries("q.parquet", column="b") == (
        'q.parquet: record 1: "b" is a number; expected text or a list of turns'
    )
    assert queries("q.parquet").startswith("q.parquet: the file has: a, b; expected ")
    assert queries("q.json", '[{"a": "x"}]', "c") == (
        'q.json: record 1 has no column "c" (AUTOIF_QUERIES_COLUMN); it has: a'
    )
    assert queries("q.csv", "a,b\n1,2\n", "c") == (
        'q.csv: has no column "c" in its first line; it has: a, b'
    )
    assert queries("q.csv", "a,b\n1,2\n") == (
        "q.csv: name the column with the text in AUTOIF_QUERIES_COLUMN"
    )


def test_no_parquet_at_all(queries):
    found = queries("q.parquet", "What is rain?", "a")
    assert found.startswith("q.parquet: is not a readable Parquet file: ")
    assert "\n" not in found


@pytest.mark.parametrize("name", ["q.txt", "q.csv"])
def test_latin_1(queries, name):
    expected = f"{name}: line 3 has byte 0xe9; expected UTF-8 text, save it as UTF-8"
    assert queries(name, "ask\n\ncafé au lait\n".encode("latin-1"), "ask") == expected


def test_latin_1_in_json(queries):
    content = f'[{GOOD},\n{{"instruction": "Où est la gare?"}}]'.encode("latin-1")
    assert queries("q.json", content) == (
        "q.json: line 2 has byte 0xf9; expected UTF-8 text, save it as UTF-8"
    )


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, b""])
def test_utf_16(queries, mark):
    byte = "0xff" if mark else "0x00"
    assert queries("q.txt", mark + "What is rain?".encode("utf-16-le")) == (
        f"q.txt: line 1 has byte {byte} (is it UTF-16?); expected UTF-8 text, save it as UTF-8"
    )


def test_nothing_left_after_filtering(queries):
    assert queries("q.txt", "Hi\nHello\n" + "x" * 300) == (
        "q.txt: none of 3 records is a usable query (2 too_short, 1 too_long); "
        "expected texts of 21 to 299 characters"
    )


def test_seeds_without_an_instruction(seeds):
    assert seeds("s.jsonl", '{"text": "Use no commas."}') == (
        's.jsonl: record 1 has: text; expected "instruction"'
    )
    assert seeds("s.csv", "text\nUse no commas.\n") == (
        's.csv: has no column "instruction" in its first line; it has: text'
    )
    assert seeds("s.jsonl", '{"instruction": " "}') == (
        "s.jsonl: none of 1 records has an instruction"
    )
    assert seeds("s.jsonl", '{"instruction": "Use dots."}\n{"instruction": 3}') == (
        's.jsonl: record 2: "instruction" is a number; expected text'
    )
    assert seeds("s.parquet", "PAR1") == (
        "s.parquet: seed instructions are read from TXT, JSONL or CSV files"
    )


def test_seeds_in_broken_csv(seeds):
    assert seeds("s.csv", "instruction\nUse dots.\nUse a, b and c.\n") == (
        "s.csv: line 3 has 2 fields, the first line 1; put texts with commas in double quotes"
    )
    assert seeds("s.csv", 'instruction\n"Use dots.\n') == (
        "s.csv: line 2 is not CSV: unexpected end of data"
    )


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "q.txt"
    path.write_text("What is rain?", encoding="utf-8")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    found = message(read_seed_queries, tmp_path, str(path), None, 3, 300)
    assert found == "q.txt: cannot be read: Permission denied"
