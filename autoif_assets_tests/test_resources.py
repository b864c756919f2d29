import json

import polars as pl
import pytest

from autoif_assets import resources
from autoif_assets.method.back_translation import judge_back_translations
from autoif_assets.nli import NLIVerdict
from autoif_assets.resources import LocalNLI


class Oracle:
    """Stands in for the loaded model: says what the hypothesis asks it to."""

    def __init__(self, name):
        self.name = name

    def classify(self, pairs):
        return [
            NLIVerdict(hypothesis, {"entailment": 0.1, "neutral": 0.2, "contradiction": 0.7})
            for _, hypothesis in pairs
        ]


def test_a_local_model_labels_as_the_supervision_model_would(monkeypatch):
    monkeypatch.setattr(resources, "NLIModel", Oracle)
    pairs = pl.DataFrame(
        {
            "pair_id": ["1", "2"],
            "premise": ["a", "b"],
            "hypothesis": ["neutral", "contradiction"],
        }
    )
    labels = LocalNLI(by="transformers", model="a-model").label(pairs)
    assert labels.select("pair_id", "nli_label", "nli_by").rows() == [
        ("1", "neutral", "a-model"),
        ("2", "contradiction", "a-model"),
    ]
    assert json.loads(labels["nli_raw"][0])["contradiction"] == 0.7
    assert labels["nli_call_id"].to_list() == [None, None]
    assert labels.columns == ["pair_id", "nli_label", "nli_by", "nli_raw", "nli_call_id"]
    assert judge_back_translations.__doc__ is not None
    assert all(f"``{name}``" in judge_back_translations.__doc__ for name in labels.columns)


def test_nothing_to_label(monkeypatch):
    monkeypatch.setattr(resources, "NLIModel", Oracle)
    schema = dict.fromkeys(("pair_id", "premise", "hypothesis"), pl.String)
    assert LocalNLI(by="transformers").label(pl.DataFrame(schema=schema)).is_empty()


def test_an_unknown_labeller_is_named():
    with pytest.raises(ValueError, match="AUTOIF_NLI is 'bert'"):
        assert LocalNLI(by="bert").enabled
