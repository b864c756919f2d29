"""Print the page on its options: ``python -m autoif_assets.simulator > docs/simulator.md``."""

from dataclasses import Field, fields
from typing import Any

from autoif_assets.simulator.settings import SimulatorSettings

_HEAD = """\
# The simulated model

`autoif simulate` serves a stand-in for a supervision model; `autoif simulate --help` names all its
options, those of the server and its faults included. This page is made from their declarations:
`python -m autoif_assets.simulator > docs/simulator.md`.

The defaults stand for an open model of middle size: between two that were measured. The small one
is Qwen2.5-Coder-1.5B-Instruct (Q4_K_M, schema-constrained) with 20 packaged seeds × 6 samples; its
verifiers, cases and responses were held against the trusted checkers of the grammar, verifiers on
36 texts of each instruction, 12 of them next to the line between obeying and breaking it. The large
one is what wrote the recorded output of the AutoIF authors: 3 instructions × 8 samples before
cross-validation, of which the grammar knows none. Options without a source are settings of the
simulation, or guesses.

| option | default | meaning | source of the default |
|---|---|---|---|"""
_FIRST, _LAST = "misread_rate", "truncation_rate"


def reference() -> str:
    """Return Markdown: every option of the model with its default and where that is from."""
    options = list(fields(SimulatorSettings))
    names = [option.name for option in options]
    shown = options[names.index(_FIRST) : names.index(_LAST) + 1]
    return "\n".join([_HEAD, *map(_row, shown)]) + "\n"


def _row(option: "Field[Any]") -> str:
    name = option.name.replace("_", "-")
    meaning, source = option.metadata["help"], option.metadata["source"]
    return f"| `--{name}` | {option.default} | {meaning} | {source} |"


if __name__ == "__main__":
    print(reference(), end="")
