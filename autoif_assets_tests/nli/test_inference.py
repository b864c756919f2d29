"""The real loading and inference code, on models of a few hundred weights made here."""

import json
import threading

import pytest

from autoif_assets.nli import LABELS, NLIModel, NLIModelError
from autoif_assets.nli.model import _load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def libraries():
    """Importing the two takes seconds: only when a test of this module runs."""
    globals().update({name: pytest.importorskip(name) for name in ("torch", "transformers")})


torch = transformers = None

# The last word of a hypothesis decides what the hand-made model says.
SIGNAL = {"yes": "entailment", "maybe": "neutral", "no": "contradiction"}
WORDS = ("[PAD]", "[UNK]", *SIGNAL, *"abcdefgh")
GENERIC = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
ORDERS = [
    ("entailment", "neutral", "contradiction"),
    ("contradiction", "neutral", "entailment"),
    ("NEUTRAL", "CONTRADICTION", "ENTAILMENT"),
    ("Contradiction", "Entailment", "Neutral"),
]


def _save_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)


def _label_maps(names):
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
    }


def save_signal_model(folder, names, means=ORDERS[0]):
    """A model without layers: each signal word's embedding lights up one output.

    ``names`` are what the config calls the outputs, ``means`` what they mean.
    """
    config = transformers.GPT2Config(
        vocab_size=len(WORDS),
        n_positions=16,
        n_embd=8,
        n_layer=0,
        n_head=1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        **_label_maps(names),
    )
    model = transformers.GPT2ForSequenceClassification(config)
    with torch.no_grad():
        for weights in (model.transformer.wpe, model.transformer.wte, model.score):
            weights.weight.zero_()
        for word, label in SIGNAL.items():
            output = [name.lower() for name in means].index(label)
            model.transformer.wte.weight[WORDS.index(word), output] = 1
            model.score.weight[output, output] = 1
    model.save_pretrained(folder)
    _save_tokenizer(folder)
    return str(folder)


def save_deberta(folder):
    """A small random model of the default model's architecture."""
    torch.manual_seed(0)
    config = transformers.DebertaV2Config(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        initializer_range=1.0,
        type_vocab_size=0,
        pad_token_id=0,
        **_label_maps(ORDERS[0]),
    )
    transformers.DebertaV2ForSequenceClassification(config).save_pretrained(folder)
    _save_tokenizer(folder)
    return str(folder)


@pytest.mark.parametrize("names", ORDERS, ids="-".join)
def test_label_order_is_the_configs(tmp_path, names):
    name = save_signal_model(tmp_path, names, names)
    for word, label in SIGNAL.items():
        (verdict,) = NLIModel(name).classify([("a b", f"c {word}")])
        assert verdict.label == label
        assert list(verdict.scores) == list(LABELS)
        assert verdict.scores[label] > 0.8
        assert sum(verdict.scores.values()) == pytest.approx(1)


def test_verdicts_keep_the_order_of_the_pairs(tmp_path):
    name = save_signal_model(tmp_path, ORDERS[1], ORDERS[1])
    words = ["no", "yes", "maybe", "yes", "no", "no", "maybe"]
    pairs = [("a " * (9 - i), "b " * (i % 3) + word) for i, word in enumerate(words)]
    for batch_size in (1, 2, 3, 100):
        verdicts = NLIModel(name, batch_size=batch_size).classify(pairs)
        assert [verdict.label for verdict in verdicts] == [SIGNAL[word] for word in words]


def test_long_premise_is_cut_and_the_hypothesis_kept(tmp_path):
    name = save_signal_model(tmp_path, ORDERS[0])
    verdicts = NLIModel(name).classify([("a " * 5000, "b no"), ("a", "yes"), ("a", "b " * 5000)])
    assert [verdict.label for verdict in verdicts[:2]] == ["contradiction", "entailment"]


def test_batches_do_not_change_a_verdict(tmp_path):
    name = save_deberta(tmp_path)
    pairs = [("a b " * (i % 4 + 1), "c d yes " * (i % 3 + 1) + "abcdefgh"[i]) for i in range(8)]
    alone = NLIModel(name, batch_size=1).classify(pairs)
    together = NLIModel(name, batch_size=8).classify(pairs)
    assert len({verdict.scores["entailment"] for verdict in alone}) == len(pairs)
    for one, other in zip(alone, together, strict=True):
        assert dict(one.scores) == pytest.approx(dict(other.scores), abs=1e-5)
    # Dropout is off: the same pairs give the same numbers.
    assert together == NLIModel(name, batch_size=8).classify(pairs)


def test_loaded_once_a_process_also_by_threads(tmp_path, monkeypatch):
    name = save_signal_model(tmp_path, ORDERS[0])
    calls = []
    load = transformers.AutoModelForSequenceClassification.from_pretrained

    def counted(*args, **kwargs):
        calls.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_pretrained", counted)
    verdicts = []

    def work():
        pairs = [("a", "b yes"), ("a", "no")] * 20
        verdicts.extend(NLIModel(name, batch_size=4).classify(pairs))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(verdicts) == 6 * 40
    assert {verdict.label for verdict in verdicts} == {"entailment", "contradiction"}
    assert len(calls) == 1


def test_half_precision_checkpoint_is_computed_in_full(tmp_path):
    name = save_signal_model(tmp_path, ORDERS[0])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(name)
    model.half().save_pretrained(name)
    assert NLIModel(name).classify([("a", "b maybe")])[0].label == "neutral"
    assert _load(name, None)._model.dtype == torch.float32


def test_generic_label_names_are_refused(tmp_path):
    name = save_signal_model(tmp_path, GENERIC.values())
    with pytest.raises(NLIModelError) as error:
        NLIModel(name).classify([("a", "b")])
    assert name in str(error.value)
    assert "LABEL_0" in str(error.value)
    assert "id2label" in str(error.value)


def test_model_without_a_trained_head_is_refused(tmp_path):
    name = save_signal_model(tmp_path, ORDERS[0])
    transformers.AutoModel.from_pretrained(name).save_pretrained(name)
    with pytest.raises(NLIModelError, match=r"lack 1 weights \(such as score.weight\)"):
        NLIModel(name).classify([("a", "b")])


def test_damaged_weights_are_an_error_not_a_label(tmp_path):
    name = save_signal_model(tmp_path, ORDERS[0])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(name)
    with torch.no_grad():
        model.score.weight.fill_(float("nan"))
    model.save_pretrained(name)
    with pytest.raises(NLIModelError, match="not finite"):
        NLIModel(name).classify([("a", "b")])


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(NLIModelError, match="nowhere of the NLI model does not exist"):
        NLIModel(str(tmp_path / "nowhere")).classify([("a", "b")])


def test_folder_that_is_no_model_is_one_message(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
    with pytest.raises(NLIModelError, match="cannot be loaded") as error:
        NLIModel(str(tmp_path)).classify([("a", "b")])
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_home_is_understood(tmp_path, monkeypatch):
    save_signal_model(tmp_path / "model", ORDERS[2], ORDERS[2])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert NLIModel("~/model").classify([("a", "no")])[0].label == "contradiction"
