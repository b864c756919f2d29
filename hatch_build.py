"""The README as the package's description: a link to a file of the checkout leads nowhere there."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_TO_A_FILE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")


class Description(MetadataHookInterface):
    """Names such files instead."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        text = _TO_A_FILE.sub(r"\1 (`\2`)", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
