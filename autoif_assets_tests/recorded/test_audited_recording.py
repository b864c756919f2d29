"""A real model's batch by two recipes, made again from its journals, and who in it is right.

Who is right is what people say: the labelled clear texts of the seeds, and, of what the model wrote
for an instruction, their reference checkers where these are sure.
"""

import json
import sys
import tarfile
from collections import Counter

import polars as pl
import pytest

from autoif_assets.method.ids import content_id, normalise
from autoif_assets.method.labelled import IN_USE
from autoif_assets.resources import Inputs
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.assets.pipeline import accepted, run_batch, tables
from autoif_assets_tests.documents import blocks
from autoif_assets_tests.recorded.make import (
    ARCHIVE,
    BATCH,
    MODEL,
    NUMBERS,
    RECIPES,
    data_folder,
)
from autoif_assets_tests.recorded.recording import judged_verifiers
from autoif_assets_tests.recorded.reference import REFERENCES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux"),
]
LABELLED = "labelled_agreement"
BY_ID = {content_id("instruction", normalise(text)): REFERENCES[text] for text in REFERENCES}


def labels(probes):
    """Return the labelled texts of all seeds, and what was written for one, labelled."""
    written = probes.select("instruction_id", "input").iter_rows()
    found = [
        *((one.instruction, text, ok) for one in REFERENCES.values() for text, ok in one.labelled),
        *((BY_ID[of].instruction, text, BY_ID[of].check(text)) for of, text in written if of),
    ]
    return [
        {"instruction": instruction, "response": text, "follows": follows}
        for instruction, text, follows in dict.fromkeys(found)
        if follows is not None
    ]


def made(folder, recipe):
    """Return the tables of the batch by a recipe; asking for what the recording lacks fails."""
    data = data_folder(folder, recipe)
    labelled = data / "labels.json"
    with pytest.MonkeyPatch.context() as patch, Simulator(SimulatorSettings()) as nobody:
        patch.setenv("AUTOIF_PROMPTS", str(folder / "prompts"))
        # What is labelled is known when the batch is there.
        for inputs, only in ((Inputs(), None), (Inputs(labelled=str(labelled)), LABELLED)):
            # Of the paper's batch the recording holds what its verification asks.
            whole = recipe == "audited" or only
            result = run_batch(
                data,
                nobody.base_url,
                BATCH,
                recipe=recipe,
                inputs=inputs,
                model=MODEL,
                only=only,
                upto=None if whole else "verified_instructions",
                resources={
                    "recipe": {"overrides": dict(NUMBERS)},
                    "supervision": {"max_failed_share": 0.5},
                },
            )
            assert result.success
            labelled.write_text(json.dumps(labels(tables(data)["probe_texts"])))
        assert nobody.stats()["received"] == 0
    return tables(data)


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """The tables of the batch by recipe."""
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return {recipe: made(folder, recipe) for recipe in RECIPES}


def judged(batch):
    """Return every distinct function with whether it is right and the gate that rejected it."""
    verifiers = batch["verifiers"].select("verifier_id", "instruction_id", "source")
    of_seeds = batch["augmented_instructions"].select("instruction_id", "instruction")
    gates = batch[LABELLED].select("verifier_id", "gate", "share")
    turned_down = batch["verified_instructions"].select("instruction_id", of="reason")
    return (
        judged_verifiers(verifiers, of_seeds)
        .join(gates, on="verifier_id", maintain_order="left")
        .join(turned_down, on="instruction_id", maintain_order="left")
        # Of an instruction that is not verified no verifier is in use.
        .with_columns(
            gate=pl.when(pl.col("gate") == IN_USE)
            .then(pl.col("of").fill_null(IN_USE))
            .otherwise("gate")
        )
    )


def by_gate(batch):
    """Return how many functions each gate has rejected, and how many of these are right."""
    counted = judged(batch).group_by("gate").agg(pl.len(), pl.col("right").sum())
    return {gate: (functions, right) for gate, functions, right in counted.iter_rows()}


def test_who_is_in_use_by_the_papers_rules(batches):
    """One in four is right, and one in three says the same of every text."""
    assert by_gate(batches["paper"]) == {
        "in use": (72, 17),
        "contradiction": (33, 9),
        "no_surviving_case": (20, 6),
        "low_agreement": (16, 1),
    }
    used = judged(batches["paper"]).filter(gate=IN_USE)
    assert used["constant"].sum() == 25
    assert used["instruction_id"].n_unique() == 16
    assert used.filter("right")["instruction_id"].n_unique() == 10


def test_who_is_in_use_by_the_default(batches):
    """Three in four are right and none is constant; of what is right most is lost.

    What a small model writes cannot carry the gates that count cases: see below.
    """
    assert by_gate(batches["audited"]) == {
        "in use": (8, 6),
        "constant": (41, 0),
        "auditor_disagrees": (21, 1),
        "no_surviving_case": (15, 5),
        "few_cases_survive": (22, 8),
        "unbalanced_cases": (16, 5),
        "low_agreement": (6, 0),
        "fragile": (1, 1),
        "contradiction": (4, 3),
        "impossible": (9, 0),
        "vacuous": (7, 5),
    }
    used = judged(batches["audited"]).filter(gate=IN_USE)
    assert used["constant"].sum() == 0
    assert used["share"].min() >= 0.8
    assert used["instruction_id"].n_unique() == 3
    assert used.filter("right")["instruction_id"].n_unique() == 2


def test_how_often_the_model_is_right_about_texts(batches):
    """Cases and auditor are what a right verifier is told by, and are right six times of ten."""
    batch = batches["audited"]
    cases = accepted(batch["test_cases"]).select("instruction_id", "input", "origin", "expected")
    assert agreement(cases, "expected") == {"function": (410, 265), "boundary": (131, 64)}
    texts = pl.concat(
        [
            batch["probe_texts"].select("input", input_id="probe_id"),
            batch["test_cases"].select("input", input_id="case_id"),
        ]
    ).unique("input_id")
    answers = accepted(batch["auditor_answers"]).drop("input").join(texts, on="input_id")
    assert agreement(answers.with_columns(origin=pl.lit("auditor")), "obeys") == {
        "auditor": (84, 54)
    }


def agreement(rows, label):
    """Return by origin how many texts the reference checkers are sure of, and agree on."""
    sure, agreed = Counter(), Counter()
    for id_, text, origin, said in rows.select("instruction_id", "input", "origin", label).rows():
        true = BY_ID[id_].check(text)
        sure[origin] += true is not None
        agreed[origin] += true is not None and true == said
    return {origin: (sure[origin], agreed[origin]) for origin in sure}


def test_the_row_and_the_pair_of_the_readme_are_of_this_batch(batches):
    row, pair = (json.loads(b.text) for b in blocks("json") if b.document == "README.md")
    asked, answered = (message["content"] for message in row["messages"])
    examples = batches["audited"]["sft_examples"]
    assert (asked, answered) in set(examples.select("prompt", "response").iter_rows())
    texts = tuple(pair[side][0]["content"] for side in ("prompt", "chosen", "rejected"))
    pairs = batches["audited"]["preference_pairs"]
    assert texts in set(pairs.select("prompt", "chosen", "rejected").iter_rows())
