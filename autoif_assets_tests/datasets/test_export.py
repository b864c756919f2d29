"""What the files hold."""

import hashlib
import json
import random
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoif_assets.datasets import (
    KTO,
    PREFERENCE,
    SFT,
    write_dataset,
)
from autoif_assets.datasets import (
    files as files_module,
)
from autoif_assets.datasets.formats import SPLITS
from autoif_assets_tests.datasets.frames import (
    CONTEXTS,
    NASTY,
    in_conversations,
    kto_examples,
    preference_pairs,
    sft_examples,
    split_instructions,
    write_kto_dataset,
    write_preference_dataset,
    write_sft_dataset,
)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def read_lines(folder, name):
    """What is trained on of both splits of a JSONL format."""
    lines = read_whole_lines(folder, name)
    assert all(row.pop("metadata") for row in lines)
    return lines


def read_whole_lines(folder, name):
    """Both splits of a JSONL format; splitlines is the strictest idea of a line."""
    lines = [
        line
        for split in ("train", "eval")
        for line in (folder / name / f"{split}.jsonl").read_text("utf-8").splitlines()
    ]
    return [json.loads(line) for line in lines]


def read_arrays(folder, name):
    return [
        row
        for split in ("train", "eval")
        for row in json.loads((folder / name / f"{split}.json").read_bytes())
    ]


def read_parquet(folder):
    return pl.concat(pl.read_parquet(folder / f"parquet/{s}.parquet") for s in ("train", "eval"))


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def by_text(rows):
    return sorted(rows, key=json.dumps)


def test_sft_formats(tmp_path):
    files = write_sft_dataset(sft_examples(), tmp_path / "sft", 0.3, 0)
    expected = [(f"{text}?", text) for text in NASTY]
    assert by_text(read_lines(tmp_path / "sft", "messages")) == by_text(
        {"messages": [user(prompt), assistant(response)]} for prompt, response in expected
    )
    assert by_text(read_arrays(tmp_path / "sft", "alpaca")) == by_text(
        {"instruction": prompt, "input": "", "output": response} for prompt, response in expected
    )
    parquet = read_parquet(tmp_path / "sft")
    assert parquet.columns == [
        "batch",
        "example_id",
        "prompt_id",
        "response_id",
        "instruction_id",
        "query_id",
        "pass_rate",
        "score",
        "messages",
    ]
    assert by_text(parquet["messages"].to_list()) == by_text(
        [user(prompt), assistant(response)] for prompt, response in expected
    )
    assert [(file.format, file.split) for file in files] == [
        (format.name, split) for format in SFT.formats for split in SPLITS
    ]


@pytest.mark.parametrize("chunk", [1, 1000])
def test_openrlhf_gets_each_prompt_once(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(files_module, "_CHUNK_ROWS", chunk)
    # Two responses to each prompt.
    rows = sft_examples(texts=[*NASTY, *NASTY]).with_columns(
        prompt=pl.Series([f"{text}?" for text in NASTY] * 2)
    )
    files = write_sft_dataset(rows, tmp_path / "sft", 0.3, 0)
    written = read_lines(tmp_path / "sft", "openrlhf")
    sides = [
        {row["messages"][0]["content"] for row in pl.read_parquet(file.path).to_dicts()}
        for file in files
        if file.format == "parquet"
    ]
    # A prompt of instructions on both sides is on both.
    assert sum(map(len, sides)) == len(written)
    assert by_text(written) == by_text({"input": [user(p)]} for side in sides for p in side)
    assert (
        f"| train | {sum(f.rows for f in files if (f.format, f.split) == ('parquet', 'train'))} |"
        in (tmp_path / "sft" / "README.md").read_text("utf-8")
    )


def test_preference_formats(tmp_path):
    write_preference_dataset(preference_pairs(), tmp_path / "preference", 0.3, 0)
    rows = [(f"{text}?", text, f"no: {text}") for text in NASTY]
    conversational = by_text(
        {"prompt": [user(p)], "chosen": [assistant(c)], "rejected": [assistant(r)]}
        for p, c, r in rows
    )
    assert by_text(read_lines(tmp_path / "preference", "trl")) == conversational
    assert by_text(read_arrays(tmp_path / "preference", "ranking")) == by_text(
        {"instruction": p, "input": "", "chosen": c, "rejected": r} for p, c, r in rows
    )
    parquet = read_parquet(tmp_path / "preference")
    assert by_text(parquet.select("prompt", "chosen", "rejected").to_dicts()) == conversational
    kept = set(preference_pairs().columns) - {"status", "reason", "context"}
    assert set(parquet.columns) == kept
    assert parquet["failed_verifiers"].to_list() == [["v1", "v2"]] * len(NASTY)
    assert not {"status", "reason"} & set(parquet.columns)


def test_kto_formats(tmp_path):
    write_kto_dataset(kto_examples(), tmp_path / "kto", 0.3, 0)
    rows = [(f"{text}?", text, i % 2 == 0) for i, text in enumerate(NASTY)]
    conversational = by_text(
        {"prompt": [user(p)], "completion": [assistant(c)], "label": label} for p, c, label in rows
    )
    assert by_text(read_lines(tmp_path / "kto", "trl")) == conversational
    assert by_text(read_arrays(tmp_path / "kto", "labelled")) == by_text(
        {"instruction": p, "input": "", "output": c, "label": label} for p, c, label in rows
    )
    parquet = read_parquet(tmp_path / "kto")
    assert by_text(parquet.select("prompt", "completion", "label").to_dicts()) == conversational
    assert set(parquet.columns) == set(kto_examples().columns) - {"context"}


WRITE = {
    "sft": (write_sft_dataset, sft_examples),
    "preference": (write_preference_dataset, preference_pairs),
    "kto": (write_kto_dataset, kto_examples),
}


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("sft", "0735dc502761b888"),
        ("preference", "76744063d625dce3"),
        ("kto", "8ef8efb94ad4af06"),
    ],
)
def test_files_without_a_context_are_what_they_were_before_there_were_any(tmp_path, kind, digest):
    write, rows = WRITE[kind]
    write(rows(), tmp_path, 0.3, 0)
    found = hashlib.sha256()
    for name, data in sorted(content(tmp_path).items()):
        if name.endswith(".json"):
            found.update(name.encode() + b"\0" + data + b"\0")
    assert found.hexdigest()[:16] == digest


def told():
    """The context, the prompt and the text of each row of a table in conversations."""
    return [(CONTEXTS[i % 4] or [], f"{text}?", text) for i, text in enumerate(NASTY)]


def as_alpaca(before):
    contents = [one["content"] for one in before if one["role"] != "system"]
    return {
        "system": "".join(one["content"] for one in before if one["role"] == "system"),
        "history": [list(pair) for pair in zip(contents[::2], contents[1::2], strict=True)],
    }


def test_sft_formats_of_conversations(tmp_path):
    write_sft_dataset(in_conversations(sft_examples()), tmp_path, 0.3, 0)
    messages = by_text({"messages": [*c, user(p), assistant(r)]} for c, p, r in told())
    assert by_text(read_lines(tmp_path, "messages")) == messages
    assert by_text(read_parquet(tmp_path).select("messages").to_dicts()) == messages
    assert by_text(read_arrays(tmp_path, "alpaca")) == by_text(
        {"instruction": p, "input": "", "output": r, **as_alpaca(c)} for c, p, r in told()
    )
    assert by_text(read_lines(tmp_path, "openrlhf")) == by_text(
        {"input": [*c, user(p)]} for c, p, _ in told()
    )
    assert "`system` and `history`" in (tmp_path / "README.md").read_text("utf-8")


def test_one_prompt_in_two_conversations_is_two_prompts(tmp_path):
    rows = in_conversations(sft_examples(list("abcdefgh"))).with_columns(prompt=pl.lit("Why?"))
    write_sft_dataset(rows, tmp_path, 0, 0)
    assert len(read_lines(tmp_path, "openrlhf")) == len(CONTEXTS)


def test_preference_formats_of_conversations(tmp_path):
    write_preference_dataset(in_conversations(preference_pairs()), tmp_path, 0.3, 0)
    pairs = by_text(
        {"prompt": [*c, user(p)], "chosen": [assistant(r)], "rejected": [assistant(f"no: {r}")]}
        for c, p, r in told()
    )
    assert by_text(read_lines(tmp_path, "trl")) == pairs
    parquet = read_parquet(tmp_path).select("prompt", "chosen", "rejected")
    assert by_text(parquet.to_dicts()) == pairs
    assert by_text(read_arrays(tmp_path, "ranking")) == by_text(
        {"instruction": p, "input": "", "chosen": r, "rejected": f"no: {r}", **as_alpaca(c)}
        for c, p, r in told()
    )


def test_kto_formats_of_conversations(tmp_path):
    write_kto_dataset(in_conversations(kto_examples()), tmp_path, 0.3, 0)
    rows = [(*row, i % 2 == 0) for i, row in enumerate(told())]
    labelled = by_text(
        {"prompt": [*c, user(p)], "completion": [assistant(r)], "label": label}
        for c, p, r, label in rows
    )
    assert by_text(read_lines(tmp_path, "trl")) == labelled
    parquet = read_parquet(tmp_path).select("prompt", "completion", "label")
    assert by_text(parquet.to_dicts()) == labelled
    assert by_text(read_arrays(tmp_path, "labelled")) == by_text(
        {"instruction": p, "input": "", "output": r, "label": label, **as_alpaca(c)}
        for c, p, r, label in rows
    )


@pytest.mark.parametrize("kind", [SFT, PREFERENCE, KTO])
def test_a_context_that_has_no_place_is_refused(tmp_path, kind):
    rows = in_conversations(WRITE[kind.name][1]())
    split = split_instructions(rows["instruction_id"], 0, 0)
    with pytest.raises(ValueError, match="have a context"):
        write_dataset(kind, [rows], tmp_path / "out", split)
    assert not (tmp_path / "out").exists()


def test_files_are_described_as_they_are(tmp_path):
    files = write_preference_dataset(preference_pairs(), tmp_path / "out", 0.3, 0)
    assert len(files) == len(PREFERENCE.formats) * len(SPLITS)
    for file in files:
        data = file.path.read_bytes()
        assert file.path.is_relative_to(tmp_path / "out")
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    for format in ("parquet", "trl", "ranking"):
        assert sum(file.rows for file in files if file.format == format) == len(NASTY)


def test_no_instruction_is_on_both_sides_and_both_exports_agree(tmp_path):
    texts = [str(i) for i in range(60)]
    examples, pairs = sft_examples(texts, 12), preference_pairs(texts, 20)
    write_sft_dataset(examples, tmp_path / "sft", 0.25, 5, split_with=pairs)
    write_preference_dataset(pairs, tmp_path / "preference", 0.25, 5, split_with=examples)
    sides = {"train": set(), "eval": set()}
    for split, instructions in sides.items():
        for kind in ("sft", "preference"):
            rows = pl.read_parquet(tmp_path / kind / f"parquet/{split}.parquet")
            assert rows.height
            instructions.update(rows["instruction_id"])
    assert not sides["train"] & sides["eval"]
    assert len(sides["train"] | sides["eval"]) == 20


def test_two_instructions_give_two_sides(tmp_path):
    files = write_sft_dataset(sft_examples(instructions=2), tmp_path / "out", 0.001, 0)
    assert all(file.rows for file in files)


def test_no_share_puts_all_into_train(tmp_path):
    files = write_sft_dataset(sft_examples(), tmp_path / "out", 0, 0)
    assert {file.split: file.rows for file in files} == {"train": len(NASTY), "eval": 0}


@pytest.mark.parametrize(
    ("write", "rows"),
    [
        (write_sft_dataset, sft_examples),
        (write_preference_dataset, preference_pairs),
        (write_kto_dataset, kto_examples),
    ],
)
def test_equal_tables_give_equal_bytes(tmp_path, monkeypatch, write, rows):
    monkeypatch.setattr(files_module, "_CHUNK_ROWS", 7)
    table = rows([f"text {i}" for i in range(50)])
    write(table, tmp_path / "one", 0.3, 1)
    shuffled = pl.concat([table[i] for i in random.Random(0).sample(range(50), 50)], rechunk=False)
    write(shuffled, tmp_path / "two", 0.3, 1)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    ids = pl.read_parquet(tmp_path / "one/parquet/train.parquet").to_series(1)
    assert ids.is_sorted()
    write(table, tmp_path / "one", 0.3, 2)
    assert content(tmp_path / "one") != content(tmp_path / "two")


@pytest.mark.parametrize(
    ("kind", "rows"), [(SFT, sft_examples), (PREFERENCE, preference_pairs), (KTO, kto_examples)]
)
@pytest.mark.parametrize("size", [1, 3, 7, 20, 1000])
def test_parts_give_the_bytes_of_the_whole(tmp_path, monkeypatch, kind, rows, size):
    monkeypatch.setattr(files_module, "_CHUNK_ROWS", 7)
    texts = [f"text {i}" for i in range(50)]
    table = pl.concat([rows(texts), rows(texts[:9], batch="b0")]).sort(kind.id)
    split = split_instructions(table["instruction_id"], 0.3, 0)
    write_dataset(kind, [table], tmp_path / "whole", split)
    ids = table[kind.id].unique().sort()
    parts = [
        table.filter(pl.col(kind.id).is_in(ids[start : start + size].implode()))
        for start in range(0, len(ids), size)
    ]
    write_dataset(kind, [table.clear(), *parts], tmp_path / "parts", split)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    if len(parts) > 1:
        with pytest.raises(ValueError, match=f"Read them in ranges of {kind.id}"):
            write_dataset(kind, parts[::-1], tmp_path / "parts", split)
        assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("kind", "rows"), [(SFT, sft_examples), (PREFERENCE, preference_pairs), (KTO, kto_examples)]
)
def test_rows_whose_query_is_on_the_other_side_are_left_out_and_counted(tmp_path, kind, rows):
    table = rows().sort(kind.id)
    split = split_instructions(table["instruction_id"], 0.3, 0)
    out = pl.DataFrame({"prompt_id": ["p1", "p3", "p4", "p5"], "query_of": "eval"})
    divided = replace(split, sides=replace(split.sides, left_out=out))
    export = write_dataset(kind, [table[:5], table[5:]], tmp_path / "out", divided)
    whole = write_dataset(kind, [table], tmp_path / "whole", split)
    gone = table.filter(pl.col("prompt_id").is_in(out["prompt_id"].implode()))
    assert gone.height == (3 if kind is PREFERENCE else 4)
    # Those whose prompt is the instruction alone have no query that could be elsewhere.
    assert set(read_parquet(tmp_path / "out")[kind.id]) == set(table[kind.id]) - set(gone[kind.id])
    card = (tmp_path / "out/README.md").read_text()
    for side in SPLITS:
        assert export.left_out[side] == gone["instruction_id"].is_in(split.of(side)).sum()
        (files,) = (f for f in export.files if f.split == side and f.format == "parquet")
        (before,) = (f for f in whole.files if f.split == side and f.format == "parquet")
        assert files.rows + export.left_out[side] == before.rows
        assert f"| {side} | {files.rows} | " in card
        assert f" | {export.left_out[side]} |" in card
    assert whole.left_out == {"train": 0, "eval": 0}
    assert "Rows are left out" in card
    assert "Rows are left out" not in (tmp_path / "whole/README.md").read_text()


def test_an_instruction_that_came_after_the_split_waits_for_the_next_export(tmp_path):
    table = sft_examples()
    split = split_instructions(["i0", "i1"], 0, 0)
    write_dataset(SFT, [table], tmp_path / "out", split)
    assert set(read_parquet(tmp_path / "out")["instruction_id"]) == {"i0", "i1"}


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 8, 14, 15])
def test_chunks_join_without_a_seam(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(files_module, "_CHUNK_ROWS", 7)
    texts = [f"text {i:02}" for i in range(rows)]
    write_sft_dataset(sft_examples(texts), tmp_path / "out", 0, 0)
    for got in (
        [row["output"] for row in read_arrays(tmp_path / "out", "alpaca")],
        [row["messages"][1]["content"] for row in read_lines(tmp_path / "out", "messages")],
        [row[1]["content"] for row in read_parquet(tmp_path / "out")["messages"]],
    ):
        assert sorted(got) == texts


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_any_text_survives_every_format(tmp_path, texts):
    write_sft_dataset(sft_examples(texts), tmp_path / "out", 0.5, 0)
    assert sorted(row["output"] for row in read_arrays(tmp_path / "out", "alpaca")) == sorted(texts)
    lines = read_lines(tmp_path / "out", "messages")
    assert sorted(row["messages"][1]["content"] for row in lines) == sorted(texts)
    parquet = read_parquet(tmp_path / "out")["messages"]
    assert sorted(row[1]["content"] for row in parquet) == sorted(texts)


@pytest.mark.parametrize(
    ("write", "table", "arrays", "lines"),
    [
        (write_sft_dataset, sft_examples, "alpaca", "messages"),
        (write_preference_dataset, preference_pairs, "ranking", "trl"),
    ],
)
def test_empty_table_gives_valid_empty_files(tmp_path, write, table, arrays, lines):
    rows = table()
    files = write(rows.clear(), tmp_path / "out", 0.1, 0)
    assert files
    assert not any(file.rows for file in files)
    assert read_arrays(tmp_path / "out", arrays) == read_lines(tmp_path / "out", lines) == []
    write(rows, tmp_path / "full", 0.1, 0)
    assert read_parquet(tmp_path / "out").schema == read_parquet(tmp_path / "full").schema
    # What has no rows is not offered: the libraries refuse to load it.
    assert json.loads((tmp_path / "out/dataset_info.json").read_text()) == {}


def test_rejected_pairs_are_left_out(tmp_path):
    pairs = preference_pairs().with_columns(
        status=pl.when(pl.col("pair_id") == "0000")
        .then(pl.lit("rejected"))
        .otherwise(pl.lit("accepted"))
    )
    write_preference_dataset(pairs, tmp_path / "out", 0.3, 0)
    ids = read_parquet(tmp_path / "out")["pair_id"].to_list()
    assert sorted(ids) == sorted(set(pairs["pair_id"]) - {"0000"})


def test_a_row_made_by_two_batches_is_one_row(tmp_path):
    again = sft_examples(batch="b0").head(3)
    write_sft_dataset(pl.concat([sft_examples(), again]), tmp_path / "out", 0.3, 0)
    rows = read_parquet(tmp_path / "out")
    assert rows.height == len(NASTY)
    assert set(rows.filter(batch="b0")["example_id"]) == set(again["example_id"])


def test_card_names_what_is_there(tmp_path):
    files = write_sft_dataset(sft_examples(), tmp_path / "out", 0.3, 0)
    card = (tmp_path / "out/README.md").read_text()
    for file in files:
        assert file.path.relative_to(tmp_path / "out").as_posix() in card
        assert file.sha256 in card
    for column in read_parquet(tmp_path / "out").columns:
        assert f"| `{column}` |" in card
    assert "as in the table" not in card
    assert str(tmp_path) not in card


def test_other_columns_reach_parquet_and_metadata(tmp_path):
    table = sft_examples().with_columns(tags=pl.lit(["a", "b"]), note=pl.lit({"k": 1}))
    write_sft_dataset(table, tmp_path / "out", 0.3, 0)
    assert read_parquet(tmp_path / "out")["tags"].to_list() == [["a", "b"]] * len(NASTY)
    for row in read_whole_lines(tmp_path / "out", "messages"):
        assert {*row} == {"messages", "metadata"}
        told = {"batch", "example_id", "prompt_id", "response_id", "instruction_id", "query_id"}
        assert {*row["metadata"]} == told | {"pass_rate", "score", "tags", "note"}
    # Prompts that come once have what is so of each of their rows.
    for row in read_whole_lines(tmp_path / "out", "openrlhf"):
        assert {*row["metadata"]} == {"batch", "prompt_id", "instruction_id", "query_id"}


def types_of(value):
    if isinstance(value, dict):
        return {name: types_of(one) for name, one in value.items()}
    return [*map(types_of, value[:1])] if isinstance(value, list) else type(value)


def test_metadata_has_the_same_types_in_all_rows_whatever_is_missing(tmp_path):
    models = pl.Series([{"judge": "m"}, None] * 5 + [{"judge": None}])
    pairs = preference_pairs().with_columns(models=models, category=pl.lit(None, pl.String))
    write_preference_dataset(pairs, tmp_path, 0.3, 0)
    rows = [row["metadata"] for row in read_whole_lines(tmp_path, "trl")]
    (only, *others) = map(types_of, rows)
    assert all(other == only for other in others)
    assert {only[name] for name in ("prompt_id", "category")} == {str}
    assert (only["rejected_score"], only["models"]) == (float, {"judge": str})
    assert {row["rejected_score"] for row in rows} == {-1.0}
    assert read_parquet(tmp_path)["rejected_score"].null_count() == len(NASTY)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (sft_examples().drop("response"), "the table has no response"),
        (sft_examples().drop("context"), "the table has no context"),
        (sft_examples().drop("prompt", "response"), "no prompt and no response"),
        (
            sft_examples().with_columns(response=pl.lit(None, pl.String)),
            "Row example_id=.* of the sft export has no response",
        ),
    ],
)
def test_unusable_tables_are_refused_and_nothing_changes(tmp_path, table, message):
    write_sft_dataset(sft_examples(), tmp_path / "out", 0.3, 0)
    before = content(tmp_path / "out")
    with pytest.raises(ValueError, match=message):
        write_sft_dataset(table, tmp_path / "out", 0.3, 0)
    assert content(tmp_path / "out") == before
