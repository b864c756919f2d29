"""Training files: SFT examples and preference pairs in the formats trainers read."""

from autoif_assets.datasets.export import write_preference_dataset, write_sft_dataset
from autoif_assets.datasets.files import ExportedFile
from autoif_assets.datasets.split import eval_instructions

__all__ = ["ExportedFile", "eval_instructions", "write_preference_dataset", "write_sft_dataset"]
