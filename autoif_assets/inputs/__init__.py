"""Reading what a person brings: seeds, user queries, labelled responses and prompts."""

from autoif_assets.inputs.checking import check_inputs
from autoif_assets.inputs.files import PREFIX, InputError
from autoif_assets.inputs.labelled import read_labelled
from autoif_assets.inputs.prompts import read_prompts, write_prompts
from autoif_assets.inputs.seeds import read_seed_instructions, read_seed_queries

__all__ = [
    "PREFIX",
    "InputError",
    "check_inputs",
    "read_labelled",
    "read_prompts",
    "read_seed_instructions",
    "read_seed_queries",
    "write_prompts",
]
