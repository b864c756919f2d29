"""The batches of these tests share what the sandbox found out."""

from collections.abc import Iterator

import pytest

from .remembering import remembering


@pytest.fixture(scope="module", autouse=True)
def remembering_sandbox() -> Iterator[None]:
    """Execute what is asked alike only once."""
    with remembering():
        yield
