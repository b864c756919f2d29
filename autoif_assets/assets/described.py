"""What exported rows say beside the columns of their table, so that nobody need join tables."""

from collections.abc import Iterable, Iterator

import polars as pl

from autoif_assets.warehouse import Warehouse, known_batches

# Who may be asked in a batch; what nobody is asked as is null.
_ROLES = ("supervision", "responder", "judge", "auditor", "nli")
_ASKED = ("batch", "prompt_id", "query_id", "query")


def described(
    parts: Iterable[pl.DataFrame], warehouse: Warehouse, policy: str | None = None
) -> Iterator[pl.DataFrame]:
    """Add to rows what was asked, of which category, and by which recipe and models it was made.

    Args:
        parts: Rows with ``batch``, ``instruction_id`` and ``prompt_id`` (null where the prompt is
            the instruction alone); perhaps ``query``; perhaps ``instruction_ids``, if the prompt
            holds several instructions.
        warehouse: Where the rest is.
        policy: Name of the model that the rejected responses are of, if they are of a policy.

    Yields:
        The rows in their order, with ``instructions`` (their texts), ``query_id``, ``query`` and
        ``category`` (null where there is none), ``recipe`` (its hash) and ``models`` (by role).
    """
    instructions = warehouse.read(
        "verified_instructions", columns=["batch", "instruction_id", "instruction", "category"]
    )
    made_by = _made_by(warehouse, policy)
    for rows in parts:
        if "query" not in rows.columns:
            asked = _asked(rows, warehouse)
            if "query_id" in rows.columns:
                asked = asked.drop("query_id")
            rows = rows.join(asked, on=["batch", "prompt_id"], how="left", maintain_order="left")
        texts = _texts(rows, instructions)
        of_row = instructions.drop("instruction")
        yield (
            rows.hstack([texts])
            .join(of_row, on=["batch", "instruction_id"], how="left", maintain_order="left")
            .join(made_by, on="batch", how="left", maintain_order="left")
        )


def _asked(rows: pl.DataFrame, warehouse: Warehouse) -> pl.DataFrame:
    """Read the queries of the rows' prompts alone: those of all may not fit into memory."""
    prompts = rows["prompt_id"].drop_nulls().unique().sort()
    if prompts.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(_ASKED, pl.String))
    return warehouse.query(
        f"SELECT {', '.join(_ASKED)} FROM autoif.augmented_queries"
        " WHERE prompt_id IN (SELECT unnest(?))",
        [prompts.to_list()],
    )


def _texts(rows: pl.DataFrame, instructions: pl.DataFrame) -> pl.Series:
    """Return the texts of each row's instructions, in the order of their ids."""
    ids = "instruction_ids" if "instruction_ids" in rows.columns else "instruction_id"
    wanted = rows.select("batch", pl.col(ids).alias("instruction_id")).with_row_index("row")
    if ids == "instruction_ids":
        wanted = wanted.explode("instruction_id")
    texts = (
        wanted.join(instructions, on=["batch", "instruction_id"], how="left", maintain_order="left")
        .group_by("row", maintain_order=True)
        .agg(instructions="instruction")
    )
    return texts["instructions"].cast(pl.List(pl.String))


def _made_by(warehouse: Warehouse, policy: str | None) -> pl.DataFrame:
    """Return the recipe and the models of each batch."""
    roles = (*_ROLES, *(() if policy is None else ("policy",)))
    made = []
    for batch in known_batches(warehouse).values():
        asked = {one.role: one.model or None for one in batch.roles} | {"policy": policy}
        models = {role: asked.get(role) for role in roles}
        made.append({"batch": batch.batch, "recipe": batch.recipe_hash, "models": models})
    models_type = pl.Struct(dict.fromkeys(roles, pl.String))
    return pl.DataFrame(
        made, schema={"batch": pl.String, "recipe": pl.String, "models": models_type}
    )
