"""What the report asks of the database, on tables small enough to count by hand."""

import polars as pl
import pytest

from autoif_assets.reports.data import rows_by_dataset
from autoif_assets.reports.examples import EACH, EXAMPLES
from autoif_assets.warehouse import TABLES

from .warehouses import STAGES, empty, filled, report_data, rows, write

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(tmp_path):
    return empty(tmp_path)


def test_every_gate_has_examples_and_they_are_read_by_the_tables_key():
    gates = {stage.name for stage in STAGES if stage.is_gate}
    assert set(EXAMPLES) == gates
    for name, examples in EXAMPLES.items():
        assert examples.key == TABLES[name].key


def test_the_funnel_adds_up_over_batches_and_leaves_out_what_follows_a_reasons_colon(warehouse):
    imports = ["forbidden_import:nltk", "forbidden_import:os", "no_function"]
    frame = rows("verifier_candidates", count=3, status="rejected", reason=imports)
    write(warehouse, "verifier_candidates", frame)
    other = frame.with_columns(batch=pl.lit("b2"), reason=pl.lit("no_function"))
    warehouse.write("verifier_candidates", other, {"batch": "b2"})
    data = report_data(warehouse)
    assert data.funnel.rows() == [
        ("verifier_candidates", "rejected", "no_function", 4),
        ("verifier_candidates", "rejected", "forbidden_import", 2),
    ]


def test_examples_are_few_of_each_reason_whatever_the_size(tmp_path):
    data = report_data(filled(tmp_path, count=1_000))
    for name, frame in data.examples.items():
        groups = frame.group_by("status", "reason").len()
        assert groups["len"].max() <= 2 * EACH, name  # pairs: of each level
        assert not frame["text"].is_null().all(), name
        if TABLES[name].is_gate:
            assert set(frame["status"]) == {"accepted", "rejected"}, name


def test_an_example_is_shown_with_what_it_is_judged_against(tmp_path):
    warehouse = filled(tmp_path)
    texts = {"r": "the response", "p": "the prompt", "i": "the instruction"}
    write(warehouse, "responses", rows("responses", response=texts["r"], status="accepted"))
    write(warehouse, "augmented_queries", rows("augmented_queries", prompt=texts["p"]))
    instructions = rows("augmented_instructions", instruction=texts["i"], status="accepted")
    write(warehouse, "augmented_instructions", instructions)
    examples = report_data(warehouse).examples
    for stage in ("response_verdicts", "response_scores"):
        assert set(examples[stage]["text"]) == {texts["r"]}
        assert set(examples[stage]["about"]) == {texts["p"]}
    for stage in ("verifier_candidates", "test_cases", "verifiers", "back_translations"):
        assert set(examples[stage]["about"]) == {texts["i"]}


def test_a_prompt_is_shown_with_what_was_said_before_it(tmp_path):
    warehouse = filled(tmp_path)
    shown = {}
    said = '[{"role":"user","content":"Rain?"},{"role":"assistant","content":"Soon."}]'
    for context in (None, said):
        asked = rows("augmented_queries", prompt="the prompt", context=context)
        write(warehouse, "augmented_queries", asked)
        shown[context] = set(report_data(warehouse).examples["response_scores"]["about"])
    told = "the prompt\n\nSaid before:\n[user] Rain?\n[assistant] Soon."
    assert shown == {None: {"the prompt"}, said: {told}}


def test_a_place_names_the_file_without_its_folder(warehouse):
    source = ["/home/me/seeds.txt", "C:\\me\\seeds.txt", "seeds.txt"]
    frame = rows("seed_instructions", count=3, source=source, status="accepted")
    write(warehouse, "seed_instructions", frame)
    notes = report_data(warehouse).examples["seed_instructions"]["note"]
    assert len(notes) == EACH
    assert notes.str.contains(r"^seeds\.txt, line \d$").all()


def test_pass_rates_are_binned_with_none_and_all_apart(warehouse):
    rates = [0.0, 0.1, 0.1001, 0.3, 0.7, 0.999, 1.0, None]
    frame = rows("response_verdicts", count=8, pass_rate=rates, status="accepted")
    write(warehouse, "response_verdicts", frame)
    assert report_data(warehouse).pass_rates.sort("bin", nulls_last=True).rows() == [
        (place, "accepted", 1) for place in (0, 1, 2, 3, 7, 10, 11, None)
    ]


def test_scores_are_binned_by_their_whole_part(warehouse):
    scores = [0.0, 7.5, 7.0, 10.0, None]
    frame = rows("response_scores", score=scores, status="rejected")
    write(warehouse, "response_scores", frame)
    assert report_data(warehouse).scores.sort("bin", nulls_last=True).rows() == [
        (place, "rejected", count) for place, count in ((0, 1), (7, 2), (10, 1), (None, 1))
    ]


def test_categories_count_each_table_once(warehouse):
    ids = ["i1", "i2", "i3"]
    seeds = rows("seed_instructions", count=3, category=["a", "a", "never"], status="accepted")
    write(warehouse, "seed_instructions", seeds)
    for table, count in (("augmented_instructions", 3), ("verified_instructions", 3)):
        given = {"instruction_id": ids, "category": ["a", "b", None], "status": "accepted"}
        frame = rows(table, count=count, **given)
        write(warehouse, table, frame)
    examples = rows(
        "sft_examples", count=4, instruction_id=["i1", "i1", "i1", "i3"], status="accepted"
    )
    write(warehouse, "sft_examples", examples)
    pairs = rows("preference_pairs", count=4, instruction_id=["i1", "i1", "i3", "i2"])
    write(warehouse, "preference_pairs", pairs)  # every second one is rejected
    found = report_data(warehouse).categories
    assert found.columns == ["category", "seeds", "instructions", "verified", "examples", "pairs"]
    assert found.rows() == [
        ("a", 2, 1, 1, 3, 1),
        (None, 0, 1, 1, 1, 0),
        ("b", 0, 1, 1, 0, 1),
        ("never", 1, 0, 0, 0, 0),
    ]


def test_rows_that_two_batches_made_count_once_in_a_dataset(warehouse):
    frame = rows("sft_examples", count=3, instruction_id=["i1", "i1", "i2"], status="accepted")
    write(warehouse, "sft_examples", frame)
    warehouse.write("sft_examples", frame.with_columns(batch=pl.lit("b2")), {"batch": "b2"})
    splits = rows("dataset_splits", count=1, instruction_id="i1", split="eval")
    write(warehouse, "dataset_splits", splits)
    assert report_data(warehouse).datasets.rows() == [
        ("sft", "not exported yet", 1, 1),
        ("sft", "eval", 2, 1),
    ]


def test_rows_of_neither_split_are_told_apart(warehouse):
    frame = rows("kto_examples", count=3, instruction_id="i1", prompt_id=["p1", "p2", "p2"])
    write(warehouse, "kto_examples", frame)
    own = {"count": 1, "dataset": "kto"}
    side = rows("dataset_splits", **own, instruction_id="i1", split="train")
    warehouse.write("dataset_splits", side, {"dataset": "kto"})
    left_out = rows("dataset_left_out", **own, prompt_id="p2")
    warehouse.write("dataset_left_out", left_out, {"dataset": "kto"})
    found = report_data(warehouse).datasets
    assert found.rows() == [("kto", "train", 1, 1), ("kto", "left out of train", 2, 1)]
    assert rows_by_dataset(found) == {"kto": 1}


def test_the_gallery_shows_an_instruction_once_and_every_category_first(warehouse):
    categories = [f"c{i % 4}" if i < 8 else None for i in range(40)]
    instructions = [f"{i:04d}" for i in range(40)]
    frame = rows("verified_instructions", count=40, category=categories, status="accepted")
    write(warehouse, "verified_instructions", frame)
    twice = rows("verifiers", count=80, instruction_id=instructions * 2, status="accepted")
    write(warehouse, "verifiers", twice)
    write(warehouse, "verifier_audits", rows("verifier_audits", count=80, status="accepted"))
    gallery = report_data(warehouse).gallery
    assert gallery.height == 12
    assert not gallery["instruction"].is_duplicated().any()
    counts = dict(gallery.group_by("category").len().iter_rows())
    assert set(counts) == {"c0", "c1", "c2", "c3", None}
    assert min(counts.values()) >= 1


def test_cost_and_time_add_up(warehouse):
    calls = rows("llm_calls", count=4, cost=0.5, model="m", prompt_tokens=[1, 2, 3, None])
    write(warehouse, "llm_calls", calls)
    data = report_data(warehouse)
    (total,) = data.calls.to_dicts()
    assert (total["asset"], total["calls"], total["cost"]) == ("responses", 4, 2.0)
    assert total["prompt_tokens"] == 6
    (batch,) = data.batches.to_dicts()
    assert (batch["batch"], batch["calls"], batch["cost"]) == ("b1", 4, 2.0)
    assert batch["examples"] is None


def test_the_latest_batches_are_listed(warehouse):
    for number in range(33):
        frame = rows("llm_calls", count=1).with_columns(
            pl.col("started_at", "finished_at").dt.offset_by(f"{number}h"),
            batch=pl.lit(f"b{number}"),
        )
        warehouse.write("llm_calls", frame, {"batch": f"b{number}", "asset": "responses"})
    batches = report_data(warehouse).batches["batch"].to_list()
    assert batches == [f"b{number}" for number in range(32, 2, -1)]
