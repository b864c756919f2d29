"""What a person reads when an input cannot be used: the whole message, file name shortened."""

import codecs
import gzip
import json

import polars as pl
import pytest

from autoif_assets.inputs import InputError, read_seed_instructions, read_seed_queries
from autoif_assets.inputs.broken import salvage


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
NEXT = ", and where the next one begins cannot be told; is it cut off?"


@pytest.fixture
def rows(tmp_path):
    """Read queries; return their place, text and reason."""

    def read(name, content, column=None):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        frame = read_seed_queries(str(tmp_path / name), column, 3, 300)
        return frame.select("line", "query", "reason").rows()

    return read


READ = "Name three rivers of Asia."


def good(line):
    return (line, READ, None)


def again(line):
    return (line, READ, "duplicate")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f'{GOOD}\n\n{{"instruction": "x"\n{GOOD}\n', [good(1), (2, "", "not_json"), again(3)]),
        (
            f"{GOOD}\nName three rivers.\nAnd lakes.",
            [good(1), (2, "", "not_json"), (3, "", "not_json")],
        ),
        (f'{GOOD}\n{{"instruction": "x', [good(1), (2, "", "not_json")]),
        (f'{{"instruction": "a\n{GOOD}', [(1, "", "not_json"), good(2)]),
        (
            f'{GOOD}\n{{\n "instruction" "x"\n}}\n{{\n "instruction": "Why?"\n}}',
            [good(1), (2, "", "not_json"), (3, "Why?", None)],
        ),
        (f'[{GOOD},\n{GOOD},\n  {{"instruction": }}]', [good(1), again(2), (3, "", "not_json")]),
        (f'[{{"instruction": "x}}, {{"a": "b"}},\n{GOOD}]', [(1, "", "not_json"), good(2)]),
        (f'[\n  {{"a": [1, "x}},\n  {GOOD}\n]', [(1, "", "not_json"), good(2)]),
        (
            f'[{{"instruction": }}, {GOOD}, tru, "\\"]", {GOOD}]',
            [(1, "", "not_json"), good(2), (3, "", "not_json"), (4, "", "no_text"), again(5)],
        ),
        (GOOD + '\n{"instruction": "\\ud83d of an emoji"}', [good(1), (2, "", "not_text")]),
        (f'[{{"instruction": "\\ud83d"}}, {GOOD}]', [(1, "", "not_text"), good(2)]),
        (GOOD + '\n{"instruction": "a\\u0000b"}', [good(1), (2, "", "control_characters")]),
        (
            GOOD + '\n{"id": 2}\n3\nnull\n"x"',
            [good(1), *((n, "", "no_text") for n in (2, 3, 4, 5))],
        ),
        ('{"id": 2}\n"x"\n' + GOOD, [(1, "", "no_text"), (2, "", "no_text"), good(3)]),
        (
            GOOD + '\n{"instruction": ["a"]}\n{"instruction": {}}',
            [good(1), (2, "", "no_text"), (3, "", "no_text")],
        ),
        (GOOD + "\n" + "[" * 200_000 + "\n" + GOOD, [good(1), (2, "", "not_json"), again(3)]),
        (
            GOOD + '\n{"instruction": "Why?", "n": ' + "9" * 5000 + "}\n{",
            [good(1), (2, "Why?", None), (3, "", "not_json")],
        ),
        (GOOD + '\n{"instruction": "Why?",}\n{', [good(1), (2, "Why?", None), (3, "", "not_json")]),
    ],
)
def test_a_broken_record_is_a_row(rows, content, expected):
    assert rows("q.json", content) == expected
    assert rows("q.json", "\ufeff" + content) == expected
    assert rows("q.json.gz", gzip.compress(content.encode())) == expected


def test_a_deep_record_is_a_row(rows):
    deep = '{"conversations": ' + "[" * 5000 + "]" * 5000 + "}"
    content = '{"conversations": [{"from": "user", "value": "Why?"}]}\n' + deep
    assert rows("q.json", content) == [(1, "Why?", None), (2, "", "no_human_turn")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"[{GOOD},\n{GOOD}", "q.json: ends after record 2 without a closing ]; is it cut off?"),
        (f"[{GOOD}]\n{GOOD}", "q.json: has something after the ] that follows record 1"),
        (
            f"[{GOOD}\n {GOOD}]",
            'q.json: after record 1 comes "{" (line 2, column 2); expected , or ]',
        ),
        (
            f"[{GOOD} {GOOD}]",
            f'q.json: after record 1 comes "{{" (line 1, column {len(GOOD) + 3}); expected , or ]',
        ),
        (
            f'[{GOOD},\n {{"instruction": "x',
            "q.json: record 2 is not JSON: Unterminated string starting at (line 2, column 18)"
            + NEXT,
        ),
        ("What is rain?", "q.json: record 1 is not JSON; " + EXPECTED),
    ],
)
def test_json_that_cannot_be_read_at_all(queries, content, expected):
    assert queries("q.json", content) == expected
    assert queries("q.json", "\ufeff" + content) == expected


@pytest.mark.parametrize("layout", ["[{}]", "{}"])
def test_broken_records_far_into_a_file(tmp_path, monkeypatch, layout):
    monkeypatch.setattr("autoif_assets.inputs.broken._WINDOW", 100)
    monkeypatch.setattr("autoif_assets.inputs.files._CHUNK", 7)
    path = tmp_path / "q.json"
    lines = [json.dumps({"instruction": f"é {n}"}, ensure_ascii=False) for n in range(200)]
    lines[90] = '{"instruction": "' + "y" * 500 + '"}'
    lines[150] = "{'instruction'}"
    for separator in (",\n", ", ") if layout == "[{}]" else ("\n",):
        path.write_text(layout.replace("{}", separator.join(lines)), encoding="utf-8")
        found = list(salvage(path))
        assert [row.line for row in found] == list(range(1, 201))
        reasons = {row.line: row.reason for row in found if row.reason != "not_text"}
        assert reasons == {91: "too_large", 151: "not_json"}
        assert [row.json for row in found][199] == lines[199]


def test_a_record_that_is_too_large(rows):
    content = f'[{GOOD},{{"instruction": "' + "x" * 36_000_000 + f'"}},{GOOD}]'
    assert rows("q.json", content) == [good(1), (2, "", "too_large"), again(3)]


def test_what_only_duckdb_refuses(queries, monkeypatch):
    monkeypatch.setattr("autoif_assets.inputs.records.salvage", lambda path: iter([]))
    assert queries("q.json", f"[{GOOD}, 3") == "q.json: has no records"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"data": [], "version": 2}', "data, version"),
        ("{}", "no keys"),
    ],
)
def test_unknown_keys(queries, content, found):
    assert queries("q.json", content) == (
        f'q.json: the file has: {found}; expected "conversations" (ShareGPT), "messages" (OpenAI), '
        '"instruction" (Alpaca) or "query", or the name of the text column in '
        "AUTOIF_QUERIES_COLUMN"
    )


def test_records_that_are_no_objects(queries):
    assert queries("q.json", '["Name three rivers of Asia."]') == (
        'q.json: record 1 is text; expected an object such as {"instruction": "..."}'
    )


@pytest.mark.parametrize(
    "second",
    ['{"conversation": []}', *(f'{{"conversations": {value}}}' for value in ('"Hi"', "{}", "5"))],
)
def test_a_record_unlike_the_first(rows, second):
    content = '{"conversations": [{"from": "user", "value": "Why?"}]}\n' + second
    assert rows("q.jsonl", content) == [(1, "Why?", None), (2, "", "no_text")]


def test_an_unknown_suffix(queries):
    known = ".txt, .md, .markdown, .csv, .tsv, .parquet, .json, .jsonl, .ndjson"
    for name, suffix in (("q.lst", ".lst"), ("q.xlsx", ".xlsx"), ("q.xml.gz", ".xml")):
        assert queries(name, "What is rain?") == (
            f'{name}: the suffix "{suffix}" is not known; known are {known}, also with .gz or .zst'
        )


@pytest.mark.parametrize("name", ["q.jsonl.gz", "q.txt.gz", "q.jsonl.zst", "q.csv.zst"])
def test_what_is_not_compressed_as_its_name_says(queries, name):
    found = queries(name, GOOD, None)
    assert found.startswith(f"{name}: cannot be read: ")
    assert "\n" not in found


@pytest.mark.parametrize("name", ["q.jsonl.gz", "q.txt.gz"])
def test_a_compressed_file_that_is_cut_off(queries, name):
    content = gzip.compress((GOOD + "\n").encode() * 10_000)[:-200]
    assert queries(name, content).startswith(
        f"{name}: cannot be decompressed: Compressed file ended"
    )


def test_compressed_parquet(queries):
    assert queries("q.parquet.gz", "PAR1") == (
        "q.parquet.gz: Parquet files are compressed inside; unpack it"
    )


def test_a_column_that_nothing_has(queries, tmp_path):
    lost = 'no file has the column "ask" (AUTOIF_QUERIES_COLUMN)'
    assert queries("q.txt", "What is rain in the mountains?", "ask") == f"q.txt: {lost}"
    assert queries("q.jsonl", GOOD, "ask") == f"q.jsonl: {lost}"
    assert message(read_seed_queries, tmp_path, None, "ask", 3, 300) == (
        f"the packaged queries: {lost}"
    )
    assert queries("q.txt:ask") == 'q.txt: has no columns, and "ask" was named'
    assert queries("q.jsonl:ask") == 'q.jsonl: the file has no column "ask"; it has: instruction'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "id,ask\n1,Why?\n2,a,b\n3\n4,How?",
            [(2, "Why?", None), (3, "", "bad_row"), (4, "", "no_text"), (5, "How?", None)],
        ),
        (
            'ask,id\n"Why?\nHow?",1\n"Who?,2\n"What, then?",3',
            [(2, "Why?\nHow?", None), (4, "", "bad_row"), (5, "What, then?", None)],
        ),
        ('ask\nWhy?\n"How', [(2, "Why?", None), (3, "", "bad_row")]),
        ("ask\r\nWhy?\r\n\r\nHow?\r\n", [(2, "Why?", None), (4, "How?", None)]),
        ("ask\rWhy?\rHow?\r", [(2, "Why?", None), (3, "How?", None)]),
        ("ask\nWhy?\na\0b", [(2, "Why?", None), (3, "", "control_characters")]),
    ],
)
def test_a_bad_row_of_csv_is_a_row(rows, content, expected):
    assert rows("q.csv", content, "ask") == expected


def test_unknown_column(queries, tmp_path):
    pl.DataFrame({"a": ["x"], "b": [1]}).write_parquet(tmp_path / "q.parquet")
    assert queries("q.parquet", column="c") == (
        'q.parquet: the file has no column "c" (AUTOIF_QUERIES_COLUMN); it has: a, b'
    )
    assert queries("q.parquet", column="b") == (
        "q.parquet: none of 1 records is a usable query (1 no_text); "
        "expected texts of 21 to 299 characters"
    )
    assert queries("q.parquet").startswith("q.parquet: the file has: a, b; expected ")
    assert queries("q.json", '[{"a": "x"}]', "c") == (
        'q.json: the file has no column "c" (AUTOIF_QUERIES_COLUMN); it has: a'
    )
    assert queries("q.csv", "a,b\n1,2\n", "c") == (
        'q.csv: the file has no column "c" (AUTOIF_QUERIES_COLUMN); it has: a, b'
    )
    assert queries("q.csv", "a,b\n1,2\n").startswith("q.csv: the file has: a, b; expected ")


def test_no_parquet_at_all(queries):
    found = queries("q.parquet", "What is rain?", "a")
    assert found.startswith("q.parquet: is not a readable Parquet file: ")
    assert "\n" not in found


@pytest.mark.parametrize("name", ["q.txt", "q.csv", "q.tsv", "q.md"])
def test_a_line_that_is_no_text(rows, name):
    content = "ask\nWhy?\ncafé au lait\nHow?\n".encode("latin-1")
    found = rows(name, content, None if name in ("q.txt", "q.md") else "ask")
    assert found[-3:] == [(2, "Why?", None), (3, "", "not_text"), (4, "How?", None)]


@pytest.mark.parametrize(
    "content",
    [
        f'[{GOOD},\n{{"instruction": "Où est la gare?"}},{GOOD}]',
        f'{GOOD}\n{{"instruction": "Où est la gare?"}}\n{GOOD}',
    ],
)
def test_latin_1_in_json(rows, content):
    expected = [good(1), (2, "", "not_text"), again(3)]
    assert rows("q.json", content.encode("latin-1")) == expected


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, b""])
def test_utf_16(queries, mark):
    byte = "0xff" if mark else "0x00"
    assert queries("q.txt", mark + "What is rain?".encode("utf-16-le")) == (
        f"q.txt: line 1 has byte {byte} (is it UTF-16?); expected UTF-8 text, save it as UTF-8"
    )


def test_a_file_of_another_encoding(queries):
    text = "Où est la gare du Nord?"
    assert queries("q.txt", text.encode("latin-1")) == (
        "q.txt: none of 1 records is a usable query (1 not_text); "
        "expected texts of 21 to 299 characters, as UTF-8"
    )
    assert queries("q.json", json.dumps([text], ensure_ascii=False).encode("latin-1")) == (
        "q.json: record 1 is no Unicode text; save the file as UTF-8"
    )


def test_nothing_left_after_filtering(queries):
    assert queries("q.txt", "Hi\nHello\n" + "x" * 300) == (
        "q.txt: none of 3 records is a usable query (2 too_short, 1 too_long); "
        "expected texts of 21 to 299 characters"
    )


def test_seeds_without_an_instruction(seeds):
    assert seeds("s.jsonl", '{"text": "Use no commas."}') == (
        's.jsonl: the file has: text; expected "instruction"'
    )
    assert seeds("s.csv", "text\nUse no commas.\n") == (
        's.csv: the file has: text; expected "instruction"'
    )
    assert seeds("s.jsonl", '{"instruction": " "}') == (
        "s.jsonl: none of 1 records has an instruction"
    )
    found = seeds("s.parquet", "PAR1")
    assert found.startswith("s.parquet: is not a readable Parquet file: ")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("s.jsonl", '{"instruction": "Use dots."}\n{"instruction": 3}', "no_text"),
        ("s.jsonl", '{"instruction": "Use dots."}\n{"instruction": 3', "not_json"),
        ("s.csv", "instruction\nUse dots.\nUse a, b and c.\n", "bad_row"),
        ("s.csv", 'instruction\nUse dots.\n"Use dots.\n', "bad_row"),
    ],
)
def test_a_bad_seed_is_a_row(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content, encoding="utf-8")
    frame = read_seed_instructions(str(tmp_path / name))
    assert frame["reason"].to_list() == [None, reason]


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "q.txt"
    path.write_text("What is rain?", encoding="utf-8")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    found = message(read_seed_queries, tmp_path, str(path), None, 3, 300)
    assert found == "q.txt: cannot be read: Permission denied"
