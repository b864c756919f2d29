"""What a run may spend, what it has spent, and what a request may cost at most."""

from dataclasses import dataclass, replace
from threading import Lock

from autoif_assets.endpoint.errors import BudgetSpent

# What a chat template and its system prompt may add to a prompt.
_TEMPLATE_TOKENS = 256
_ROUNDING = 1e-9  # sums of money are not exact


@dataclass(frozen=True)
class Usage:
    """Tokens of one HTTP request, as far as the server reports them."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Prices:
    """Money per million tokens; all zero for a local model.

    Attributes:
        prompt: Price of prompt tokens.
        cached: Price of prompt tokens from the server's prefix cache; None for the same.
        completion: Price of completion tokens.

    Raises:
        ValueError: A price is negative, or cached tokens cost more than others.
    """

    prompt: float = 0.0
    cached: float | None = None
    completion: float = 0.0

    def __post_init__(self) -> None:
        if self.prompt < 0 or self.completion < 0 or (self.cached or 0.0) < 0:
            raise ValueError(f"A price per million tokens is negative: {self}.")
        if self.cached is not None and self.cached > self.prompt:
            raise ValueError(
                f"Cached tokens ({self.cached:g} per million) cost more than other prompt tokens "
                f"({self.prompt:g}); give both prices the other way round."
            )

    def cost(self, usage: Usage) -> float:
        """Return what ``usage`` costs; a count the server did not report costs nothing."""
        cached = usage.cached_tokens or 0
        fresh = max((usage.prompt_tokens or 0) - cached, 0)
        completion = usage.completion_tokens or 0
        price = self.prompt if self.cached is None else self.cached
        return (fresh * self.prompt + cached * price + completion * self.completion) / 1e6

    def spent(self, usage: Usage) -> "Spent":
        """Return what one answered request with ``usage`` has spent."""
        tokens = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
        return Spent(1, tokens, self.cost(usage))


@dataclass(frozen=True)
class Spent:
    """HTTP requests sent, tokens read and written, and money."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.requests + other.requests, self.tokens + other.tokens, self.cost + other.cost
        )

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(
            self.requests - other.requests, self.tokens - other.tokens, self.cost - other.cost
        )


def most_tokens(prompt: str, n: int, max_tokens: int, messages: int = 1) -> Usage:
    """Return the most tokens a request can use: no tokenizer makes more tokens than bytes."""
    read = len(prompt.encode("utf-8", "replace")) + messages * _TEMPLATE_TOKENS
    return Usage(read, 0, n * max_tokens)


def filled(usage: Usage, most: Usage) -> Usage:
    """Take the most a request can use for each count the server does not report."""
    reported = {name: count for name, count in vars(usage).items() if count is not None}
    return replace(most, **reported)


class Budget:
    """Hard caps of one run, shared by all clients of the run, from any thread.

    A request is sent only if the most it can use fits beside what is spent and what is in
    flight, so a cap is not exceeded as far as the server reports what it used. A request that
    failed counts as a request and, since nothing is reported for it, as no tokens.

    Attributes:
        max_requests: Most HTTP requests, repeated ones included; None for no cap.
        max_tokens: Most tokens of prompts and completions; None for no cap.
        max_cost: Most money, at the prices of each client; None for no cap.
        spent: What has been spent so far.
    """

    def __init__(
        self,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        spent: Spent = Spent(),
    ) -> None:
        self.max_requests = max_requests
        self.max_tokens = max_tokens
        self.max_cost = max_cost
        self.spent = spent
        self._reserved = Spent()
        self._lock = Lock()

    @property
    def in_flight(self) -> int:
        """Requests that are reserved for and have not ended."""
        return self._reserved.requests

    def reserve(self, most: Spent) -> bool:
        """Set aside the most a request can spend; False if it does not fit now."""
        with self._lock:
            if self._lacking(self.spent + self._reserved + most) is not None:
                return False
            self._reserved += most
            return True

    def settle(self, most: Spent, actual: Spent) -> None:
        """Give back what was reserved for a request and count what it spent."""
        with self._lock:
            self._reserved -= most
            self.spent += actual

    def stop(self, most: Spent, done: int, total: int) -> BudgetSpent:
        """Return the error of a run whose next request does not fit, with what remains."""
        return BudgetSpent(
            f"The run stops at its {self._lacking(self.spent + most)}. {done} of {total} calls are "
            f"done and journaled, {total - done} are left. Raise the cap and run again: what is "
            "journaled is not asked again."
        )

    def _lacking(self, total: Spent) -> str | None:
        spent = self.spent
        if self.max_requests is not None and total.requests > self.max_requests:
            return f"cap of {self.max_requests} requests: {spent.requests} are spent"
        if self.max_tokens is not None and total.tokens > self.max_tokens:
            return (
                f"cap of {self.max_tokens} tokens: {spent.tokens} are spent, and the next request "
                f"may use {total.tokens - spent.tokens}"
            )
        if self.max_cost is not None and total.cost > self.max_cost * (1 + _ROUNDING):
            return (
                f"cap of {self.max_cost:g} on the cost: {spent.cost:.6g} is spent, and the next "
                f"request may cost {total.cost - spent.cost:.6g}"
            )
        return None
