"""The local model that tells whether a back-translation contradicts its instruction."""

from autoif_assets.nli.model import (
    DEFAULT_MODEL,
    LABELS,
    Label,
    NLIModel,
    NLIModelError,
    NLIVerdict,
    label_ids,
)

__all__ = [
    "DEFAULT_MODEL",
    "LABELS",
    "Label",
    "NLIModel",
    "NLIModelError",
    "NLIVerdict",
    "label_ids",
]
