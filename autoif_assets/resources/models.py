"""Models behind endpoints: one endpoint a role, each as `supervision` where it says nothing."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, Optional, get_origin
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field, PrivateAttr, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, core_schema

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.session import Session, open_session
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.serving import ServingError, running, served_name
from autoif_assets.warehouse import Policy

# How an endpoint is asked that is not to see the credentials of another.
_NO_CREDENTIALS = {"api_key_variable": "", "extra_headers_variable": ""}


def as_config(kind: Any) -> Any:
    """Return one of Dagster's dictionary types as the annotation of a resource's field.

    What Dagster makes of a Python dictionary takes no ``null``, and what it makes of a class of its
    own configuration cannot tell ``null`` from what is left out.
    """
    # To Pydantic, which checks the resource, it is a dictionary.
    kind.__get_pydantic_core_schema__ = lambda *_: core_schema.dict_schema()
    return kind


def optional(field: FieldInfo) -> Any:
    """Return a setting's type and field, once more, as one that may be left out."""
    description = field.description or ""
    if field.default not in (None, "", PydanticUndefined):
        description = f"{description.removesuffix('.')}; {field.default} by default."
    kind: Any = field.annotation
    if get_origin(kind) is dict:
        kind = as_config(dg.Permissive())  # type: ignore[no-untyped-call]
    # The last one is no bound: it is there because some settings have none.
    # `|` is for types alone.
    kind = Optional[kind]  # noqa: UP045
    return Annotated[kind, *field.metadata, None], Field(None, description=description)


# The fields of `EndpointSettings`, each of which may be left out.
_Settings: Any = create_model(
    "_Settings",
    __base__=dg.ConfigurableResource,
    **{name: optional(field) for name, field in EndpointSettings.model_fields.items()},
)


class Endpoint(_Settings):  # type: ignore[misc]
    """A model behind an OpenAI-compatible endpoint; its fields are those of `EndpointSettings`."""

    def own(self) -> dict[str, Any]:
        """Return the settings that are given here, by name."""
        given = {name: getattr(self, name) for name in EndpointSettings.model_fields}
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

    def session(
        self, context: dg.AssetExecutionContext, others: Mapping[str, "RoleEndpoint"] | None = None
    ) -> AbstractContextManager[Session]:
        """Open the journal of this asset and batch; load it into ``llm_calls`` at the end.

        Args:
            context: The asset that asks.
            others: Endpoints by role that the run will need later on: they are checked before
                anything is asked.
        """
        needed = {role: other.settings() for role, other in (others or {}).items() if other.asks}
        return open_session(context, self.settings(), self.warehouse, self.budget, others=needed)


class RoleEndpoint(Endpoint):
    """The model of another role; what is not given is as in `supervision`."""

    supervision: dg.ResourceDependency[Supervision]

    @property
    def asks(self) -> bool:
        """Whether it asks an endpoint at all."""
        return True

    def settings(self) -> EndpointSettings:
        """Return the settings, supervision's where none is given.

        Supervision's key and headers are not shown to another host: such an endpoint has some of
        its own or none.
        """
        own = self.own()
        theirs = self.supervision.settings()
        settings = theirs.model_copy(update=own)
        if _hosts(settings) <= _hosts(theirs):
            return settings
        return settings.model_copy(update={**_NO_CREDENTIALS, **_credentials_of(own)})

    def session(
        self, context: dg.AssetExecutionContext, name: str = "model", also: Sequence[str] = ()
    ) -> AbstractContextManager[Session]:
        """Open the journal of this asset and batch; load it into ``llm_calls`` at the end.

        Args:
            context: The asset that asks.
            name: First part of the names of the metadata, so that an asset may ask two models.
            also: Assets of the batch whose answers are taken where they were asked the same.
        """
        supervision = self.supervision
        return open_session(
            context, self.settings(), supervision.warehouse, supervision.budget, name, also=also
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
        settings = ours.model_copy(
            update={
                "base_url": policy.base_url or ours.base_url,
                "model": policy.model,
                "temperature": own.get("temperature"),
                "max_tokens": own.get("max_tokens"),
            }
        )
        if not _hosts(settings) <= _hosts(ours):
            settings = settings.model_copy(update=_NO_CREDENTIALS)
        if policy.api_key_variable:
            settings = settings.model_copy(update={"api_key_variable": policy.api_key_variable})
        supervision = self.supervision
        return open_session(
            context,
            settings,
            supervision.warehouse,
            supervision.budget,
            model_version=policy.version,
        )


def _hosts(settings: EndpointSettings) -> set[str | None]:
    return {urlsplit(url).hostname for url in settings.urls}


def _credentials_of(own: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in own.items() if name in _NO_CREDENTIALS}
