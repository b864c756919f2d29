"""Training files: SFT and KTO examples and preference pairs in the formats trainers read."""

from autoif_assets.datasets.about import About, AboutBatch, Benchmark
from autoif_assets.datasets.export import Export, write_dataset
from autoif_assets.datasets.files import ExportedFile, Extra
from autoif_assets.datasets.formats import SPLITS, DatasetKind
from autoif_assets.datasets.hub import HubError, Pushed, pull_dataset, push_dataset
from autoif_assets.datasets.kinds import KTO, PREFERENCE, REWARD, SFT
from autoif_assets.datasets.reward import reward_extras
from autoif_assets.datasets.shared import fetch_dataset, share_dataset
from autoif_assets.datasets.split import DatasetSplit

__all__ = [
    "KTO",
    "PREFERENCE",
    "REWARD",
    "SFT",
    "SPLITS",
    "About",
    "AboutBatch",
    "Benchmark",
    "DatasetKind",
    "DatasetSplit",
    "Export",
    "ExportedFile",
    "Extra",
    "HubError",
    "Pushed",
    "fetch_dataset",
    "pull_dataset",
    "push_dataset",
    "reward_extras",
    "share_dataset",
    "write_dataset",
]
