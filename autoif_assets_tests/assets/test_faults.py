"""A server on which most requests fail: the batch is what it would have been."""

import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.simulator.models import MILD

from .pipeline import differing, exports, run_batch, tables

pytestmark = pytest.mark.slow

KINDS = ("429", "500", "503", "slow", "drop", "half", "garbled")
NUMBERS = {
    "instructions_per_batch": 1,
    "seeds_per_batch": 2,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
}


@pytest.mark.long
def test_30_percent_of_every_fault_leave_no_trace_in_the_tables(tmp_path, monkeypatch):
    # The pauses of a row are shortened; how often it is tried is as ever.
    for pause in ("_WORKING_BACKOFF_S", "_MAX_BACKOFF_S"):
        monkeypatch.setattr(f"autoif_assets.endpoint.availability.{pause}", 0.2)
    whole, faulty = tmp_path / "whole", tmp_path / "faulty"
    with Simulator(SimulatorSettings(**MILD)) as server:
        assert run_batch(whole, server.base_url, overrides=NUMBERS).success
        ideal = server.stats()["by_role"]
    rates = {f"fault_{kind}": 0.3 for kind in KINDS}
    settings = SimulatorSettings(**MILD, latency=0.01, slow_seconds=60, retry_after=0.1, **rates)
    with Simulator(settings) as server:
        result = run_batch(
            faulty,
            server.base_url,
            overrides=NUMBERS,
            resources={"supervision": {"timeout_s": 0.5}},
        )
        failures = [event for event in result.all_events if event.is_step_failure]
        assert result.success, [event.step_failure_data.error_display_string for event in failures]
        stats = server.stats()
    assert set(stats["faults"]) == set(KINDS)
    # Whether the server is back is asked for with words of no role, more often on a slow machine.
    assert {role: stats["by_role"][role]["completions"] for role in ideal} == {
        role: counts["completions"] for role, counts in ideal.items()
    }
    assert stats["served"] < stats["received"] / 3
    assert differing(tables(faulty), tables(whole)) == []
    assert exports(faulty) == exports(whole)
    calls = Warehouse(faulty).read("llm_calls")
    assert calls["error"].is_null().all()
    assert calls["attempts"].mean() > 3
    (event,) = result.asset_materializations_for_node("responses")
    causes = {name for name in event.metadata if name.startswith("model/retries/")}
    assert len(causes) > 1
    assert event.metadata["model/retries"].value == sum(event.metadata[c].value for c in causes)
