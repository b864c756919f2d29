"""One batch that most tests of the assets look at or go on from."""

import shutil
from dataclasses import replace

import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings

from .pipeline import Batch, run_batch

KEY = "sk-of-the-test"

# More goes wrong than by default, so that each gate has something to reject in a small batch.
FLAWED = SimulatorSettings(
    api_key=KEY, wrong_verifier_rate=0.15, wrong_case_rate=0.2, misread_rate=0.15
)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The batch ``b1``; nobody may change its folder."""
    data = tmp_path_factory.mktemp("made") / "data"
    with pytest.MonkeyPatch.context() as patch, Simulator(FLAWED) as simulator:
        patch.setenv("AUTOIF_API_KEY", KEY)
        result = run_batch(data, simulator.base_url)
        assert result.success
        yield Batch(data, simulator, result, simulator.stats()["received"])


@pytest.fixture
def copied(made, tmp_path):
    """The batch ``b1`` in a folder that a test may change."""
    shutil.copytree(made.data, tmp_path / "data")
    return replace(made, data=tmp_path / "data")
