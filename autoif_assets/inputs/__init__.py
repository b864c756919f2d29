"""Reading what a person brings: seed instructions and user queries."""

from autoif_assets.inputs.files import InputError
from autoif_assets.inputs.seeds import check_inputs, read_seed_instructions, read_seed_queries

__all__ = ["InputError", "check_inputs", "read_seed_instructions", "read_seed_queries"]
