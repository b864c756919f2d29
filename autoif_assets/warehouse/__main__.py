"""Print the table reference: ``python -m autoif_assets.warehouse > docs/tables.md``."""

from autoif_assets.warehouse.reference import reference

print(reference(), end="")
