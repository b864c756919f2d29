"""The tables in a browser: `autoif browse`."""

from autoif_assets.browse.server import application, listening

__all__ = ["application", "listening"]
