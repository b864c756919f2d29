"""What a run stops with; every message says what was wrong, where, and what to do next."""


class EndpointError(Exception):
    """A model endpoint or its journal cannot be used; the message is for the user."""


class ServerUnreachable(EndpointError):
    """The server gave no usable answer for longer than the run may wait."""


class AccessDenied(EndpointError):
    """The server refused the key (401, 402 or 403)."""


class NotServed(EndpointError):
    """The URL or the model does not exist on the server (404 or 405)."""


class BudgetSpent(EndpointError):
    """The next request might exceed a cap of the run; all that was paid for is journaled."""
