"""AutoIF as Dagster assets: verified instruction-following training data."""

__version__ = "0.2.0"
