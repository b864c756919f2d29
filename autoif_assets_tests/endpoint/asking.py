"""What several test files need to ask a server and read the replies."""

from autoif_assets.endpoint import Client, Credentials, EndpointSettings, Journal, Request
from autoif_assets_tests.endpoint.server import completion

CLIENTS = ("features", "first_contact_s", "progress_every_s")
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


def client_of(url, model="tiny", key="", headers=None, budget=None, **changes):
    """A client; what is not its own argument is a setting."""
    own = {name: changes.pop(name) for name in CLIENTS if name in changes}
    settings = EndpointSettings(base_url=url, model=model, **changes)
    return Client(settings, Credentials(key, headers or {}), budget=budget, **own)


def client(server, **changes):
    return client_of(server.url, **({"key": KEY, "progress_every_s": 0.02} | changes))


def again(journal, run_id="run2", **options):
    folder = journal.path.parents[2]
    return Journal(folder, "responses", "b1", run_id, **options)
