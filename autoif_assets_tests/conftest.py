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


# Run side by side, none of these may be left for the end, where it would be alone.
_LONGEST = (
    *("test_backfill", "test_browser", "test_repair", "test_kill", "test_reruns", "test_attacks"),
    *("test_bad_models", "test_secrets", "test_readme", "test_end_to_end", "test_columns"),
    *("test_journal_commands", "test_budget", "test_likelihoods"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, then the others with slow tests."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def turn(item: pytest.Item) -> tuple[int, bool]:
        name = item.path.stem
        place = _LONGEST.index(name) if name in _LONGEST else len(_LONGEST)
        return place, item.path not in slow

    items.sort(key=turn)
