"""Which output of a sequence-classification model means what."""

from collections.abc import Mapping
from typing import Literal, get_args

Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = get_args(Label)


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
