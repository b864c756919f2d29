"""How a model is asked, with every default filled in."""

import os
from dataclasses import dataclass

from autoif_assets.endpoint import Prices


@dataclass(frozen=True)
class EndpointSettings:
    """How a model is asked; see `models.Endpoint` for what each means."""

    base_url: str = "http://127.0.0.1:8000/v1"
    model: str = ""
    api_key_variable: str = "AUTOIF_API_KEY"
    temperature: float | None = None
    max_tokens: int | None = None
    max_concurrency: int = 512
    timeout_s: float = 600.0
    max_outage_s: int = 600
    price_prompt: float = 0.0
    price_cached: float | None = None
    price_completion: float = 0.0
    refresh: bool = False

    @property
    def api_key(self) -> str:
        """The key itself; empty for servers without keys."""
        return os.environ.get(self.api_key_variable, "")

    @property
    def prices(self) -> Prices:
        """What the tokens cost."""
        return Prices(self.price_prompt, self.price_cached, self.price_completion)
