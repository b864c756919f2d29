"""Environments without settings of whoever runs the tests."""

import os

import pytest

_OURS = ("AUTOIF", "DAGSTER")


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment without settings of ours or Dagster's, and with ``variables``."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_OURS)} | variables


def paper_environment(**variables: str) -> dict[str, str]:
    """The same with the paper's recipe.

    What a test of the machine counts follows from its numbers alone, and a tiny batch would lose
    most of its verifiers to the audits of the default.
    """
    return clean_environment(AUTOIF_RECIPE="paper") | variables


def clear(patch: pytest.MonkeyPatch) -> None:
    """Take settings of ours and Dagster's out of this process's environment."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        patch.delenv(name)
