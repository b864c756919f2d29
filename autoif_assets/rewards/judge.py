"""A model's veto: what verifiers cannot see, such as an answer that follows and says nothing.

Off by default. Hard rewards alone did better than mixed ones even on soft benchmarks
(arXiv 2601.04954), and a judge costs a call for each answer that passes.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

_ASKED = 32  # at a time
_TIMEOUT_S = 60.0
_PROMPT = """\
Below is a user's query and an answer to it. The answer was checked to follow these instructions:
{instructions}

Does it also answer the query in earnest, rather than only satisfy the instructions? \
Reply with one word, yes or no.

# Query
{query}

# Answer
{response}"""


class ModelJudge:
    """Asks a model behind OpenAI's protocol, yes or no.

    Args:
        base_url: Of the server, ending in /v1.
        model: Its name there.
        api_key: What it is to be sent, if anything.
    """

    def __init__(self, base_url: str, model: str, api_key: str = "") -> None:
        self._base_url = base_url
        self._model = model
        self._api_key = api_key

    def __call__(self, asked: Sequence[Mapping[str, Any]]) -> Sequence[bool | None]:
        """Return what the model says of each item; None where it gave no answer."""
        found: list[Sequence[bool | None]] = []

        def run() -> None:
            found.append(asyncio.run(self._all(asked)))

        # The caller's thread may have an event loop of its own.
        thread = threading.Thread(target=run, name="autoif-judge")
        thread.start()
        thread.join()
        return found[0] if found else [None] * len(asked)

    async def _all(self, asked: Sequence[Mapping[str, Any]]) -> Sequence[bool | None]:
        from openai import AsyncOpenAI

        free = asyncio.Semaphore(_ASKED)
        async with AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._api_key or "none",
            timeout=_TIMEOUT_S,
            max_retries=2,
        ) as client:

            async def one(item: Mapping[str, Any]) -> bool | None:
                async with free:
                    return await self._ask(client, item)

            return await asyncio.gather(*map(one, asked))

    async def _ask(self, client: Any, item: Mapping[str, Any]) -> bool | None:
        from openai import OpenAIError

        instructions = "\n".join(f"- {text}" for text in item["instructions"])
        query = item["query"] or "(not known)"
        prompt = _PROMPT.format(instructions=instructions, query=query, response=item["response"])
        try:
            made = await client.chat.completions.create(
                model=self._model,
                messages=[{"role": "user", "content": prompt}],
                max_tokens=8,
                temperature=0,
            )
        except OpenAIError:
            return None
        return said(made.choices[0].message.content if made.choices else None)


def said(answer: str | None) -> bool | None:
    """Read yes or no; None for anything else."""
    words = (answer or "").strip().strip("*\"'.!").lower().split()
    first = words[0].strip("*\"'.,!:;") if words else ""
    return {"yes": True, "no": False}.get(first)
