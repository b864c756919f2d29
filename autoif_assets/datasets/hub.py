"""Exported datasets on a Hugging Face hub: pushed, tagged by recipe, and pulled back.

The library `huggingface_hub` (the extra ``hub``) finds the token, in its own login or the
environment, and the hub's address (HF_ENDPOINT). Nothing of either is written anywhere here.
"""

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import yaml

from autoif_assets.datasets.atomic import replaced_folder
from autoif_assets.datasets.export import CARD, INFO
from autoif_assets.datasets.formats import SPLITS
from autoif_assets.datasets.kinds import KTO, PREFERENCE, REWARD, SFT

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_KINDS = (SFT, PREFERENCE, KTO, REWARD)
# All that an export of any kind may write.
_OURS = frozenset(
    {
        *(CARD, INFO),
        *(format.path(side) for kind in _KINDS for format in kind.formats for side in SPLITS),
        *(path for kind in _KINDS for path in kind.extras),
    }
)
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")
_LISTED = re.compile(r"^\| `([^`]+)` \| .* \| `([0-9a-f]{64})` \|$", re.MULTILINE)
_DATASET = "dataset"


class HubError(ValueError):
    """A dataset cannot be pushed or pulled; the message says why and what to do."""


@dataclass(frozen=True)
class Pushed:
    """What is on the hub now.

    Attributes:
        url: Where people see it.
        commit: The commit that holds it.
        tag: The tag that names this commit for good; null: the recipe is not known.
    """

    url: str
    commit: str
    tag: str | None


def push_dataset(folder: Path, repo: str, *, private: bool = False) -> Pushed:
    """Put an exported dataset on the hub; what an earlier export had there goes.

    The commit is tagged ``recipe-<hash>``, or ``recipe-<hash>-2`` and so on where other data of
    the same recipe has that tag already: a tag never moves.

    Args:
        folder: The export.
        repo: ``ORG/NAME``; made if it is not there.
        private: Whether only its owners may see it. A dataset that is public already is refused.

    Raises:
        HubError: There is no token or no such export, it has no rows or is not what its card
            says, or the hub refuses.
    """
    _check_name(repo)
    said = _checked(folder)
    with _hub() as (api, token):
        if token is None:
            raise HubError(
                "There is no token for the hub: log in (`hf auth login`) or set HF_TOKEN to one "
                "that may write."
            )
        api.create_repo(repo, repo_type=_DATASET, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo, repo_type=_DATASET).private:
            raise HubError(
                f"{repo} exists and is public: make it private on the hub, or push to another name."
            )
        done = api.upload_folder(
            repo_id=repo,
            repo_type=_DATASET,
            folder_path=folder,
            allow_patterns=sorted(_OURS),
            delete_patterns=sorted(_OURS),
            commit_message=f"Export of {said['pretty_name']}",
        )
        recipe = said.get("autoif_recipe")
        tag = None if recipe is None else _tag(api, repo, done.oid, f"recipe-{recipe}")
        return Pushed(f"{api.endpoint}/datasets/{repo}", done.oid, tag)


def pull_dataset(repo: str, folder: Path, revision: str | None = None) -> dict[str, int]:
    """Read a dataset that was pushed back into a folder, which is replaced as a whole.

    Args:
        repo: ``ORG/NAME``.
        folder: Holds nothing but an earlier export or pull.
        revision: A tag, branch or commit; null: the newest.

    Returns:
        Rows of each split.

    Raises:
        HubError: There is no such dataset or revision, it is none of AutoIF or not what its card
            says, or the folder cannot be replaced.
    """
    _check_name(repo)
    with tempfile.TemporaryDirectory(prefix="autoif-pull-") as place:
        with _hub() as (api, _):
            api.snapshot_download(
                repo,
                repo_type=_DATASET,
                revision=revision,
                allow_patterns=sorted(_OURS),
                local_dir=place,
            )
        if "autoif" not in (_front_matter(Path(place)).get("tags") or []):
            raise HubError(f"{repo} holds no dataset that `autoif push` made.")
        said = _checked(Path(place), empty=True)
        try:
            with replaced_folder(folder, _OURS.__contains__) as new:
                for name in sorted(_OURS):
                    if (found := Path(place) / name).is_file():
                        (new / name).parent.mkdir(parents=True, exist_ok=True)
                        (new / name).write_bytes(found.read_bytes())
        except (OSError, ValueError) as error:
            raise HubError(f"{repo} cannot be put into {folder}: {error}") from None
    return _rows(folder, said)


def _check_name(repo: str) -> None:
    if _NAME.fullmatch(repo) is None:
        raise HubError(f"{repo!r} is no name of a dataset: write ORG/NAME, such as me/my-data.")


@contextmanager
def _hub() -> Iterator[tuple["HfApi", str | None]]:
    """Give the hub's client and the token; what goes wrong with it is told in a sentence."""
    try:
        from huggingface_hub import HfApi, errors, get_token
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        raise HubError(
            'This needs the library huggingface_hub: pip install "autoif-assets[hub]"'
        ) from None
    disable_progress_bars()
    # That nothing has changed is seen by the commit, which is the same.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    token = get_token()
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
    try:
        yield api, token
    except HubError:
        raise
    except errors.RevisionNotFoundError:
        raise HubError(
            f"The hub at {api.endpoint} has no such revision; leave it out for the newest."
        ) from None
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"The hub at {api.endpoint} has no such dataset, or does not show it without a token "
            "that may see it: check the name, and log in for a private one."
        ) from None
    except errors.HfHubHTTPError as error:
        said = ValueError(error.server_message or str(error))
        raise HubError(
            f"The hub at {api.endpoint} refused this with {error.response.status_code}: "
            f"{_told(said, token)}"
        ) from None
    # The network, the disk and the library's own checks raise errors of many kinds.
    except Exception as error:
        raise HubError(
            f"The hub at {api.endpoint} could not be asked: {_told(error, token)}"
        ) from None


def _told(error: Exception, token: str | None) -> str:
    """Return what an error says in one line, without the token."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(filter(None, lines))[:300] or type(error).__name__
    return text.replace(token, "***") if token else text


def _tag(api: "HfApi", repo: str, commit: str, name: str) -> str:
    """Tag a commit, unless it has such a tag; return the tag."""
    tags = api.list_repo_refs(repo, repo_type=_DATASET).tags
    taken = {tag.name: tag.target_commit for tag in tags}
    wanted, number = name, 1
    while taken.get(wanted, commit) != commit:
        number += 1
        wanted = f"{name}-{number}"
    if wanted not in taken:
        api.create_tag(repo, tag=wanted, revision=commit, repo_type=_DATASET)
    return wanted


def _front_matter(folder: Path) -> dict[str, Any]:
    """Return what the top of a card says; nothing where there is none."""
    try:
        text = (folder / CARD).read_text("utf-8")
        said = yaml.safe_load(text.split("---\n", 2)[1])
    except (OSError, UnicodeDecodeError, IndexError, yaml.YAMLError):
        return {}
    return said if isinstance(said, dict) else {}


def _checked(folder: Path, *, empty: bool = False) -> dict[str, Any]:
    """Return what the top of an export's card says, after looking at the files it lists.

    Raises:
        HubError: It is no export, has no rows, or its files are not what the card says.
    """
    said = _front_matter(folder)
    if "autoif" not in (said.get("tags") or []):
        raise HubError(f"{folder} holds no export: run a batch, which exports at its end.")
    for name, digest in _LISTED.findall((folder / CARD).read_text("utf-8")):
        path = folder / name
        if not path.is_file():
            raise HubError(f"{path} is missing, which the card lists; export again.")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise HubError(f"{path} is not the file that the card lists; export again.")
    if not empty and not any(_rows(folder, said).values()):
        raise HubError(f"{folder} has no rows, so that there is nothing to push.")
    return said


def _rows(folder: Path, said: dict[str, Any]) -> dict[str, int]:
    """Count the rows of the files that the hub loads, by split."""
    try:
        (config,) = said["configs"]
        files = {file["split"]: folder / file["path"] for file in config["data_files"]}
        return {split: pq.read_metadata(path).num_rows for split, path in files.items()}
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise HubError(f"The card in {folder} names no files that can be read ({error}).") from None
