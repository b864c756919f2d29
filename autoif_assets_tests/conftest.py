"""Fixtures every test may use."""

from pathlib import Path

import pytest
from hypothesis import settings

# No test is about how long it takes: the machine may be busy.
settings.register_profile("autoif", deadline=None)
settings.load_profile("autoif")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder with recorded model output and real queries; skips where it is absent."""
    if not _SHARED.is_dir():
        pytest.skip("the recorded data folder ../shared/data is not beside this checkout")
    return _SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: run side by side, none is left for the end alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
