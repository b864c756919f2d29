"""Exports of verifiers that the tests of this folder score by."""

import json

CAPITALS = "capitals"
EXCLAIMS = "exclaims"
REPEATS = "repeats"
SLOW = "slow"
CRASHES = "crashes"
SPLIT = "split"

UPPER = "def evaluate(response):\n    return response.isupper()"
SOURCES = {
    CAPITALS: [
        UPPER,
        "def evaluate(response):\n    return response == response.upper()",
        "import re\ndef evaluate(response):\n    return not re.search('[a-z]', response)",
        # Not among the best three: it says the opposite.
        "def evaluate(response):\n    return not response.isupper()",
    ],
    EXCLAIMS: [
        "def evaluate(response):\n    return response.endswith('!')",
        "def evaluate(response):\n    return response.strip()[-1] == '!'",
    ],
    REPEATS: ["def evaluate(response, query):\n    return query in response"],
    SLOW: [
        "def evaluate(response):\n    while 'loop' in response:\n        pass\n    return True",
    ],
    CRASHES: [
        "def evaluate(response):\n    raise ValueError(response)",
        "def evaluate(response):\n    return 1",
        "def evaluate(response):\n    return True",
    ],
    SPLIT: [
        "def evaluate(response):\n    return True",
        "def evaluate(response):\n    return False",
    ],
}


def line(id, sources, **more):
    """A line of verifiers.jsonl."""
    return {
        "instruction_id": id,
        "instruction": f"Follow {id}.",
        "category": "test",
        "verifiers": [
            {"verifier_id": f"{id}-{number}", "source": source, "audit": {}}
            for number, source in enumerate(sources)
        ],
        "cases": [{"input": "A", "expected": True}],
        "limits": {"memory_mb": 512},
        **more,
    }


def write_verifiers(folder, sources=SOURCES, **more):
    """Write an export's verifiers without a card; returns the file."""
    path = folder / "verifiers.jsonl"
    lines = [line(id, some, **more) for id, some in sources.items()]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
    return path


def item(response, *ids, **more):
    """One item to be scored."""
    return {"instruction_ids": list(ids or (CAPITALS,)), "response": response, **more}
