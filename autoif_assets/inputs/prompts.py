"""Templates of a person's own in the place of the packaged prompts."""

from difflib import get_close_matches
from pathlib import Path

from autoif_assets.inputs.files import InputError, fail
from autoif_assets.method.prompts import PROMPTS, PromptError

_SUFFIX = ".jinja"


def read_prompts(folder: str) -> dict[str, str]:
    """Read the templates of a folder: Jinja files named as the packaged ones.

    Args:
        folder: Path of a folder; files of other suffixes are none of ours.

    Returns:
        Role → template, of the prompts that are replaced.

    Raises:
        InputError: There is no such folder, a file is named as no prompt, or it is no template
            that can be filled.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        fail(path, "there is no such folder of prompts; `autoif prompts FOLDER` writes one")
    found = {}
    for file in sorted(path.glob(f"*{_SUFFIX}")):
        if file.stem not in PROMPTS:
            near = get_close_matches(file.stem, PROMPTS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"the prompts are {', '.join(PROMPTS)}"
            fail(file, f"there is no prompt {file.stem}; {meant}")
        try:
            text = file.read_text("utf-8")
            PROMPTS[file.stem].of({file.stem: text}).check()
        except UnicodeDecodeError as error:
            fail(file, f"is not UTF-8 text ({error.reason})")
        except OSError as error:
            fail(file, f"cannot be read ({error.strerror})")
        except PromptError as error:
            where = "" if error.line is None else f", line {error.line}"
            raise InputError(f"{file}{where}: {error}.") from None
        found[file.stem] = text.strip()
    return found


def write_prompts(folder: Path) -> list[Path]:
    """Write the packaged templates into a folder, but for those that are there.

    Returns:
        What was written.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for role, prompt in PROMPTS.items():
        file = folder / f"{role}{_SUFFIX}"
        if not file.exists():
            file.write_text(prompt.source + "\n", "utf-8")
            written.append(file)
    return written
