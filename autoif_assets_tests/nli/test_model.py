"""The model without its extra, and the reading of a config's label order."""

import itertools
import subprocess
import sys

import pytest

from autoif_assets.nli import LABELS, NLIModel, NLIModelError, label_ids


def test_import_and_empty_input_load_nothing_heavy():
    code = (
        "import sys; from autoif_assets.nli import NLIModel; "
        "assert NLIModel().classify([]) == []; "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_missing_extra_is_one_sentence(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NLIModelError) as error:
        NLIModel("anything").classify([("a", "b")])
    message = str(error.value)
    assert "pip install 'autoif-assets[nli]'" in message
    assert missing in message
    assert "\n" not in message


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size of the NLI model is 0"):
        NLIModel(batch_size=0)


@pytest.mark.parametrize("order", list(itertools.permutations(LABELS)))
@pytest.mark.parametrize("casing", [str.lower, str.upper, str.title])
def test_every_order_and_casing(order, casing):
    id2label = {i: casing(label) for i, label in enumerate(order)}
    assert label_ids(id2label, {name: i for i, name in id2label.items()}) == {
        label: order.index(label) for label in LABELS
    }


def test_either_map_suffices():
    real = {"CONTRADICTION": 0, "NEUTRAL": 1, "ENTAILMENT": 2}
    generic = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    expected = {"entailment": 2, "neutral": 1, "contradiction": 0}
    assert label_ids(generic, real) == expected
    assert label_ids(None, real) == expected
    assert label_ids({i: name for name, i in real.items()}, None) == expected
    assert label_ids({i: name for name, i in real.items()}, {n: i for i, n in generic.items()}) == (
        expected
    )


@pytest.mark.parametrize(
    "names",
    [
        ("LABEL_0", "LABEL_1", "LABEL_2"),
        ("entailment", "not_entailment"),
        ("entailment", "neutral", "contradiction", "other"),
        ("entailment", "Entailment", "contradiction"),
        (),
    ],
)
def test_anything_else_is_refused_with_what_was_found(names):
    id2label = dict(enumerate(names))
    with pytest.raises(ValueError, match="exactly entailment, neutral and contradiction") as error:
        label_ids(id2label, {name: i for i, name in id2label.items()})
    assert str(list(names)) in str(error.value)


def test_numbers_that_are_no_outputs_are_refused():
    with pytest.raises(ValueError, match="exactly entailment"):
        label_ids({0: "entailment", 1: "neutral", 3: "contradiction"}, None)


def test_maps_that_disagree_are_refused():
    with pytest.raises(ValueError, match="twice and differently"):
        label_ids(
            {0: "entailment", 1: "neutral", 2: "contradiction"},
            {"contradiction": 0, "neutral": 1, "entailment": 2},
        )
