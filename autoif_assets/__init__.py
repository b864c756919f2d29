"""AutoIF as Dagster assets: verified instruction-following training data."""

__version__ = "0.1.0"
