"""New instructions get a category, and are asked for where categories are scarce."""

import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.simulator.families import family_of
from autoif_assets.simulator.instructions import read_instruction
from autoif_assets.warehouse import Warehouse, find_batch
from autoif_assets_tests.simulator.models import MILD

from .pipeline import accepted, run_batch

pytestmark = pytest.mark.slow
NUMBERS = {"instructions_per_batch": 30, "coverage": "even", "categorise": True}


def test_a_batch_asks_for_scarce_categories_and_gives_each_instruction_one(tmp_path):
    with Simulator(SimulatorSettings(**MILD)) as simulator:

        def make(batch, **numbers):
            made = run_batch(
                tmp_path,
                simulator.base_url,
                batch,
                overrides=NUMBERS | numbers,
                others={"b1", "b2"} - {batch},
                upto="augmented_instructions",
            )
            assert made.success
            return made

        make("b1")
        make("b2", coverage="free", categorise=False)
        asked = simulator.stats()["received"]
        # What is scarce is another thing since there is a second batch.
        make("b1")
        assert simulator.stats()["received"] == asked

    warehouse = Warehouse(tmp_path)
    made = accepted(warehouse.read("augmented_instructions")).filter(origin="self_instruct")
    first, second = (made.filter(batch=batch) for batch in ("b1", "b2"))
    assert second["category"].null_count() == second.height > 0
    right = {
        text: "other" if (known := read_instruction(text)) is None else family_of(known).category
        for text in first["instruction"]
    }
    # Refused and garbled answers, and answers that were cut, are no category.
    said = dict(first.drop_nulls("category").select("instruction", "category").iter_rows())
    assert said == {text: right[text] for text in said}
    assert first["category"].null_count() < first.height / 4

    scarce = find_batch(warehouse, "b1").categories
    assert 0 < len(scarce) <= 8
    assert first["category"].is_in(scarce).mean() > 0.4
    assert find_batch(warehouse, "b2").categories is None
