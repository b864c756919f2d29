"""What several test files need to ask a server and read the replies."""

from autoif_assets.endpoint import Client, Journal, Request
from autoif_assets_tests.endpoint.server import completion

KEY = "sk-very-secret-0123456789"


def ask(prompt="hello", n=1, **changes):
    fields = {
        "prompt": prompt,
        "role": "response",
        "n": n,
        "temperature": 1.0,
        "max_tokens": 50,
        "seed": 7,
        "schema": None,
    }
    return Request(**(fields | changes))


def texts(prompt, n, seed=7):
    return tuple(completion(prompt, seed + i) for i in range(n))


def got(reply):
    return tuple(choice.text for choice in reply.choices)


def client(server, **changes):
    return Client(server.url, "tiny", KEY, **({"progress_every_s": 0.02} | changes))


def again(journal, run_id="run2", **options):
    folder = journal.path.parents[2]
    return Journal(folder, "responses", "b1", run_id, **options)
