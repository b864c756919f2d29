"""Print the SQL of the declared tables, to start a first migration from."""

from autoif_assets.warehouse.migrations import first_migration

print(first_migration(), end="")
