"""What a server can do, learned once from its refusals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoif_assets.endpoint.calls import Request, canonical_json


@dataclass(frozen=True)
class Form:
    """A form to put a request in: how many completions at once, and whether with the schema."""

    n: int
    with_schema: bool


class Features:
    """Which ``n`` and which schemas a server has taken and refused.

    Attributes:
        notes: What the client does differently because of a refusal, for people.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._n_taken = 1
        self._n_limited = False
        self._schemas: dict[str, bool] = {}

    def form(self, n: int, schema: Mapping[str, Any] | None) -> Form:
        """Return the best form for ``n`` completions that is not known to be refused."""
        if self._n_limited:
            n = min(n, self._n_taken)
        with_schema = schema is not None and self._schemas.get(canonical_json(schema), True)
        return Form(n, with_schema)

    def simpler(self, form: Form, request: Request) -> list[Form]:
        """Return forms to try when ``form`` was refused: fewer of the features not yet proven."""
        n_unproven = form.n > self._n_taken
        schema_unproven = form.with_schema and canonical_json(request.schema) not in self._schemas
        forms = []
        if n_unproven:
            forms.append(Form(1, form.with_schema))
        if schema_unproven:
            forms.append(Form(form.n, False))
        if n_unproven and schema_unproven:
            forms.append(Form(1, False))
        return forms

    def took(self, form: Form, completions: int, request: Request) -> None:
        """Note that the server answered ``form`` with so many completions."""
        self._n_taken = max(self._n_taken, min(form.n, completions))
        if completions < form.n:
            self._limit_n(f"gave {completions} completions where n={form.n} were asked")
        if form.with_schema:
            self._schemas.setdefault(canonical_json(request.schema), True)

    def refused(self, form: Form, instead: Form, request: Request, words: str) -> None:
        """Note that the server refused ``form`` of a request and took ``instead``."""
        if instead.n < form.n:
            self._limit_n(f"refuses n={form.n} ({words})")
        key = canonical_json(request.schema)
        if form.with_schema and not instead.with_schema and self._schemas.get(key, True):
            self._schemas[key] = False
            self.notes.append(
                f"The server refuses the JSON schema of {request.role} ({words}); its prompts are "
                "sent without it and the answers read as free text."
            )

    def _limit_n(self, why: str) -> None:
        if not self._n_limited:
            self._n_limited = True
            self.notes.append(
                f"The server {why}; from now on it is asked for at most {self._n_taken} at once."
            )
