"""A vLLM server of one's own: its command line, its start, its end."""

from autoif_assets.serving.process import running, serve
from autoif_assets.serving.program import ServingError, served_name

__all__ = ["ServingError", "running", "serve", "served_name"]
