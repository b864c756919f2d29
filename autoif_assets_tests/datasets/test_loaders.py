"""The libraries that read these folders do read them."""

import json

import polars as pl
import pytest

from autoif_assets import dataset
from autoif_assets_tests.datasets.frames import (
    CONTEXTS,
    NASTY,
    in_conversations,
    kto_examples,
    preference_pairs,
    rl_prompts,
    sft_examples,
    split_instructions,
    write_kto_dataset,
    write_preference_dataset,
    write_reward_dataset,
    write_sft_dataset,
)

# Keys of a dataset description, by LLaMA-Factory's data/README.md.
DESCRIPTION = {"file_name", "formatting", "ranking", "columns", "tags"}
ALPACA_COLUMNS = {
    *("prompt", "query", "response", "history", "system", "chosen", "rejected", "kto_tag"),
}
SHAREGPT_COLUMNS = {"messages", "system", "tools", "chosen", "rejected"}
TAGS = {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"}


@pytest.fixture
def folders(tmp_path):
    write_sft_dataset(sft_examples(), tmp_path / "sft", 0.3, 0)
    write_preference_dataset(preference_pairs(), tmp_path / "preference", 0.3, 0)
    write_kto_dataset(kto_examples(), tmp_path / "kto", 0.3, 0)
    return tmp_path


@pytest.fixture
def conversations(tmp_path):
    """The same folders of rows of which some have a context."""
    tables = {"sft": sft_examples(), "preference": preference_pairs(), "kto": kto_examples()}
    write = {"sft": write_sft_dataset, "preference": write_preference_dataset}
    for name, table in tables.items():
        folder = tmp_path / "conversations" / name
        write.get(name, write_kto_dataset)(in_conversations(table), folder, 0.3, 0)
    return tmp_path / "conversations"


def read_rows(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return json.loads(path.read_bytes())


def as_llama_factory(row, entry):
    """The prompt and answers LLaMA-Factory would train on, by its documented rules."""
    columns = entry["columns"]
    if entry["formatting"] == "sharegpt":
        tags = entry["tags"]
        turns = [(m[tags["role_tag"]], m[tags["content_tag"]]) for m in row[columns["messages"]]]
        before = [turns.pop(0)[1] for role, _ in turns[:1] if role == tags["system_tag"]]
        pair = [tags["user_tag"], tags["assistant_tag"]]
        assert [role for role, _ in turns] == pair * (len(turns) // 2)
        return (*before, *(text for _, text in turns))
    before = [row[columns["system"]]] if row.get(columns.get("system")) else []
    before += [text for pair in row.get(columns.get("history"), ()) for text in pair]
    prompt = "\n".join(filter(None, [row[columns["prompt"]], row[columns["query"]]]))
    answers = ("chosen", "rejected") if entry.get("ranking") else ("response",)
    if "kto_tag" in columns:
        assert isinstance(row[columns["kto_tag"]], bool)
        answers += ("kto_tag",)
    return (*before, prompt, *(row[columns[answer]] for answer in answers))


@pytest.mark.parametrize("where", ["folders", "conversations"])
def test_dataset_info_is_what_llama_factory_documents(request, where):
    folders, names = request.getfixturevalue(where), set()
    for folder in ("sft", "preference", "kto"):
        entries = json.loads((folders / folder / "dataset_info.json").read_text())
        assert not names & set(entries)
        names |= set(entries)
        for entry in entries.values():
            assert set(entry) <= DESCRIPTION
            alpaca = entry["formatting"] == "alpaca"
            assert set(entry["columns"]) <= (ALPACA_COLUMNS if alpaca else SHAREGPT_COLUMNS)
            told = {"history", "system"} & set(entry["columns"])
            assert bool(told) == (alpaca and where == "conversations")
            assert set(entry.get("tags", ())) <= TAGS
            assert (folders / folder / entry["file_name"]).is_file()
    assert names == {
        f"autoif_{kind}_{split}"
        for kind in ("sft", "sft_messages", "preference", "kto")
        for split in ("train", "eval")
    }


def seen_by_llama_factory(folder, name):
    entries = json.loads((folder / "dataset_info.json").read_text())
    return [
        as_llama_factory(row, entries[f"{name}_{split}"])
        for split in ("train", "eval")
        for row in read_rows(folder / entries[f"{name}_{split}"]["file_name"])
    ]


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("sft", "autoif_sft", [(f"{t}?", t) for t in NASTY]),
        ("sft", "autoif_sft_messages", [(f"{t}?", t) for t in NASTY]),
        ("preference", "autoif_preference", [(f"{t}?", t, f"no: {t}") for t in NASTY]),
        ("kto", "autoif_kto", [(f"{t}?", t, i % 2 == 0) for i, t in enumerate(NASTY)]),
    ],
)
def test_llama_factory_sees_the_rows(folders, folder, name, expected):
    assert sorted(seen_by_llama_factory(folders / folder, name)) == sorted(expected)


def before(i):
    return tuple(one["content"] for one in CONTEXTS[i % 4] or ())


@pytest.mark.parametrize(
    ("folder", "name", "answers"),
    [
        ("sft", "autoif_sft", lambda i, t: (t,)),
        ("sft", "autoif_sft_messages", lambda i, t: (t,)),
        ("preference", "autoif_preference", lambda i, t: (t, f"no: {t}")),
        ("kto", "autoif_kto", lambda i, t: (t, i % 2 == 0)),
    ],
)
def test_llama_factory_sees_what_was_said_before(conversations, folder, name, answers):
    seen = seen_by_llama_factory(conversations / folder, name)
    expected = [(*before(i), f"{t}?", *answers(i, t)) for i, t in enumerate(NASTY)]
    assert sorted(seen, key=repr) == sorted(expected, key=repr)


@pytest.fixture
def load_dataset(tmp_path, monkeypatch):
    """The `datasets` library, offline and with its cache in the test's folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")

    def load(path, **options):
        return datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"), **options)

    return load


def contents(loaded, column):
    """Texts of a column of messages over all splits, sorted."""
    return sorted(
        message["content"]
        for rows in loaded.values()
        for messages in rows[column]
        for message in messages
    )


def both_splits(folder, format, suffix):
    return {split: str(folder / format / f"{split}.{suffix}") for split in ("train", "eval")}


SFT_TEXTS = sorted(text for response in NASTY for text in (f"{response}?", response))
PAIR_TEXTS = {
    "prompt": sorted(f"{text}?" for text in NASTY),
    "chosen": sorted(NASTY),
    "rejected": sorted(f"no: {text}" for text in NASTY),
}


@pytest.mark.slow
def test_datasets_loads_the_folder_by_its_card(folders, load_dataset):
    sft = load_dataset(folders / "sft")
    assert set(sft) == {"train", "eval"}
    assert contents(sft, "messages") == SFT_TEXTS
    assert sft["train"].features["score"].dtype == "float64"
    preference = load_dataset(folders / "preference")
    for column, texts in PAIR_TEXTS.items():
        assert contents(preference, column) == texts
    assert preference["train"]["failed_verifiers"][0] == ["v1", "v2"]
    kto = load_dataset(folders / "kto")
    assert contents(kto, "completion") == sorted(NASTY)
    assert kto["train"].features["label"].dtype == "bool"


@pytest.mark.slow
def test_datasets_reads_a_folder_anew_that_was_made_anew(folders, load_dataset):
    """It goes by the card: before, it gave the rows of the first time."""
    assert contents(load_dataset(folders / "sft"), "messages") == SFT_TEXTS
    write_sft_dataset(sft_examples().head(3), folders / "sft", 0.3, 0)
    assert len(contents(load_dataset(folders / "sft"), "messages")) == 6


@pytest.mark.slow
def test_datasets_loads_each_file(folders, load_dataset):
    sft, preference = folders / "sft", folders / "preference"
    messages = load_dataset("json", data_files=both_splits(sft, "messages", "jsonl"))
    assert contents(messages, "messages") == SFT_TEXTS
    alpaca = load_dataset("json", data_files=both_splits(sft, "alpaca", "json"))
    assert sorted(t for rows in alpaca.values() for t in rows["output"]) == sorted(NASTY)
    trl = load_dataset("json", data_files=both_splits(preference, "trl", "jsonl"))
    ranking = load_dataset("json", data_files=both_splits(preference, "ranking", "json"))
    kto = load_dataset("json", data_files=both_splits(folders / "kto", "trl", "jsonl"))
    assert contents(kto, "completion") == sorted(NASTY)
    assert sum(label for rows in kto.values() for label in rows["label"]) == (len(NASTY) + 1) // 2
    for column, texts in PAIR_TEXTS.items():
        assert contents(trl, column) == texts
        plain = "instruction" if column == "prompt" else column
        assert sorted(t for rows in ranking.values() for t in rows[plain]) == texts


@pytest.mark.slow
def test_datasets_loads_conversations(conversations, load_dataset):
    asked = sorted(text for i, t in enumerate(NASTY) for text in (*before(i), f"{t}?"))
    sft, preference = conversations / "sft", conversations / "preference"
    assert contents(load_dataset(sft), "messages") == sorted([*asked, *NASTY])
    assert contents(load_dataset(preference), "prompt") == asked
    trl = load_dataset("json", data_files=both_splits(preference, "trl", "jsonl"))
    assert contents(trl, "prompt") == asked
    alpaca = load_dataset("json", data_files=both_splits(sft, "alpaca", "json"))
    told = [
        text
        for rows in alpaca.values()
        for row in rows
        for text in (row["system"], *(t for pair in row["history"] for t in pair))
    ]
    assert sorted(filter(None, told)) == sorted(t for i in range(len(NASTY)) for t in before(i))


@pytest.mark.slow
def test_datasets_loads_an_export_without_eval(tmp_path, load_dataset):
    write_sft_dataset(sft_examples(), tmp_path / "sft", 0, 0)
    loaded = load_dataset(tmp_path / "sft")
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": len(NASTY)}


WRITERS = {
    "sft": (write_sft_dataset, sft_examples),
    "preference": (write_preference_dataset, preference_pairs),
    "kto": (write_kto_dataset, kto_examples),
    "reward": (write_reward_dataset, rl_prompts),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_datasets_loads_an_export_without_rows(tmp_path, load_dataset, kind):
    write, rows = WRITERS[kind]
    write(rows(list("abcd")), tmp_path / "full", 0.3, 0)
    full = load_dataset(tmp_path / "full")["train"].features
    none = tmp_path / "data" / "exports" / kind
    write(rows().clear(), none, 0.3, 0)
    # Without streaming, `datasets` makes no split of no rows, whatever the files.
    loaded = load_dataset(none, streaming=True)
    assert {split: list(rows) for split, rows in loaded.items()} == {"train": [], "eval": []}
    assert all(rows.features == full for rows in loaded.values())
    empty = dataset(kind, format="datasets", data=tmp_path / "data")
    assert (empty.num_rows, empty.column_names) == (0, list(full))


@pytest.mark.slow
def test_datasets_loads_a_file_without_rows(tmp_path, load_dataset):
    write_sft_dataset(sft_examples(list("abcd")), tmp_path / "full", 0.3, 0)
    full = load_dataset("json", data_files=both_splits(tmp_path / "full", "messages", "jsonl"))
    write_sft_dataset(sft_examples().clear(), tmp_path / "none", 0.3, 0)
    files = both_splits(tmp_path / "none", "messages", "jsonl")
    features = full["train"].features
    empty = load_dataset("json", data_files=files, features=features, streaming=True)
    assert [list(rows) for rows in empty.values()] == [[], []]


@pytest.mark.slow
def test_datasets_loads_metadata_of_which_one_split_lacks_a_number(tmp_path, load_dataset):
    sides = split_instructions([f"i{i}" for i in range(4)], 0.3, 0)
    scored = pl.col("instruction_id").is_in(sorted(sides.of("eval")))
    pairs = preference_pairs().with_columns(rejected_score=pl.when(scored).then(5.0))
    write_preference_dataset(pairs, tmp_path / "out", 0.3, 0)
    loaded = load_dataset("json", data_files=both_splits(tmp_path / "out", "trl", "jsonl"))
    scores = {s: {m["rejected_score"] for m in rows["metadata"]} for s, rows in loaded.items()}
    assert scores == {"train": {-1.0}, "eval": {5.0}}
