"""Models behind endpoints: one endpoint a role, each as `supervision` where it says nothing."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field, PrivateAttr

from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.session import Session, open_session
from autoif_assets.resources.settings import EndpointSettings
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.serving import ServingError, running, served_name
from autoif_assets.warehouse import Policy


class Endpoint(dg.ConfigurableResource[Any]):
    """A model behind an OpenAI-compatible endpoint."""

    base_url: str | None = Field(
        default=None, description="URL up to and including /v1; http://127.0.0.1:8000/v1."
    )
    model: str | None = Field(default=None, description="Name of the served model.")
    api_key_variable: str | None = Field(
        default=None,
        description="Environment variable that holds the key, AUTOIF_API_KEY; the key itself is "
        "no setting.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Sampling temperature; the recipe's for each role."
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="Tokens of a completion; the recipe's for each role."
    )
    # What a variable sets has no bound here: while loading, its stand-in 0 would be held to it.
    max_concurrency: int | None = Field(
        default=None, description="Most requests in flight, at least 1; 512."
    )
    timeout_s: float | None = Field(
        default=None, gt=0, description="Seconds one request may take; 600."
    )
    max_outage_s: int | None = Field(
        default=None, description="Seconds a server that has answered may stay away; 600."
    )
    price_prompt: float | None = Field(
        default=None, ge=0, description="Price of a million prompt tokens; 0 for a local server."
    )
    price_cached: float | None = Field(
        default=None,
        ge=0,
        description="Price of a million of those that the server had cached; as the others.",
    )
    price_completion: float | None = Field(
        default=None, ge=0, description="Price of a million completion tokens; 0."
    )
    refresh: bool | None = Field(
        default=None, description="Ask anew for what the journals already hold; false."
    )

    def own(self) -> dict[str, Any]:
        """Return the settings that are given here, by name."""
        given = {field.name: getattr(self, field.name) for field in fields(EndpointSettings)}
        return {name: value for name, value in given.items() if value is not None}


class Supervision(Endpoint):
    """The model that writes and verifies; the other roles are as it where they say nothing."""

    warehouse: dg.ResourceDependency[WarehouseResource]
    budget: dg.ResourceDependency[BudgetResource]
    managed: str | None = Field(
        default=None,
        description="Model that a run serves itself with vLLM, from its start to its end, in the "
        "place of base_url and model: a name on the Hugging Face hub or a folder.",
    )
    managed_arguments: list[str] = Field(
        default_factory=list, description="Further arguments of that `vllm serve`."
    )
    _served: dict[str, Any] = PrivateAttr(default_factory=dict)

    def settings(self) -> EndpointSettings:
        """Return the settings with the defaults of what is not given."""
        return EndpointSettings(**{**self.own(), **self._served})

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Supervision"]:
        """Serve the managed model, if there is one, as long as the run lasts."""
        if not self.managed:
            yield self
            return
        log = context.log or dg.get_dagster_logger("serving")
        log.info(f"Starting vLLM with {self.managed}; loading its weights takes minutes.")
        key = os.environ.get(self.settings().api_key_variable, "")
        try:
            with running(self.managed, api_key=key, arguments=self.managed_arguments) as url:
                log.info(f"{self.managed} is served at {url}.")
                model = served_name(self.managed, self.managed_arguments)
                self._served.update(base_url=url, model=model)
                yield self
        except ServingError as error:
            raise dg.Failure(str(error)) from None

    def session(self, context: dg.AssetExecutionContext) -> AbstractContextManager[Session]:
        """Open the journal of this asset and batch; load it into ``llm_calls`` at the end."""
        return open_session(context, self.settings(), self.warehouse, self.budget)


class RoleEndpoint(Endpoint):
    """The model of another role; what is not given is as in `supervision`."""

    supervision: dg.ResourceDependency[Supervision]

    def settings(self) -> EndpointSettings:
        """Return the settings, supervision's where none is given.

        Supervision's key is not shown to another host: such an endpoint has a key of its own or
        none.
        """
        own = self.own()
        theirs = self.supervision.settings()
        settings = replace(theirs, **own)
        if "api_key_variable" not in own and _host(settings) != _host(theirs):
            return replace(settings, api_key_variable="")
        return settings

    def session(
        self, context: dg.AssetExecutionContext, name: str = "model"
    ) -> AbstractContextManager[Session]:
        """Open the journal of this asset and batch; load it into ``llm_calls`` at the end.

        Args:
            context: The asset that asks.
            name: First part of the names of the metadata, so that an asset may ask two models.
        """
        supervision = self.supervision
        return open_session(
            context, self.settings(), supervision.warehouse, supervision.budget, name
        )

    def session_of(
        self, context: dg.AssetExecutionContext, policy: Policy
    ) -> AbstractContextManager[Session]:
        """Open a session that asks a registered policy; what it does not say is as here.

        Its answers are journaled apart from those of every other policy, and of other weights
        under the same name. It is sampled as this endpoint says or else as the recipe does, never
        as supervision.

        Args:
            context: The asset that asks.
            policy: Whom to ask.
        """
        own, ours = self.own(), self.settings()
        settings = replace(
            ours,
            base_url=policy.base_url or ours.base_url,
            model=policy.model,
            temperature=own.get("temperature"),
            max_tokens=own.get("max_tokens"),
        )
        if policy.api_key_variable or _host(settings) != _host(ours):
            settings = replace(settings, api_key_variable=policy.api_key_variable or "")
        supervision = self.supervision
        return open_session(
            context,
            settings,
            supervision.warehouse,
            supervision.budget,
            model_version=policy.version,
        )


def _host(settings: EndpointSettings) -> str | None:
    return urlsplit(settings.base_url).hostname
