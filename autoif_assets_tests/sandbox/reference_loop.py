"""A correct loop without any protection, run in a process of its own to compare verdicts with.

Reads a JSON list of [source, inputs] from standard input, writes the outcomes as JSON.
"""

import contextlib
import io
import json
import sys
import warnings


def outcomes(source: str, inputs: list[str]) -> list[str]:
    """One namespace, `is` for verdicts."""
    namespace: dict = {"__name__": "verifier"}
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
