"""Writing the page."""

import fcntl
import os
from pathlib import Path


def write_page(html: str, path: Path) -> None:
    """Put a page in the place of the one at ``path``; readers see the old or the new one.

    Processes that write the same page take turns, and what a killed one left is overwritten.

    Args:
        html: The page.
        path: Its folder is made if absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with new.open("w", encoding="utf-8", newline="\n") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
