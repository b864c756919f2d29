"""A correct loop without any protection, run in a process of its own to compare verdicts with.

Reads a JSON list of [source, inputs] from standard input, writes the outcomes as JSON.
"""

import contextlib
import io
import json
import sys
import types
import warnings


def outcomes(source: str, inputs: list[str]) -> list[str]:
    """One namespace, that of a module as an import would make it, and `is` for verdicts."""
    sys.modules["verifier"] = types.ModuleType("verifier")
    namespace = vars(sys.modules["verifier"])
    try:
        exec(source, namespace)
        evaluate = namespace["evaluate"]
    except BaseException:
        return ["load_error"] * len(inputs)
    found = []
    for text in inputs:
        try:
            answer = evaluate(text)
        except BaseException:
            found.append("error")
            continue
        found.append("pass" if answer is True else "fail" if answer is False else "not_bool")
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    units = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()):
        results = [outcomes(source, inputs) for source, inputs in units]
    print(json.dumps(results))
