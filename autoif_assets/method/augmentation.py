"""Query augmentation: user queries joined to verified instructions [3.3]."""

import random
import unicodedata

import polars as pl

from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.method.recipe import Recipe

_TERMINAL = set(".!?…:;。！？：；")
_CLOSING = set("\"'”’)]}»」』）`*_")


def augment_queries(
    instructions: pl.DataFrame, queries: pl.DataFrame, recipe: Recipe, batch: str
) -> pl.DataFrame:
    """Join each verified instruction to ``queries_per_instruction`` sampled user queries.

    Args:
        instructions: Accepted ``verified_instructions``.
        queries: Accepted ``seed_queries``.
        recipe: ``queries_per_instruction`` and ``seed``.
        batch: Key of the batch; the sample derives from it and from the instruction.

    Returns:
        ``augmented_queries`` without ``batch``, sorted by instruction so that neighbours share
        a prompt's prefix. Fewer rows where there are fewer queries than asked for.
    """
    pool = queries.sort("query_id").select("query_id", "query").rows()
    count = min(recipe.queries_per_instruction, len(pool))
    rows = []
    for instruction_id, instruction in (
        instructions.sort("instruction_id").select("instruction_id", "instruction").iter_rows()
    ):
        draw = random.Random(derived_seed(batch, str(recipe.seed), "queries", instruction_id))
        for query_id, query in draw.sample(pool, count):
            prompt_id = content_id("prompt", instruction_id, query_id)
            prompt = join_prompt(query, instruction)
            rows.append((prompt_id, instruction_id, query_id, instruction, query, prompt))
    columns = ("prompt_id", "instruction_id", "query_id", "instruction", "query", "prompt")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def join_prompt(query: str, instruction: str) -> str:
    """Join a query and an instruction into what a trained model is asked [3.4].

    Each begins with a capital and ends with a mark of its own or a full stop. The authors' step
    9 looks for ``?`` or ``.`` anywhere in the query and always appends a full stop, which leaves
    "Write a poem" unended after "v1.0" and doubles the mark of "Use no commas."; we look at the
    end of each text.
    """
    return f"{_sentence(query)} {_sentence(instruction)}"


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return text
    # One character's capital can be several ("ß" -> "SS"); such letters stay as they are.
    capital = text[0].upper()
    text = (capital if len(capital) == 1 else text[0]) + text[1:]
    end = text.rstrip("".join(_CLOSING)) or text
    if end[-1] in _TERMINAL:
        return text
    wide = unicodedata.east_asian_width(end[-1]) in "WF" and end[-1].isalpha()
    return text + ("。" if wide else ".")
