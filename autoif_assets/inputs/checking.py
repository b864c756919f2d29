"""Whether what a person brings can be used, before anything is made of it."""

from autoif_assets.inputs.files import InputError
from autoif_assets.inputs.labelled import read_labelled
from autoif_assets.inputs.seeds import (
    StaticCheck,
    find_named,
    read_seed_instructions,
    read_seed_queries,
)

_WHOLE_BYTES = 4_000_000
_HEAD = 1000


def check_inputs(
    seeds: str | None,
    queries: str | None,
    column: str | None,
    min_chars: int,
    max_chars: int,
    *,
    keep: bool = False,
    labelled: str | None = None,
    static_check: StaticCheck = lambda source: None,
) -> None:
    """See that there are seeds and queries to use, without reading a large file as a whole.

    Of queries beyond some megabytes, which take a run seconds each, the heads of the files are
    read: what is wrong further on is found by the run before it asks anything.

    Args:
        seeds: As for `read_seed_instructions`.
        queries: As for `read_seed_queries`.
        column: As for `read_seed_queries`.
        min_chars: As for `read_seed_queries`.
        max_chars: As for `read_seed_queries`.
        keep: As for `read_seed_queries`.
        labelled: As for `read_labelled`.
        static_check: As for `read_seed_instructions`.

    Raises:
        InputError: A file cannot be used, or nothing of its kind is left; of seeds, queries and
            labels each on a line, for people mend all before they try again.
    """
    problems = []
    for check in (
        lambda: read_seed_instructions(seeds, static_check),
        lambda: _check_queries(queries, column, min_chars, max_chars, keep),
        lambda: read_labelled(labelled),
    ):
        try:
            check()
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def _check_queries(
    queries: str | None, column: str | None, min_chars: int, max_chars: int, keep: bool
) -> None:
    spec = (queries or "").strip()
    files = [file for file in find_named(spec) if not file.is_on_hub] if spec else []
    if sum(file.path.stat().st_size for file in files) > _WHOLE_BYTES:
        try:
            read_seed_queries(spec, column, min_chars, max_chars, _HEAD, keep=keep)
            return
        except InputError:
            # The head alone decides nothing against a file.
            pass
    read_seed_queries(queries, column, min_chars, max_chars, keep=keep)
