"""Makes the recorded batch: what a real model answered to all that two recipes ask of it.

    autoif local-model serve --slots 8 --port 8081
    python -m autoif_assets_tests.recorded.make http://127.0.0.1:8081/v1 FOLDER

With the local model that takes an hour on two cores that do nothing else. Where it is interrupted,
the same command goes on. At its end it packs the journals, and the prompts that were asked by, as
``ARCHIVE``: `test_audited_recording` replays them, whatever the packaged prompts have become.
"""

import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoif_assets.localmodel import DEFAULT_MODEL, MODELS
from autoif_assets.method.recipe import make_recipe
from autoif_assets.resources import all_prompts
from autoif_assets_tests.dev.daemon import AUTOIF
from autoif_assets_tests.environment import clean_environment

ARCHIVE = Path(__file__).with_name("qwen2.5-coder-1.5b-30-seeds.tar.xz")
BATCH = "real"
RECIPES = ("audited", "paper")
"""One after the other: what the second asks alike is the first's."""
MODEL = Path(MODELS[DEFAULT_MODEL].file).stem
# Small answers and few of them where nothing depends on their number: a CPU writes 16 tokens a
# second.
NUMBERS: Mapping[str, Any] = {
    "instructions_per_batch": 0,
    "seeds_per_batch": 30,
    "verifiers_per_instruction": 6,
    "back_translations_per_instruction": 2,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
    "verifier_max_tokens": 384,
    "repair_max_tokens": 384,
    "boundary_cases_max_tokens": 384,
    "response_max_tokens": 128,
}


def make(base_url: str, folder: Path) -> None:
    """Make the batch by each recipe and pack what is needed to replay it.

    Args:
        base_url: URL of the server of ``MODEL``.
        folder: Of the journals, and a data folder for each recipe; what the journals hold is not
            asked again.
    """
    numbers = [f"--set={name}={value}" for name, value in NUMBERS.items()]
    (folder / "journals").mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        subprocess.run(
            [*AUTOIF, "run", "--batch", BATCH, "--recipe", recipe, *numbers],
            env=clean_environment(
                AUTOIF_DATA=str(data_folder(folder, recipe)),
                AUTOIF_BASE_URL=base_url,
                AUTOIF_MODEL=MODEL,
                # A request of eight texts takes all slots; more than a second one would only wait.
                AUTOIF_MAX_CONCURRENCY="2",
                # Answers are kept short: some are cut off, and that is meant to be.
                AUTOIF_MAX_FAILED_SHARE="0.5",
            ),
            check=True,
        )
    prompts = folder / "prompts"
    prompts.mkdir(exist_ok=True)
    for role, template in all_prompts(make_recipe()).items():
        (prompts / f"{role}.jinja").write_text(template, "utf-8")
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as packed:
        for name in ("journals", "prompts"):
            packed.add(folder / name, name, filter=_nobodys)


def data_folder(folder: Path, recipe: str) -> Path:
    """Make the data folder of a recipe, which shares the journals with the others."""
    data = folder / recipe
    data.mkdir(exist_ok=True)
    if not (data / "journals").exists():
        (data / "journals").symlink_to(folder.resolve() / "journals")
    return data


def _nobodys(item: tarfile.TarInfo) -> tarfile.TarInfo:
    item.uid = item.gid = 0
    item.uname = item.gname = ""
    return item


if __name__ == "__main__":
    url, where = sys.argv[1:]
    make(url, Path(where))
