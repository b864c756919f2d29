"""A minimal OpenAI-compatible server of a transformers checkpoint, for tiny models on a CPU.

``python -m autoif_assets.serving.checkpoint FOLDER --model NAME --port 0``: chat completions with
n, temperature, max_tokens and seed, one request at a time. Serve anything bigger with vLLM.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

_MOST_TOKENS = 64


class Model:
    """A checkpoint that answers prompts."""

    def __init__(self, folder: Path):
        """Load weights and tokenizer."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder).float().eval()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a chat completion request."""
        import torch

        torch.manual_seed(int(body.get("seed") or 0))
        encoded = self._tokenizer.apply_chat_template(
            body["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        length = encoded["input_ids"].shape[1]
        temperature = float(body.get("temperature", 1.0))
        # From the whole distribution: transformers would keep the 50 likeliest tokens by itself.
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0}
            if temperature > 0
            else {"do_sample": False}
        )
        most = int(body.get("max_tokens") or body.get("max_completion_tokens") or _MOST_TOKENS)
        with torch.inference_mode():
            made = self._model.generate(
                **encoded,
                **sampling,
                num_return_sequences=int(body.get("n") or 1),
                max_new_tokens=most,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        choices, tokens = [], 0
        end = self._tokenizer.eos_token_id
        for number, sequence in enumerate(made[:, length:].tolist()):
            # A sequence that ended early is padded to the length of the longest.
            ended = end in sequence
            kept = sequence[: sequence.index(end)] if ended else sequence
            tokens += len(kept) + ended
            text = self._tokenizer.decode(kept, skip_special_tokens=True)
            choices.append(
                {
                    "index": number,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop" if ended else "length",
                }
            )
        usage = {
            "prompt_tokens": length,
            "completion_tokens": tokens,
            "total_tokens": length + tokens,
        }
        return {
            "id": f"chatcmpl-{time.time_ns()}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": choices,
            "usage": usage,
        }


async def serve(folder: Path, name: str, host: str, port: int) -> None:
    """Serve until cancelled; prints one line with the URL when it is ready."""
    from aiohttp import web

    model, turn = Model(folder), asyncio.Lock()

    async def complete(request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("model") != name:
            error = {"message": f"The model `{body.get('model')}` does not exist.", "code": 404}
            return web.json_response({"error": error}, status=404)
        async with turn:
            return web.json_response(await asyncio.to_thread(model.answer, body))

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    print(f"serving {name}: http://{host}:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(serve(given.folder, given.model, given.host, given.port))


if __name__ == "__main__":
    main()
