"""Several runs against one server."""

import threading

import pytest

from autoif_assets.endpoint import Journal
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.endpoint.asking import ask, client_of


class Enough(Exception):
    pass


@pytest.mark.long
@pytest.mark.parametrize(
    "server",
    [{}, {"metrics": False, "max_queue": 8}],
    ids=["a server that shows its queue", "a server that refuses"],
)
def test_two_runs_share_a_server_though_one_came_first(tmp_path, server):
    """Counted from the time the second one has had to find its share."""
    slots, counted = 24, 500
    seen = {"first": [], "second": []}
    stop = threading.Event()
    simulator = Simulator(SimulatorSettings(slots=slots, latency=0.25, **server))

    def run(name):
        def report(progress):
            seen[name].append(progress)
            if stop.is_set():
                raise Enough

        with Journal(tmp_path, name, "b1", name) as journal:
            client = client_of(
                simulator.base_url, "autoif-simulator", max_concurrency=128, progress_every_s=0.1
            )
            with pytest.raises(Enough):
                client.complete([ask(f"{name} {i}") for i in range(20_000)], journal, report)

    def done():
        return [seen[name][-1].done for name in ("first", "second")]

    def wait_for(served):
        while sum(done()) < served:
            assert all(thread.is_alive() for thread in threads)
            stop.wait(0.1)

    with simulator:
        threads = [threading.Thread(target=run, args=(name,)) for name in seen]
        threads[0].start()
        while not seen["first"] or seen["first"][-1].done < 300:
            stop.wait(0.1)
        threads[1].start()
        while not seen["second"]:
            stop.wait(0.1)
        wait_for(sum(done()) + 1000)
        before = done()
        wait_for(sum(before) + counted)
        first, second = (after - early for after, early in zip(done(), before, strict=True))
        stop.set()
        for thread in threads:
            thread.join()
    print({"first": first, "second": second, "limits": [seen[n][-1].limit for n in seen]})
    assert 1 / 3 < first / (first + second) < 2 / 3
