"""A small real model on this machine's CPU: its weights and an OpenAI-compatible server for it."""

from autoif_assets.localmodel.catalogue import DEFAULT_MODEL, MODELS, LocalModelError, Model
from autoif_assets.localmodel.fetching import default_cache, fetch
from autoif_assets.localmodel.serving import running, serve

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "LocalModelError",
    "Model",
    "default_cache",
    "fetch",
    "running",
    "serve",
]
