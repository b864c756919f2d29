"""What a card tells of who made the rows, and that the hub and `datasets` read its top."""

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from autoif_assets.datasets import (
    PREFERENCE,
    REWARD,
    SFT,
    About,
    AboutBatch,
    Benchmark,
    write_dataset,
)
from autoif_assets_tests.datasets.frames import (
    preference_pairs,
    rl_prompts,
    sft_examples,
    split_instructions,
)

REAL = AboutBatch(
    "b1",
    made="2026-11-28",
    recipe="audited",
    recipe_hash="0123456789ab",
    differing=['language = "German"', "responses_per_prompt = 4"],
    models={"supervision": "Qwen|3", "judge": "other"},
    language="German",
    labelled=(4, 3, 40, 36),
)
SIMULATED = AboutBatch("b2", made="2026-11-27", simulated=True, recipe_hash="ba9876543210")


def card_of(folder, about=None, kind=SFT, rows=None):
    rows = sft_examples() if rows is None else rows
    split = split_instructions(rows["instruction_id"], 0.3, 0)
    write_dataset(kind, [rows], folder, split, about=about)
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_a_card_tells_who_made_the_rows(tmp_path):
    told = About([REAL, SIMULATED], "0.2.0 (commit `abc`)", licence="apache-2.0")
    rows = sft_examples().with_columns(
        category=pl.Series(["a|b", None] * 5 + ["a|b"]), instructions=pl.lit(["one", "two"])
    )
    front, body = card_of(tmp_path, told, rows=rows)
    assert front["license"] == "apache-2.0" and front["language"] == ["de"]
    assert {"synthetic", "sft"} <= {*front["tags"]} and "simulated" not in front["tags"]
    assert front["autoif_recipe"] == REAL.recipe_hash
    for said in (
        *("0.2.0 (commit `abc`)", "| supervision | `Qwen\\|3` |", "| judge | `other` |"),
        '| `audited` | `0123456789ab` | `language = "German"`; `responses_per_prompt = 4` |',
        *("| `b1` | 2026-11-28 | `0123456789ab` | models |", "Licence: apache-2.0."),
        *("Languages: German.", "| queries in both splits | 0 |", "arXiv:2406.13542"),
        *("3 (75%) agree with every label", "on 36 of 40 labelled responses (90%)"),
    ):
        assert said in body
    assert "`b2`" not in body and "simulator" not in body
    counts = [line.split(" | ") for line in body.splitlines() if line.startswith("| a\\|b | 2")]
    ((_, _, train, held_out),) = counts
    assert int(train) + int(held_out.rstrip(" |")) == rows.filter(category="a|b").height


def test_prompts_of_benchmarks_are_counted(tmp_path):
    eight = "write a poem about autumn in two lines"
    prompts = [
        f"Please: WRITE a poem, about autumn,\nin two lines! And {i} things more." for i in "abc"
    ]
    prompts += [
        "write a poem about autumn in two",
        "Say yes.",
        "Say yes, please.",
        "另外写一首关于秋天的诗",
    ]
    rows = sft_examples(prompts).with_columns(prompt=pl.Series(prompts))
    known = [
        Benchmark("one|two", [f"First {eight} or not.", "Say YES", "...", ""]),
        Benchmark(
            "other", ["写一首关于秋天的诗歌", "None of these words is in any of the prompts."]
        ),
    ]
    _, body = card_of(tmp_path, About(benchmarks=known), rows=rows)
    assert sum_of(body, "one\\|two") == (4, 4)
    assert sum_of(body, "other") == (2, 1)
    assert "Nothing was compared" not in body


def sum_of(body, name):
    """Prompts of a benchmark, and rows that are like one in either split."""
    (line,) = [one for one in body.splitlines() if one.startswith(f"| {name} | ")]
    of, *rows = (int(number) for number in line.removeprefix(f"| {name} | ").split("|")[:-1])
    return of, sum(rows)


@pytest.mark.parametrize(
    ("batches", "how"), [([SIMULATED], "made"), ([REAL, SIMULATED], "partly made")]
)
def test_a_simulator_is_named_in_the_title_and_the_first_line(tmp_path, batches, how):
    rows = pl.concat([sft_examples(list("abcd")), sft_examples(list("efgh"), batch="b2")])
    rows = rows.with_columns(example_id=pl.Series(list("abcdefgh")))
    if len(batches) == 1:
        rows = rows.filter(batch="b2")
    front, body = card_of(tmp_path, About(batches), rows=rows)
    title, first = [line for line in body.splitlines() if line][:2]
    assert title == f"# AutoIF SFT examples ({how} with a simulator)"
    assert first.startswith(f"**{how.capitalize()} with a simulator: no language model wrote")
    assert front["pretty_name"] == title.removeprefix("# ") and "simulated" in front["tags"]


def test_what_is_not_stated_is_said_to_be_so(tmp_path):
    front, body = card_of(tmp_path)
    assert not {"license", "language", "autoif_recipe"} & {*front}
    assert "Licence: not stated. Languages: not stated" in body
    assert "Nothing was compared with benchmarks" in body
    front, _ = card_of(tmp_path, About(licence='Ours: ask "us"'))
    assert (front["license"], front["license_name"]) == ("other", 'Ours: ask "us"')


@pytest.mark.parametrize(
    ("kind", "rows"), [(SFT, sft_examples), (PREFERENCE, preference_pairs), (REWARD, rl_prompts)]
)
@pytest.mark.slow
def test_the_top_is_what_the_hub_and_datasets_take(tmp_path, kind, rows):
    hub = pytest.importorskip("huggingface_hub")
    datasets = pytest.importorskip("datasets")
    told = rows().with_columns(models=pl.lit({"judge": "m"}), instructions=pl.lit(["Shout."]))
    card_of(tmp_path, About([REAL], licence="mit"), kind, told)
    data = hub.DatasetCard.load(tmp_path / "README.md").data
    assert data.license == "mit" and data.language == ["de"] and data.task_categories
    declared = datasets.Features._from_yaml_list(data.dataset_info["features"])
    path = tmp_path / kind.formats[0].path("train")
    assert declared == datasets.Features.from_arrow_schema(pq.read_schema(path))
