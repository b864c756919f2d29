"""Asking a model so that an interrupted benchmark goes on and pays for nothing twice."""

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from autoif_assets.endpoint import Client, EndpointSettings, Journal, Progress, Request, llm_calls
from autoif_assets.method.completions import COMPLETION_SCHEMA

ANSWERS = {**COMPLETION_SCHEMA, "tokens": pl.Float64}
"""Completions with the tokens that each took; null where the server does not say."""

# Names of the journal's folders.
_ASSET, _BATCH = "prompts", "benchmark"


class Asker:
    """Asks one model; the answers are kept in a journal."""

    def __init__(self, settings: EndpointSettings, journal: Path):
        """Describe whom to ask.

        Args:
            settings: The endpoint's.
            journal: Folder of the journal.
        """
        # How often a prompt fails is what is measured, and no reason to end.
        self._client = Client(settings.model_copy(update={"max_failed_share": 1.0}))
        self._folder = journal

    def ask(self, requests: Sequence[Request]) -> pl.DataFrame:
        """Return ``ANSWERS``, a row a request in their order; a refused one has an ``error``.

        Args:
            requests: Of one completion each: some servers count the tokens of the first alone.

        Raises:
            EndpointError: The server is away or cannot be used.
        """
        with Journal(self._folder, _ASSET, _BATCH, "run") as journal:
            replies = self._client.complete(requests, journal, _tell)
        spent = dict(self._calls().select("call_id", "completion_tokens").iter_rows())
        rows = []
        for number, reply in enumerate(replies):
            choice = next(iter(reply.choices), None)
            said = (
                (None, None, None)
                if choice is None
                else (choice.text, choice.reasoning, choice.finish_reason)
            )
            error = reply.error if choice is None else None
            rows.append((reply.call_id, number, *said, error, spent.get(reply.call_id)))
        return pl.DataFrame(rows, schema=ANSWERS, orient="row")

    def last_day(self) -> str:
        """Return the day of the last answer."""
        return f"{self._calls()['finished_at'].max():%Y-%m-%d}"

    def _calls(self) -> pl.DataFrame:
        return llm_calls(self._folder, _ASSET, _BATCH)


def _tell(progress: Progress) -> None:
    print(progress, file=sys.stderr, flush=True)
