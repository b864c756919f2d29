"""What a run stops with; every message says what was wrong, where, and what to do next."""


class EndpointError(Exception):
    """A model endpoint or its journal cannot be used; the message is for the user."""


class ServerUnreachable(EndpointError):
    """The server gave no usable answer for longer than the run may wait."""


class AccessDenied(EndpointError):
    """The server refused the key (401, 402 or 403)."""


class NotServed(EndpointError):
    """The URL or the model is not on the server (404 or 405), or the server is another (3xx)."""


class NotUsable(EndpointError):
    """An endpoint that the run will need cannot be used."""


class TooManyFailed(EndpointError):
    """Too many calls of a stage failed technically, or too many completions were cut off."""


class BudgetSpent(EndpointError):
    """The next request might exceed a cap of the run; all that was paid for is journaled."""


class Failure(Exception):
    """An HTTP request that brought no completion.

    Attributes:
        cause: Short label for counting: ``connection`` (none could be made), ``dropped`` (it
            ended early), ``timeout``, ``body`` (not a whole completion), ``empty`` (a whole one
            without completions), ``unsupported`` (the server cannot do what was asked of it) or
            such as ``http 503``.
        words: What the server or the network said, free of secrets.
        status: HTTP status, or None where none came.
        retry_after_s: How long the server asks to wait.
        content: What of the row's own content the server objects to, such as its length; None
            where it names nothing of the row.
    """

    def __init__(
        self,
        cause: str,
        words: str,
        status: int | None = None,
        retry_after_s: float = 0.0,
        content: str | None = None,
    ) -> None:
        super().__init__(words)
        self.cause = cause
        self.words = words
        self.status = status
        self.retry_after_s = retry_after_s
        self.content = content

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        if self.cause == "unsupported" or self.status == 501:
            return False
        return self.status is None or self.status in (408, 409, 425, 429) or self.status >= 500

    @property
    def overload(self) -> bool:
        """Whether the server was asked for more than it can take."""
        return self.cause == "timeout" or self.status in (408, 429, 503)

    @property
    def crash(self) -> bool:
        """Whether the server failed by an error of its own, not for want of time or room."""
        return self.status is not None and self.status >= 500 and self.status not in (503, 504)

    @property
    def unmade(self) -> bool:
        """Whether no connection could be made: it tells of the server, not of the request."""
        return self.cause == "connection"

    @property
    def denied(self) -> bool:
        """Whether the server refused the key."""
        return self.status in (401, 402, 403)

    @property
    def redirected(self) -> bool:
        """Whether the server named another address."""
        return self.status is not None and 300 <= self.status < 400

    @property
    def stops_the_run(self) -> bool:
        """Whether every other request would be refused as well."""
        missing = self.status in (404, 405)
        return self.cause == "unsupported" or self.denied or self.redirected or missing
