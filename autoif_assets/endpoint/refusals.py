"""Refusals that no row can escape: the key, the model or the URL is wrong."""

from autoif_assets.endpoint.errors import AccessDenied, EndpointError, NotServed
from autoif_assets.endpoint.wire import Failure, Wire

_DENIED = (401, 402, 403)
_MISSING = (404, 405)


def stops_the_run(failure: Failure) -> bool:
    """Whether every other request would be refused as well."""
    return failure.cause == "unsupported" or failure.status in (*_DENIED, *_MISSING)


async def explain(failure: Failure, wire: Wire, url: str, model: str) -> EndpointError:
    """Return the error for the user, with the URL, the model and what is served there."""
    if failure.cause == "unsupported":
        return NotServed(
            f"{url} does not tell the log-probabilities of given texts ({failure.words}). IFD and "
            "the ranking by likelihood need a server with prompt_logprobs, such as vLLM; else set "
            "likelihood_of to none."
        )
    try:
        served = "It serves: " + ", ".join(await wire.models()) + "."
    except Failure as other:
        served = f"Asked for its models it says: {other.words}."
    if failure.status in _DENIED:
        return AccessDenied(
            f"{url} refused the request for model {model!r} ({failure.words}). {served} "
            "Check the key in AUTOIF_API_KEY and that it may use this model."
        )
    return NotServed(
        f"{url} has no chat completions for model {model!r} ({failure.words}). {served} "
        "Set AUTOIF_MODEL to a served name; the URL usually ends in /v1 (AUTOIF_BASE_URL)."
    )
