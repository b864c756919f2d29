"""Verdicts equal a correct single-namespace loop on everything the authors recorded."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from autoif_assets.sandbox import Sandbox, Unit
from autoif_assets_tests.sandbox.recorded import recorded_units

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")


@pytest.mark.parametrize("share", [False, True], ids=["strict", "share"])
def test_equal_on_every_recorded_pair(shared_data, share):
    recorded = recorded_units(shared_data / "autoif")
    pairs = sum(len(texts) for _, texts in recorded)
    assert pairs > 900
    loop = Path(__file__).with_name("reference_loop.py")
    done = subprocess.run(
        [sys.executable, str(loop)], input=json.dumps(recorded), capture_output=True, text=True
    )
    expected = json.loads(done.stdout)
    units = (Unit(str(n), source, texts, "g") for n, (source, texts) in enumerate(recorded))
    with Sandbox(workers=2, share=share) as sandbox:
        results = list(sandbox.evaluate(units))
    found = [[str(outcome) for outcome in result.outcomes] for result in results]
    assert found == expected
    assert [result.id for result in results if result.reason] == []
    counts = Counter(outcome for outcomes in found for outcome in outcomes)
    assert counts["pass"] > 200
    assert counts["fail"] > 200
