"""What cards tell of benchmarks, whose files a person names."""

import json

import pytest

from autoif_assets.assets.cards import about_batches
from autoif_assets.inputs import InputError
from autoif_assets.warehouse import Warehouse


def test_benchmarks_are_read_from_the_files_that_are_named(made, tmp_path, monkeypatch):
    long = "Write. " * 200
    rows = [{"key": 1, "prompt": long}, {"key": 2, "prompt": "Short"}, {"key": 3, "prompt": ""}]
    (tmp_path / "one.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "two.txt").write_text("Short\n")
    files = [f"{tmp_path}/one.jsonl:prompt", f"{tmp_path}/two.txt"]
    monkeypatch.setenv("AUTOIF_BENCHMARKS", ",".join(files))
    known = about_batches(Warehouse(made.data)).benchmarks
    # Without the folder, which is this machine's; and the text of both is in both.
    assert [(one.name, [text.strip() for text in one.prompts]) for one in known] == [
        ("one.jsonl", [long.strip(), "Short"]),
        ("two.txt", ["Short"]),
    ]
    monkeypatch.setenv("AUTOIF_BENCHMARKS", f"{tmp_path}/none.jsonl")
    with pytest.raises(InputError, match=r"none\.jsonl"):
        about_batches(Warehouse(made.data))
