"""Natural language inference with a local sequence-classification model."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import torch

Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = get_args(Label)

DEFAULT_MODEL = "MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7"

# What the common encoders are trained on; an instruction and its paraphrase are far shorter.
_MAX_TOKENS = 512

# Models are loaded one at a time, so that threads asking for the same one share it.
_LOADING = threading.Lock()


class NLIModelError(RuntimeError):
    """The NLI model cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class NLIVerdict:
    """What the model says of a pair.

    Attributes:
        label: The most probable label.
        scores: Probability of each label, in the order of ``LABELS``; they add up to 1.
    """

    label: Label
    scores: Mapping[Label, float]


class NLIModel:
    """Labels premise and hypothesis as entailment, neutral or contradiction.

    Nothing is imported or loaded before the first pair. A model is loaded once a process
    however many objects name it, and objects may be shared by threads.
    """

    def __init__(
        self, name: str = DEFAULT_MODEL, device: str | None = None, batch_size: int = 32
    ) -> None:
        """Name the model.

        Args:
            name: A Hugging Face model id or a local folder.
            device: A torch device such as ``cpu`` or ``cuda:1``; None: the GPU if there is one.
            batch_size: Pairs computed at once.

        Raises:
            ValueError: ``batch_size`` is not positive.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size of the NLI model is {batch_size}; at least 1 is needed.")
        self.name = name
        self.device = device
        self.batch_size = batch_size

    def classify(self, pairs: Sequence[tuple[str, str]]) -> list[NLIVerdict]:
        """Label pairs of premise and hypothesis.

        Pairs longer than the model can read lose tokens at the end of the longer text. The
        same pairs give the same verdicts.

        Args:
            pairs: Premise and hypothesis each; may be empty.

        Returns:
            One verdict a pair, in the order of ``pairs``.

        Raises:
            NLIModelError: The extra ``nli`` is not installed, or the model cannot be loaded or
                computes no numbers.
        """
        if not pairs:
            return []
        with _LOADING:
            loaded = _load(self.name, self.device)
        # Pairs of similar length together, since a batch is padded to its longest pair.
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        verdicts: dict[int, NLIVerdict] = {}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            for i, scores in zip(batch, loaded.scores([pairs[i] for i in batch]), strict=True):
                verdicts[i] = NLIVerdict(max(LABELS, key=scores.__getitem__), scores)
        return [verdicts[i] for i in range(len(pairs))]


class _Loaded:
    """A model in memory, with its tokenizer and the meaning of its outputs."""

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        model: Any,
        ids: dict[Label, int],
        device: "torch.device",
    ) -> None:
        self._name = name
        self._tokenizer = tokenizer
        self._model = model
        self._ids = ids
        self._device = device
        # A fast tokenizer refuses to be used by two threads at once.
        self._lock = threading.Lock()
        # Tokenizers without a limit of their own state an absurdly large one.
        limits = (
            tokenizer.model_max_length,
            getattr(model.config, "max_position_embeddings", None),
        )
        self._max_tokens = min(_MAX_TOKENS, *(limit for limit in limits if limit))

    def scores(self, pairs: list[tuple[str, str]]) -> list[dict[Label, float]]:
        """Compute one batch."""
        import torch

        with self._lock, torch.inference_mode():
            inputs = self._tokenizer(
                [premise for premise, _ in pairs],
                [hypothesis for _, hypothesis in pairs],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            ).to(self._device)
            logits = self._model(**inputs).logits.float()
            if not bool(torch.isfinite(logits).all()):
                raise NLIModelError(
                    f"The NLI model {self._name} computed numbers that are not finite on "
                    f"{self._device}; its files may be damaged, or try another device."
                )
            rows: list[list[float]] = logits.softmax(dim=-1).tolist()
        return [{label: row[i] for label, i in self._ids.items()} for row in rows]


@cache
def _load(name: str, device: str | None) -> _Loaded:
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise NLIModelError(
            f"The local NLI model needs transformers and torch ({error}): "
            "pip install 'autoif-assets[nli]'."
        ) from error
    source = _source(name)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source)
        model: Any
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            source, output_loading_info=True
        )
    except (OSError, ValueError, ImportError) as error:
        raise NLIModelError(
            f"The NLI model {name} cannot be loaded: {_first_line(error)}. Give the id of a "
            "sequence-classification model on the Hugging Face hub, or the folder of a "
            "downloaded one."
        ) from error
    if missing := sorted(loading["missing_keys"]):
        raise NLIModelError(
            f"The NLI model {name} cannot be used: its files lack {len(missing)} weights (such as "
            f"{missing[0]}), which would be random; it is not a trained sequence-classification "
            "model, or its download is incomplete."
        )
    # Before any pair is labelled: a wrong order would turn every verdict around.
    try:
        ids = label_ids(model.config.id2label, model.config.label2id)
    except ValueError as error:
        raise NLIModelError(f"The NLI model {name} cannot be used: {error}.") from error
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    # Half precision, in which some checkpoints are stored, overflows in DeBERTa.
    model = model.float().to(where).eval()
    return _Loaded(name, tokenizer, model, ids, where)


def label_ids(
    id2label: Mapping[int, str] | None, label2id: Mapping[str, int] | None
) -> dict[Label, int]:
    """Find the output of each label from a model's config.

    Models order their labels differently, and a guessed order silently turns contradictions
    into entailments, so nothing is guessed.

    Args:
        id2label: The config's map from output number to name, in any casing.
        label2id: The config's map the other way. Only consulted where ``id2label`` does not
            name the three labels, or to find that the two disagree.

    Returns:
        The outputs 0 to 2 by label.

    Raises:
        ValueError: Neither map names exactly the three labels, or the two contradict each other.
    """
    by_id = _three_labels({str(name): int(i) for i, name in (id2label or {}).items()})
    by_label = _three_labels({str(name): int(i) for name, i in (label2id or {}).items()})
    if by_id and by_label and by_id != by_label:
        raise ValueError(
            f"its config names its outputs twice and differently (id2label {dict(id2label or {})},"
            f" label2id {dict(label2id or {})}); correct one of them in the model's config.json"
        )
    found = by_id or by_label
    if found is None:
        raise ValueError(
            f"its config calls its outputs {list((id2label or {}).values())}, but exactly "
            "entailment, neutral and contradiction are needed, in any order and casing; choose "
            "a three-label NLI model or, if you know the order, name the outputs in id2label of "
            "the model's config.json"
        )
    return found


def _three_labels(ids: Mapping[str, int]) -> dict[Label, int] | None:
    """The ids by label, if they are those of exactly the three labels."""
    lowered = {name.strip().lower(): i for name, i in ids.items()}
    if len(ids) != len(LABELS) or sorted(lowered.values()) != [0, 1, 2]:
        return None
    if set(lowered) != set(LABELS):
        return None
    return {label: lowered[label] for label in LABELS}


def _source(name: str) -> str:
    """The hub id, or the local folder with ~ resolved."""
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if path.is_absolute() or name.startswith((".", "~")):
        raise NLIModelError(f"The folder {path} of the NLI model does not exist.")
    return name


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". ")
