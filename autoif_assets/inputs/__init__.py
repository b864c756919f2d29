"""Reading what a person brings: seed instructions, user queries and prompts."""

from autoif_assets.inputs.files import PREFIX, InputError
from autoif_assets.inputs.prompts import read_prompts, write_prompts
from autoif_assets.inputs.seeds import check_inputs, read_seed_instructions, read_seed_queries

__all__ = [
    "PREFIX",
    "InputError",
    "check_inputs",
    "read_prompts",
    "read_seed_instructions",
    "read_seed_queries",
    "write_prompts",
]
