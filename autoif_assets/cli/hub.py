"""`autoif push` and `pull`: exported datasets on a Hugging Face hub."""

from pathlib import Path

import click

from autoif_assets.cli.home import data_dir, open_warehouse
from autoif_assets.cli.output import say


@click.command()
@click.argument("repo", metavar="ORG/NAME")
@click.option(
    "--dataset",
    default="sft",
    metavar="NAME",
    help="Which export: sft, preference, kto, reward or online/POLICY.",
)
@click.option("--private", is_flag=True, help="Only its owners may see it.")
def push(repo: str, dataset: str, private: bool) -> None:
    """Put an exported dataset on the Hugging Face hub, tagged by its recipe.

    The token is that of `hf auth login` or HF_TOKEN; HF_ENDPOINT names another hub.
    """
    from autoif_assets.datasets import HubError, push_dataset
    from autoif_assets.resources.storage import exported

    folder = _exported(dataset)
    if not dataset.startswith("hub/"):
        exported(open_warehouse(), folder.relative_to(data_dir() / "exports").as_posix())
    if not folder.is_dir():
        exports = data_dir() / "exports"
        there = sorted(one.parent.name for one in exports.glob("*/README.md"))
        told = f"there are {', '.join(there)}" if there else "run a batch, which exports at its end"
        raise HubError(f"No dataset {dataset!r} is in {exports}; {told}.")
    done = push_dataset(folder, repo, private=private)
    say(f"{done.url}: commit {done.commit[:12]}" + (f", tag {done.tag}" if done.tag else ""))
    say(f"Read it back with: autoif pull {repo}" + (f" --revision {done.tag}" if done.tag else ""))


@click.command()
@click.argument("repo", metavar="ORG/NAME")
@click.option("--revision", metavar="TAG", help="A tag, branch or commit; the newest if left out.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder, which is replaced. [default: exports/hub in the data folder]",
)
def pull(repo: str, revision: str | None, out: Path | None) -> None:
    """Read a dataset that was pushed back into a folder.

    `autoif.dataset("hub/ORG/NAME")` gives its rows.
    """
    from autoif_assets.datasets import pull_dataset

    folder = out or _exported(f"hub/{repo}")
    rows = pull_dataset(repo, folder, revision)
    for split, count in rows.items():
        say(f"{count:>9,} {split}")
    say(str(folder))


def _exported(name: str) -> Path:
    """Return the folder of an export; a policy's is named without a slash."""
    head, _, rest = name.partition("/")
    folder = data_dir() / "exports" / head
    return folder / rest.replace("/", "%2F") if rest else folder
