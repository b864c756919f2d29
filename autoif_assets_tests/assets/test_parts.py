"""Stages that work part by part make what they make in one go."""

import pytest

from autoif_assets.warehouse import Warehouse

from .pipeline import differing, exports, run_batch, tables

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_small_parts_make_the_same_batch(copied, monkeypatch):
    before, files = tables(copied.data, cost=True), exports(copied.data)
    read_parts, counts = Warehouse.read_parts, []

    def small(warehouse, *wanted, on, rows=0):
        parts = list(read_parts(warehouse, *wanted, on=on, rows=3))
        counts.append(len(parts))
        return iter(parts)

    monkeypatch.setattr(Warehouse, "read_parts", small)
    asked = copied.requested()
    result = run_batch(copied.data, copied.simulator.base_url)
    assert result.success
    assert copied.requested() == asked
    assert differing(before, tables(copied.data, cost=True)) == []
    assert exports(copied.data) == files
    assert len(counts) == 15
    assert min(counts) > 1
    (event,) = result.asset_materializations_for_node("responses")
    prompts = before["augmented_queries"].height
    assert event.metadata["model/total"].value == event.metadata["model/reused"].value == prompts
    (event,) = result.asset_materializations_for_node("response_verdicts")
    assert event.metadata["sandbox/verdicts_per_s"].value > 0
    assert (
        event.metadata["sandbox/outcomes/pass"].value == before["response_verdicts"]["passed"].sum()
    )
