"""The client of OpenAI-compatible model servers: never loses or repeats a paid completion."""

from autoif_assets.endpoint.calls import Choice, Reply, Request, call_id
from autoif_assets.endpoint.client import Client
from autoif_assets.endpoint.errors import (
    AccessDenied,
    EndpointError,
    NotServed,
    ServerUnreachable,
)
from autoif_assets.endpoint.journal import Journal
from autoif_assets.endpoint.progress import Progress
from autoif_assets.endpoint.table import llm_calls

__all__ = [
    "AccessDenied",
    "Choice",
    "Client",
    "EndpointError",
    "Journal",
    "NotServed",
    "Progress",
    "Reply",
    "Request",
    "ServerUnreachable",
    "call_id",
    "llm_calls",
]
