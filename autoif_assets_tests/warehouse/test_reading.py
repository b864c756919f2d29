from contextlib import nullcontext
from pathlib import Path

from autoif_assets.warehouse.reading import spool


def test_an_abandoned_folder_is_removed_and_a_living_one_is_not(tmp_path):
    abandoned = tmp_path / ".stream-old"
    abandoned.mkdir()
    with spool(tmp_path, nullcontext()) as first, spool(tmp_path, nullcontext()) as second:
        assert not abandoned.exists()
        assert first.exists() and second.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_its_process_removes_meanwhile_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [tmp_path / ".stream-gone"])
    with spool(tmp_path, nullcontext()) as folder:
        assert folder.exists()
