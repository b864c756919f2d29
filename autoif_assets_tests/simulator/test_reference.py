"""The page on the model's options is complete and up to date."""

from dataclasses import fields
from pathlib import Path

from autoif_assets.simulator import SimulatorSettings
from autoif_assets.simulator.__main__ import reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"


def test_every_rate_of_the_model_is_on_the_page():
    page = reference()
    for option in fields(SimulatorSettings):
        name = f"`--{option.name.replace('_', '-')}`"
        if option.name.endswith("_rate"):
            assert f"| {name} | {option.default} | {option.metadata['help']} |" in page


def test_the_page_is_up_to_date():
    made = "python -m autoif_assets.simulator > docs/simulator.md"
    assert PAGE.read_text("utf-8") == reference(), f"make it anew: {made}"
