import pytest

from autoif_assets.endpoint import Journal


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path, "responses", "b1", "run1") as opened:
        yield opened
