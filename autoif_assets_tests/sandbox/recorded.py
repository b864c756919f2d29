"""Verifiers and texts recorded by AutoIF's authors, read from ../shared/data/autoif."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def recorded_units(folder: Path) -> list[tuple[str, list[str]]]:
    """Every verifier with every text recorded beside it (responses and test cases)."""
    units = []
    for name in ("query_rft.jsonl", "dpo_query_w_funcs.jsonl", "back_trans.jsonl"):
        for row in _rows(folder / name):
            texts = [*row.get("gpt-answer", []), *(case[0] for case in row.get("cases", []))]
            texts = [text for text in texts if isinstance(text, str)]
            units += [(source, texts) for source, *_ in row["eval_func"]]
    for row in _rows(folder / "eval_func_rft.jsonl"):
        found = [_generated(answer) for answer in row["gpt-answer"]]
        texts = [text for _, cases in found for text in cases]
        units += [(source, texts) for source, _ in found if source]
    return units


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _generated(answer: str) -> tuple[str, list[str]]:
    """Function and case inputs of one completion; empty where it is not JSON."""
    match = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        value = json.loads(match.group(0)) if match else {}
        cases = [case["input"] for case in value.get("cases", [])]
        return value.get("func", ""), [text for text in cases if isinstance(text, str)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", []
