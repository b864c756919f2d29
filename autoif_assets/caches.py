"""The folder for what can be made or fetched again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``autoif`` in the user's cache folder, which XDG_CACHE_HOME names."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "autoif"
