import gzip
import json

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoif_assets.inputs import InputError, read_seed_queries
from autoif_assets.inputs.records import Records, known_shape
from autoif_assets.method.conversations import read_messages, write_messages
from autoif_assets.method.ids import content_id
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
    ("What is snow? é", 2, "multi_turn"),
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
        ("a", "\n".join(json.dumps(record, indent=2) for record in RECORDS)),
        ("a [1]'s.json", json.dumps(RECORDS)),
    ],
)
def test_sharegpt(tmp_path, mark, name, content):
    frame = read(write(tmp_path / name, mark + content))
    assert frame.columns == [column.name for column in TABLES["seed_queries"].columns]
    assert frame.select("query", "line", "reason").rows() == EXPECTED
    assert frame["source"].to_list() == [str(tmp_path / name)] * 7


def test_openai_messages(tmp_path):
    parts = [{"type": "text", "text": "Name"}, {"text": "this bird"}]
    rows = [
        {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Hi there"}]},
        {"messages": [{"role": "user", "content": parts}]},
        {"messages": [{"role": "assistant", "content": "Hi"}]},
        # Nobody can answer what is asked of a picture without it.
        {"messages": [{"role": "user", "content": [{"type": "image_url"}, *parts]}]},
        {"messages": [{"role": "user", "content": [*parts, {"type": "input_audio"}]}]},
    ]
    frame = read(write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows))))
    assert frame["query"].to_list()[:3] == ["Hi there", "Name\nthis bird", ""]
    assert frame["reason"].to_list() == [
        *("multi_turn", None, "no_human_turn", "not_only_text", "not_only_text")
    ]


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


def test_a_text_file_without_a_suffix(tmp_path):
    assert read(write(tmp_path / "q", "What is rain?"))["query"].to_list() == ["What is rain?"]


@pytest.mark.parametrize("name", ["q.parquet", "q"])
def test_parquet_column(tmp_path, name):
    frame = pl.DataFrame({"n": [1, 2, 3], "ask it": ["What is rain?", None, "What is snow?"]})
    frame.write_parquet(tmp_path / name)
    read_back = read(tmp_path / name, "ask it")
    assert read_back.select("query", "line", "reason").rows() == [
        ("What is rain?", 1, None),
        ("", 2, "empty"),
        ("What is snow?", 3, None),
    ]


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_a_column_called_query_need_not_be_named(tmp_path, format):
    frame = pl.DataFrame({"id": [1, 2], "query": ["What is rain?", "What is snow?"]})
    path = tmp_path / f"q.{format}"
    write = {"jsonl": pl.DataFrame.write_ndjson, "csv": pl.DataFrame.write_csv}
    write_as = write.get(format, pl.DataFrame.write_parquet)
    write_as(frame, path)
    assert read(path).select("query", "reason").rows() == [
        ("What is rain?", None),
        ("What is snow?", None),
    ]
    # Who has a layout, too, means the layout.
    both = frame.select("query", instruction=pl.lit("Name a river of Asia."))
    write_as(both, path)
    assert set(read(path)["query"]) == {"Name a river of Asia."}


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


def test_tsv_with_and_without_quotes(tmp_path):
    text = 'id\task\n1\tWhat is rain?\n2\t"Why" is it cold?\n3\t"What, at\nlast, is hail?"\n'
    text += "4\tAnd fog?"
    tsv = write(tmp_path / "q.tsv", text)
    for frame in (read(tsv, "ask"), read(f"{tsv}:ask")):
        assert frame.select("query", "line", "reason").rows() == [
            ("What is rain?", 2, None),
            ('"Why" is it cold?', 3, None),
            ("What, at\nlast, is hail?", 4, None),
            ("And fog?", 6, None),
        ]


@pytest.mark.parametrize("format", ["jsonl", "json", "csv", "txt"])
def test_compressed_files(tmp_path, format):
    questions = [f"What is rain on day {n}?" for n in range(50)]
    content = {
        "jsonl": "".join(json.dumps({"ask": text}) + "\n" for text in questions),
        "json": json.dumps([{"ask": text} for text in questions]),
        "csv": "\n".join(["ask", *questions]),
        "txt": "\n".join(questions),
    }[format].encode()
    packed = tmp_path / f"q.{format}.gz"
    packed.write_bytes(gzip.compress(content[:99]) + gzip.compress(content[99:]))
    other = tmp_path / f"q.{format}.zst"
    with pa.CompressedOutputStream(str(other), "zstd") as file:
        file.write(content)
    for path in (packed, other):
        frame = read(path, None if format == "txt" else "ask")
        assert frame["status"].unique().to_list() == ["accepted"]
        assert frame["query"].to_list() == questions


def test_conversations_in_csv_and_as_text_in_a_column(tmp_path):
    told = json.dumps([{"from": "human", "value": "What is rain?"}])
    late = json.dumps(
        [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Why?"}]
    )
    rows = [{"talk": told}, {"talk": late}, {"talk": "What is [snow]?"}, {"talk": "[1, 2] or 3?"}]
    expected = [
        ("What is rain?", None),
        ("Why?", "multi_turn"),
        ("What is [snow]?", None),
        ("[1, 2] or 3?", None),
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "q.parquet")
    pl.DataFrame(rows).write_csv(tmp_path / "q.csv")
    for name in ("q.parquet", "q.csv"):
        assert read(tmp_path / name, "talk").select("query", "reason").rows() == expected
    pl.DataFrame([{"messages": row["talk"]} for row in rows]).write_csv(tmp_path / "m.csv")
    assert read(tmp_path / "m.csv")["reason"].to_list() == [
        None,
        "multi_turn",
        "no_text",
        "no_text",
    ]


def test_csv_fields_of_any_length(tmp_path):
    path = write(tmp_path / "q.csv", f'ask\nWhat is rain?\n"{"x" * 200_000}"\nWhat is snow?\n')
    assert read(path, "ask")["reason"].to_list() == [None, "too_long", None]


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ([], None),
        ([("system", "")], None),
        ([("system", "You are a helpful assistant.")], None),
        (
            [("system", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")],
            None,
        ),
        ([("system", "You are a pirate.")], "multi_turn"),
        ([("system", "You are a helpful assistant. Speak French.")], "multi_turn"),
        ([("gpt", "Hello, ask me about the sea.")], "multi_turn"),
        ([("gpt", " ")], None),
        ([("tool", "42")], "multi_turn"),
        ([("tool", None)], None),
    ],
)
def test_a_first_turn_stands_alone_or_not(tmp_path, before, reason):
    row = sharegpt(*before, ("human", "What is rain?"), ("gpt", "Water."))
    frame = read(write(tmp_path / "q.json", json.dumps([row, sharegpt(("human", "Is it ice?"))])))
    assert frame["reason"].to_list() == [reason, None]


def test_what_a_record_says_beside_its_text_is_context_too(tmp_path):
    rows = [
        {"instruction": "What is rain?", "history": [], "system": None},
        {"instruction": "And why is that?", "history": [["Is it wet?", "Yes."]]},
        {"instruction": "What is snow?", "system": "You are a pirate."},
        {"instruction": "What is hail?", "system": "You are a helpful AI assistant"},
    ]
    expected = [None, "multi_turn", "multi_turn", None]
    assert read(write(tmp_path / "a.json", json.dumps(rows)))["reason"].to_list() == expected
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")["reason"].to_list() == expected


def kept(path, column=None):
    return read_seed_queries(str(path), column, 3, 60, keep=True)


def context(*told):
    return write_messages([{"role": role, "content": text} for role, text in told])


BEFORE = (("user", "Why rain?"), ("assistant", "Clouds."))
RAIN = (("human", "Why rain?"), ("gpt", "Clouds."), ("human", "And snow?"))


@pytest.mark.parametrize("format", ["json", "parquet", "csv"])
def test_conversations_that_are_kept(tmp_path, format):
    rows = [
        sharegpt(*RAIN, ("gpt", "Also.")),
        sharegpt(*RAIN),
        sharegpt(("system", "Be brief."), ("human", "What is hail?"), ("gpt", "Ice.")),
        sharegpt(("system", "Be brief."), *RAIN),
        sharegpt(("human", "What is fog?"), ("gpt", "Clouds.")),
        sharegpt(("system", "You are a helpful assistant."), ("human", "What is dew?")),
        sharegpt(("gpt", "Ask me."), ("human", "What is ice?")),
        sharegpt(*RAIN[:2], ("tool", "42"), ("human", "And snow?")),
        sharegpt(*RAIN[:2], ("human", "Ok")),
        sharegpt(("gpt", "Ask me.")),
    ]
    expected = [
        ("And snow?", context(*BEFORE), None),
        ("And snow?", context(*BEFORE), "duplicate"),
        ("What is hail?", context(("system", "Be brief.")), None),
        ("And snow?", context(("system", "Be brief."), *BEFORE), None),
        ("What is fog?", None, None),
        ("What is dew?", None, None),
        ("What is ice?", None, "unpaired_turns"),
        ("And snow?", None, "tool_turn"),
        ("Ok", context(*BEFORE), "too_short"),
        ("", None, "no_human_turn"),
    ]
    path = tmp_path / f"q.{format}"
    if format == "json":
        write(path, json.dumps(rows))
    elif format == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        as_text = [{"conversations": json.dumps(row["conversations"])} for row in rows]
        pl.DataFrame(as_text).write_csv(path)
    frame = kept(path)
    assert frame.select("query", "context", "reason").rows() == expected
    ids = frame.filter(status="accepted")["query_id"]
    assert ids.is_unique().all()
    assert frame["query_id"][4] == content_id("query", "What is fog?")


def test_who_has_nothing_but_conversations_is_told_how_to_keep_them(tmp_path):
    path = write(tmp_path / "q.json", json.dumps([sharegpt(("system", "Be brief."), *RAIN)]))
    with pytest.raises(InputError, match=r"1 multi_turn.*; with conversations=keep, "):
        read(path)
    assert kept(path)["status"].to_list() == ["accepted"]


def test_an_alpaca_record_with_a_system_message_and_a_history_is_kept(tmp_path):
    rows = [
        {"instruction": "And", "input": "snow?", "history": [["Why rain?", "Clouds."]]},
        {"instruction": "And hail?", "history": [["Why rain?", "Clouds."]], "system": "Be brief."},
        {"instruction": "What is fog?", "history": [], "system": ""},
        {"instruction": "What is dew?", "history": [["Why rain?"]]},
        {"instruction": "What is ice?", "history": {"a": 1}, "system": "Be brief."},
    ]
    assert kept(write(tmp_path / "a.json", json.dumps(rows))).select(
        "query", "context", "reason"
    ).rows() == [
        ("And\nsnow?", context(*BEFORE), None),
        ("And hail?", context(("system", "Be brief."), *BEFORE), None),
        ("What is fog?", None, None),
        ("What is dew?", None, "unpaired_turns"),
        ("What is ice?", None, "unpaired_turns"),
    ]


def test_a_history_that_is_text_in_a_table_is_a_history(tmp_path):
    rows = [
        {"instruction": "And snow?", "history": json.dumps([["Why rain?", "Clouds."]])},
        {"instruction": "What is fog?", "history": "[]"},
        {"instruction": "What is dew?", "history": ""},
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv")["reason"].to_list() == ["multi_turn", None, None]
    assert kept(tmp_path / "a.csv")["context"].to_list() == [context(*BEFORE), None, None]


def test_a_message_in_parts_is_kept_if_all_are_text(tmp_path):
    text, picture = {"type": "text", "text": "Why rain?"}, {"type": "image_url", "image_url": "x"}
    rows = [
        {
            "messages": [
                {"role": "user", "content": parts},
                {"role": "assistant", "content": "Clouds."},
                {"role": "user", "content": last},
            ]
        }
        for parts, last in (([text], "And snow?"), ([text, picture], "And hail?"))
    ]
    rows += [{"messages": [{"role": "user", "content": [picture, text]}]}]
    frame = kept(write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows))))
    assert frame.select("query", "context", "reason").rows() == [
        ("And snow?", context(*BEFORE), None),
        ("And hail?", None, "not_only_text"),
        ("Why rain?", None, "not_only_text"),
    ]


def test_only_conversations_are_read_otherwise_where_they_are_kept(shared_data):
    for name in ("sharegpt_300", "alpaca_999"):
        path = shared_data / "queries" / f"{name}.json"
        first = read_seed_queries(str(path), None, 20, 300)
        frame = read_seed_queries(str(path), None, 20, 300, keep=True)
        alone = frame["context"].is_null()
        assert frame.filter(alone).equals(first.filter(alone))
        accepted = frame.filter(status="accepted").height
        assert accepted == {"sharegpt_300": 207, "alpaca_999": 966}[name]


CONTENT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
).filter(lambda text: text.strip(" \n\r\t") and text.strip())
SYSTEM = st.none() | CONTENT.map(lambda text: f"Speak as {text}")


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SYSTEM, st.lists(st.tuples(CONTENT, CONTENT), max_size=3), CONTENT, st.booleans())
def test_any_conversation_is_its_context_and_its_query_joined(
    tmp_path, system, pairs, query, is_openai
):
    said = [] if system is None else [("system", system)]
    for pair in pairs:
        said += zip(("user", "assistant"), pair, strict=True)
    told = [*said, ("user", query), ("assistant", "It is so.")]
    if is_openai:
        row = {"messages": [{"role": role, "content": text} for role, text in told]}
    else:
        names = {"user": "human", "assistant": "gpt", "system": "system"}
        row = sharegpt(*((names[role], text) for role, text in told))
    path = write(tmp_path / "q.json", json.dumps([row]))
    shape = known_shape(list(row))
    frame = Records(path, "json").read(shape, keep=True)
    (text, context, reason) = frame.select("text", "context", "reason").row(0)
    assert reason is None
    messages = [*read_messages(context), {"role": "user", "content": text}]
    assert [(one["role"], one["content"]) for one in messages] == told[:-1]
    assert (context is None) == (not said)


def test_a_column_applies_to_the_files_that_need_it(tmp_path):
    write(tmp_path / "a.csv", "ask\nWhat is rain?\n")
    write(tmp_path / "b.json", json.dumps([sharegpt(("human", "What is snow?"))]))
    write(tmp_path / "c.txt", "What is hail?")
    write(tmp_path / "d.tsv", "say\task\nWhat is fog?\tno\n")
    frame = read(f"{tmp_path}/a.csv,{tmp_path}/b.json,{tmp_path}/c.txt,{tmp_path}/d*:say", "ask")
    assert frame["query"].to_list() == [
        "What is rain?",
        "What is snow?",
        "What is hail?",
        "What is fog?",
    ]


def test_a_colon_in_a_file_name(tmp_path):
    assert read(write(tmp_path / "a:b.txt", "What is rain?")).height == 1


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
    ("name", "records", "accepted"), [("sharegpt_300", 300, 150), ("alpaca_999", 999, 966)]
)
def test_real_files(shared_data, name, records, accepted):
    frame = read_seed_queries(str(shared_data / "queries" / f"{name}.json"), None, 20, 300)
    assert frame.height == records
    assert frame.filter(status="accepted").height == accepted
    reasons = {"too_short", "too_long", "duplicate", "multi_turn"}
    assert set(frame["reason"].drop_nulls()) <= reasons


def test_both_real_files_at_once(shared_data):
    frame = read_seed_queries(str(shared_data / "queries" / "*.json"), None, 20, 300)
    assert frame.height == 1299
    assert frame.select(pl.struct("source", "line").is_unique().all()).item()


def test_the_indentation_of_code_stays(tmp_path):
    code = "    if x:\n        y = 1"
    rows = [{"instruction": f"\n{code}\n\n"}, {"instruction": "  What is rain?  "}]
    frame = read(write(tmp_path / "q.jsonl", "\n".join(map(json.dumps, rows))))
    assert frame["query"].to_list() == [code, "What is rain?"]
