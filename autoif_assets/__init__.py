"""AutoIF as Dagster assets: verified instruction-following training data."""
