"""The client of OpenAI-compatible model servers: never loses or repeats a paid completion."""

from autoif_assets.endpoint.budget import Budget, Prices, Spent
from autoif_assets.endpoint.calls import Choice, Reply, Request, call_id
from autoif_assets.endpoint.client import Client
from autoif_assets.endpoint.errors import (
    AccessDenied,
    BudgetSpent,
    EndpointError,
    NotServed,
    NotUsable,
    ServerUnreachable,
    TooManyFailed,
)
from autoif_assets.endpoint.features import Features
from autoif_assets.endpoint.journal import Journal, llm_calls, llm_calls_in_parts, spent_by_run
from autoif_assets.endpoint.journal_files import Compacted, Pruned, compact_journals, prune_journals
from autoif_assets.endpoint.progress import Progress
from autoif_assets.endpoint.settings import Credentials, EndpointSettings
from autoif_assets.endpoint.shared_journals import Sharing, fetch_batch, remove_shared
from autoif_assets.endpoint.shortfall import Shortfalls

__all__ = [
    "AccessDenied",
    "Budget",
    "BudgetSpent",
    "Choice",
    "Client",
    "Compacted",
    "Credentials",
    "EndpointError",
    "EndpointSettings",
    "Features",
    "Journal",
    "NotServed",
    "NotUsable",
    "Prices",
    "Progress",
    "Pruned",
    "Reply",
    "Request",
    "ServerUnreachable",
    "Sharing",
    "Shortfalls",
    "Spent",
    "TooManyFailed",
    "call_id",
    "compact_journals",
    "fetch_batch",
    "llm_calls",
    "llm_calls_in_parts",
    "prune_journals",
    "remove_shared",
    "spent_by_run",
]
