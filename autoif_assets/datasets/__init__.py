"""Training files: SFT and KTO examples and preference pairs in the formats trainers read."""

from autoif_assets.datasets.export import write_dataset
from autoif_assets.datasets.files import ExportedFile
from autoif_assets.datasets.formats import KTO, PREFERENCE, SFT, SPLITS, DatasetKind
from autoif_assets.datasets.split import InstructionSplit, eval_instructions, split_instructions

__all__ = [
    "KTO",
    "PREFERENCE",
    "SFT",
    "SPLITS",
    "DatasetKind",
    "ExportedFile",
    "InstructionSplit",
    "eval_instructions",
    "split_instructions",
    "write_dataset",
]
