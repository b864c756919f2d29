"""Training files: SFT and KTO examples and preference pairs in the formats trainers read."""

from autoif_assets.datasets.export import Export, write_dataset
from autoif_assets.datasets.files import ExportedFile
from autoif_assets.datasets.formats import KTO, PREFERENCE, SFT, SPLITS, DatasetKind
from autoif_assets.datasets.split import DatasetSplit

__all__ = [
    "KTO",
    "PREFERENCE",
    "SFT",
    "SPLITS",
    "DatasetKind",
    "DatasetSplit",
    "Export",
    "ExportedFile",
    "write_dataset",
]
