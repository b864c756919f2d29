"""The batches of these tests share what the sandbox found out."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _once(remembering_sandbox: None) -> None:
    """Execute what is asked alike only once."""
