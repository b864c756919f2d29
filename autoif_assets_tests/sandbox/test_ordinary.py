"""Ordinary verifiers run inside as they do outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autoif_assets.sandbox import Sandbox, Unit, static_check
from autoif_assets_tests.sandbox.ordinary import SOURCES, TEXTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")


def test_the_corpus_is_large_and_says_something():
    assert len(SOURCES) == len(set(SOURCES)) >= 150
    refused = [static_check(source) for source in SOURCES]
    assert sum(reason is None for reason in refused) == len(SOURCES) - 3
    assert {reason for reason in refused if reason} == {
        f"forbidden_import:{name}_is_not_here" for name in ("asyncio", "numpy", "graphlib")
    }


@pytest.mark.slow
@pytest.mark.parametrize("share", [False, True], ids=["strict", "share"])
def test_inside_is_as_outside(share):
    loop = Path(__file__).with_name("reference_loop.py")
    done = subprocess.run(
        [sys.executable, str(loop)],
        input=json.dumps([(source, TEXTS) for source in SOURCES]),
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC"},
    )
    expected = json.loads(done.stdout)
    units = [Unit(source, source, TEXTS, "g") for source in SOURCES]
    with Sandbox(workers=1, share=share) as sandbox:
        results = list(sandbox.evaluate(units))
    different = [
        (result.id, outcomes, result.outcomes, result.details)
        for result, outcomes in zip(results, expected, strict=True)
        if [str(outcome) for outcome in result.outcomes] != outcomes or result.reason
    ]
    assert different == []
    assert sum(len(set(outcomes)) > 1 for outcomes in expected) > 100
