"""Datasets of a Hugging Face hub, through the library `datasets` (the extra ``hub``)."""

import re
from typing import TYPE_CHECKING, Any

from autoif_assets.inputs.files import PREFIX, Named, fail

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(rf"({PREFIX}[^:]+)(?::([^:]*))?(?::(.+))?")
_PREFERRED = "train"


def named_dataset(part: str) -> Named:
    """Read ``hf://org/name[:split][:column]``.

    Raises:
        InputError: It is not of that form.
    """
    found = _NAME.fullmatch(part)
    if found is None:
        fail(part, "expected hf://org/name[:split][:column]")
    source, split, column = found.groups()
    # The records of each split are counted from 1: it is part of where they come from.
    return Named(f"{source}:{split}" if split else source, column, split or None)


def load_table(file: Named) -> "pa.Table":
    """Return a split of a dataset; without a name ``train``, or the only one there is.

    The library keeps what it downloads in its own cache.

    Raises:
        InputError: The library is not there, or the dataset or the split cannot be had.
    """
    try:
        import datasets
    except ImportError:
        fail(file.source, 'needs the library datasets: pip install "autoif-assets[hub]"')
    name = file.source.removeprefix(PREFIX).partition(":")[0]
    try:
        loaded: Any = datasets.load_dataset(name, split=file.split)
    # The hub, the network and the files of the dataset raise errors of many libraries.
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        fail(file.source, f"cannot be loaded: {first}")
    if isinstance(loaded, dict):
        if _PREFERRED not in loaded and len(loaded) > 1:
            fail(file.source, f"name a split ({file.source}:split); it has: {', '.join(loaded)}")
        loaded = loaded.get(_PREFERRED) or next(iter(loaded.values()))
    return loaded.with_format("arrow")[:]
