"""Log-probabilities: of given texts, whose truth is known, and of what is answered.

Given texts have tokens of four characters. A text alone has log-probabilities that derive from its
tokens. Given a prompt, each of them is multiplied by one factor of prompt and text: the IFD of the
text, exactly. Of an answer only yes and no might have been another word.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.simulator.requests import ChatRequest, token_count

_WIDTH = 4
_OTHER = {"yes": "no", "no": "yes"}
_SURE = -0.001  # of a token that nothing else might stand for


def ifd(prompt: str, text: str) -> float:
    """Return the factor that a prompt puts on the log-probabilities of a text: 0.2 to 1.2."""
    return 0.2 + derived_seed("ifd", prompt, text) / 2**31


def logprobs(text: str) -> list[tuple[int, float]]:
    """Return id and log-probability of each token of a text that stands alone."""
    pieces = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return [
        (derived_seed("token", piece) % 100_000, -0.1 - 4 * derived_seed("logprob", piece) / 2**31)
        for piece in pieces
    ]


def prompt_logprobs(request: ChatRequest) -> dict[str, Any]:
    """Return the body of the answer to a request for ``prompt_logprobs``, as vLLM shapes it."""
    text = request.scored or ""
    before = logprobs(f"<|user|>{request.read}<|assistant|>") if request.prompt else []
    factor = ifd(request.read, text) if request.prompt else 1.0
    # The text's tokens are the same with and without a prompt, so that means can be compared.
    tokens = [*before, *((token, factor * value) for token, value in logprobs(text))]
    entries: list[Mapping[str, Any] | None] = [
        {str(token): {"logprob": value, "rank": 1, "decoded_token": ""}} for token, value in tokens
    ]
    entries[:1] = [None]  # nothing comes before the first
    written: dict[str, Any] = {"index": 0, "finish_reason": "length"}
    body: dict[str, Any] = {
        "id": "cmpl-" + content_id("reading", request.read, text),
        "created": 1_700_000_000,
        "model": request.model,
        "choices": [written],
        "usage": {
            "prompt_tokens": len(tokens),
            "completion_tokens": 1,
            "total_tokens": len(tokens) + 1,
        },
    }
    if request.prompt:
        written["message"] = {"role": "assistant", "content": "."}
        return body | {"object": "chat.completion", "prompt_logprobs": entries}
    written |= {"text": ".", "prompt_logprobs": entries}
    return body | {"object": "text_completion"}


def likelihood_truth(prompt: str, response: str) -> dict[str, Any]:
    """Return ``ifd`` and the mean log-probabilities, without the first token as vLLM tells them."""
    values = [value for _, value in logprobs(response)][1:]
    alone = sum(values) / len(values) if values else None
    factor = ifd(prompt, response)
    given = None if alone is None else factor * alone
    return {
        "ifd": factor,
        "tokens": token_count(response) - 1,
        "mean_logprob": given,
        "mean_logprob_alone": alone,
    }


def told_logprobs(text: str, top: int, certainty: float | None) -> dict[str, Any]:
    """Return the log-probabilities of an answer in OpenAI's shape; its words are its tokens.

    Args:
        text: The answer.
        top: Tokens to tell at each place.
        certainty: Probability of the word where the answer says yes or no.
    """
    content = []
    for token in re.findall(r"\w+|\W", text):
        every = {token: _SURE}
        if certainty is not None and token in _OTHER:
            every = {token: math.log(certainty), _OTHER[token]: math.log1p(-certainty)}
        ranked = sorted(every.items(), key=lambda one: -one[1])
        content.append(
            {
                "token": token,
                "logprob": every[token],
                "bytes": list(token.encode()),
                "top_logprobs": [
                    {"token": word, "logprob": value, "bytes": list(word.encode())}
                    for word, value in ranked[:top]
                ],
            }
        )
    return {"content": content}
