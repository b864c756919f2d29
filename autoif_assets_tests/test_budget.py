"""Caps of a run: it stops before it spends more, and goes on where it stopped."""

import pytest

from autoif_assets.endpoint import Spent, spent_by_run
from autoif_assets.resources import BudgetResource, budget
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.simulator.models import MILD

from .assets.pipeline import SMALL, differing, exports, run_batch, tables

pytestmark = pytest.mark.usefixtures("remembering_sandbox")

NUMBERS = SMALL | {
    "instructions_per_batch": 4,
    "seeds_per_batch": 6,
    "verifiers_per_instruction": 4,
}
PRICES = {"price_prompt": 1.0, "price_cached": 0.25, "price_completion": 4.0}


def run(data, simulator, **caps):
    return run_batch(
        data,
        simulator.base_url,
        overrides=NUMBERS,
        resources={"budget": caps, "supervision": PRICES},
    )


def spent(data, result):
    return spent_by_run(data / "journals", result.run_id)


def failure_of(result):
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    return failure.step_failure_data.user_failure_data


@pytest.mark.long
def test_each_cap_stops_the_run_and_the_next_run_continues_it(tmp_path):
    whole, capped = tmp_path / "whole", tmp_path / "capped"
    with Simulator(SimulatorSettings(**MILD)) as simulator:
        result = run(whole, simulator)
        assert result.success
        ideal, total = simulator.stats()["completions"], spent(whole, result)
    with Simulator(SimulatorSettings(**MILD)) as simulator:
        before = Spent()
        for cap, part in (("max_cost", 3), ("max_tokens", 3), ("max_requests", 6)):
            unit = cap.removeprefix("max_")
            share = getattr(total, unit) / part
            most = share if unit == "cost" else int(share)
            stopped = run(capped, simulator, **{cap: most})
            assert not stopped.success
            now = spent(capped, stopped)
            assert 0 < getattr(now, unit) <= most
            failure = failure_of(stopped)
            asked = [
                value.value
                for name, value in failure.metadata.items()
                if name.endswith("/requests")
            ]
            assert asked and max(asked) <= now.requests
            assert "cap of" in failure.description
            assert "run again" in failure.description
            before += now
            calls = Warehouse(capped).read("llm_calls")
            assert calls["attempts"].sum() == before.requests
            assert calls["cost"].sum() == pytest.approx(before.cost)

        # Nothing is asked again: what is left fits a cap of just the rest.
        assert run(capped, simulator, max_requests=total.requests - before.requests).success
        assert simulator.stats()["completions"] == ideal
    assert differing(tables(capped), tables(whole)) == []
    assert exports(capped) == exports(whole)


class Run:
    def __init__(self, run_id, parent=None, tags=()):
        self.run_id, self.parent_run_id, self.tags = run_id, parent, dict(tags)


class Context:
    """As much of an asset's context as a budget looks at."""

    def __init__(self, run, *others):
        self.run = run
        self.instance = self
        self._runs = {other.run_id: other for other in others}

    def get_run_by_id(self, run_id):
        return self._runs.get(run_id)


AGAIN = [("dagster/retry_number", "1")]


@pytest.mark.parametrize(
    ("context", "requests"),
    [
        (Context(Run("b")), 2),
        # A run that Dagster started again by itself goes on with the budget of the first one.
        (Context(Run("b", "a", AGAIN), Run("a")), 3),
        (Context(Run("b", "a", AGAIN)), 2),
        # A person who runs it again means to spend more.
        (Context(Run("b", "a"), Run("a")), 2),
    ],
)
def test_the_budget_of_a_run(monkeypatch, tmp_path, context, requests):
    spent = {"a": Spent(1, 10, 0.1), "b": Spent(2, 20, 0.2)}
    monkeypatch.setattr(budget, "spent_by_run", lambda folder, run_id: spent[run_id])
    made = BudgetResource(max_requests=9).of_run(context, tmp_path)
    assert made.spent.requests == requests
    assert (made.max_requests, made.max_tokens, made.max_cost) == (9, None, None)
