"""Datasets of a hub, which the library also reads from a folder of their name."""

import json
import sys

import pytest

from autoif_assets.inputs import (
    InputError,
    check_inputs,
    read_seed_instructions,
    read_seed_queries,
)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)

    def put(name, split, rows):
        path = tmp_path / name / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    return put


def refusal(spec):
    with pytest.raises(InputError) as caught:
        read_seed_queries(spec, None, 3, 300)
    return str(caught.value)


@pytest.mark.slow
def test_splits_columns_and_layouts(hub, tmp_path):
    hub("org/plain", "train", [{"ask": "What is rain?"}, {"ask": None}])
    hub("org/plain", "test", [{"ask": "What is snow?"}])
    turns = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Why?"}]
    hub("org/talks", "test", [{"messages": turns[1:]}, {"messages": turns}])
    (tmp_path / "q.txt").write_text("What is hail?", encoding="utf-8")
    spec = "hf://org/plain,hf://org/plain:test,q.txt,hf://org/talks"
    frame = read_seed_queries(spec, "ask", 3, 300)
    assert frame.select("source", "query", "line", "reason").rows() == [
        ("hf://org/plain", "What is rain?", 1, None),
        ("hf://org/plain", "", 2, "empty"),
        ("hf://org/plain:test", "What is snow?", 1, None),
        ("q.txt", "What is hail?", 1, None),
        ("hf://org/talks", "Why?", 1, None),
        ("hf://org/talks", "Why?", 2, "multi_turn"),
    ]
    named = read_seed_queries("hf://org/plain:test:ask", None, 3, 300)
    assert named["query"].to_list() == ["What is snow?"]
    assert read_seed_instructions("hf://org/plain::ask").height == 2
    check_inputs(None, "hf://org/plain", "ask", 3, 300)

    assert refusal("hf://org/plain:test:no").startswith("hf://org/plain:test: the file has no")
    found = refusal("hf://org/plain:dev")
    assert found.startswith("hf://org/plain:dev: cannot be loaded: ")
    assert "\n" not in found
    hub("org/talks", "validation", [{"messages": turns}])
    assert refusal("hf://org/talks").startswith("hf://org/talks: name a split (hf://org/talks:spl")


def test_a_name_that_is_none():
    assert refusal("hf://") == "hf://: expected hf://org/name[:split][:column]"


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refusal("hf://org/name") == (
        'hf://org/name: needs the library datasets: pip install "autoif-assets[hub]"'
    )
