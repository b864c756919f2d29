import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.endpoint import Budget, BudgetSpent, Journal, Prices, Spent, spent_by_run
from autoif_assets.endpoint.budget import Usage, filled, most_tokens
from autoif_assets_tests.endpoint.asking import again, ask, client, client_of, got, texts
from autoif_assets_tests.endpoint.server import Server, answer, faults

# What the test server reports for a request of n completions: 10 prompt tokens, 4 of them cached,
# and 3 a completion.
PRICES = Prices(prompt=1_000_000, cached=500_000, completion=2_000_000)
PRICED = {f"price_{name}": price for name, price in vars(PRICES).items()}


def cost(n):
    return 6 * 1 + 4 * 0.5 + 3 * n * 2


def test_prices_are_per_million_tokens_and_cached_ones_default_to_the_others():
    usage = Usage(10, 4, 3)
    assert PRICES.cost(usage) == cost(1)
    assert Prices(prompt=2e6).cost(usage) == 20
    assert Prices(completion=1e6).cost(usage) == 3
    assert Prices().spent(usage) == Spent(1, 13, 0.0)
    assert PRICES.cost(Usage()) == 0


@pytest.mark.parametrize("prices", [(-1, None, 0), (1, 2, 0), (1, -1, 0), (0, None, -1)])
def test_prices_that_make_no_sense_are_refused(prices):
    with pytest.raises(ValueError, match=r"price|cost"):
        Prices(*prices)


@given(st.text(), st.integers(1, 9), st.integers(1, 99))
def test_a_prompt_has_no_more_tokens_than_bytes(prompt, n, max_tokens):
    most = most_tokens(prompt, n, max_tokens)
    assert most.prompt_tokens > len(prompt.encode("utf-8", "replace"))
    assert most.completion_tokens == n * max_tokens
    # A chat template puts tokens around each message.
    assert most_tokens(prompt, n, max_tokens, messages=2).prompt_tokens > most.prompt_tokens


def test_what_the_server_does_not_report_is_taken_for_the_most_it_can_be():
    most = Usage(100, 0, 50)
    assert filled(Usage(), most) == most
    assert filled(Usage(7, 3, None), most) == Usage(7, 3, 50)


amounts = st.builds(Spent, st.just(1), st.integers(0, 50), st.floats(0, 5))


@given(
    st.lists(st.tuples(amounts, st.floats(0, 1), st.booleans())),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 500),
    st.none() | st.floats(0, 50),
)
def test_no_cap_is_exceeded_whatever_the_requests_turn_out_to_use(asked, requests, tokens, money):
    budget = Budget(requests, tokens, money)
    open_requests = []
    for most, share, settle in asked:
        if budget.reserve(most):
            used = Spent(1, int(most.tokens * share), most.cost * share)
            open_requests.append((most, used))
        if settle and open_requests:
            budget.settle(*open_requests.pop(0))
    for most, used in open_requests:
        budget.settle(most, used)
    assert budget.in_flight == 0
    assert requests is None or budget.spent.requests <= requests
    assert tokens is None or budget.spent.tokens <= tokens
    assert money is None or budget.spent.cost <= money * (1 + 1e-6)


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"max_requests": 13}, "cap of 13 requests: 13 are spent"),
        ({"max_tokens": 1000}, r"cap of 1000 tokens: \d+ are spent, and the next .* 359"),
        ({"max_cost": 500.0}, r"cap of 500 on the cost: \d+ is spent, and the next"),
    ],
)
def test_a_cap_stops_cleanly_and_a_higher_one_goes_on(journal, caps, words):
    requests = [ask(f"p{i:02}", n=2) for i in range(60)]
    seen = []
    with Server(latency_s=0.01) as server:
        budget = Budget(**caps)
        with pytest.raises(BudgetSpent, match=words) as stopped:
            client(server, **PRICED, budget=budget, max_concurrency=8).complete(
                requests, journal, seen.append
            )
        done = len(server.bodies)
        assert 0 < done < 60
        assert f"{done} of 60 calls are done and journaled, {60 - done} are left" in str(
            stopped.value
        )
        assert budget.spent == Spent(done, 16 * done, pytest.approx(cost(2) * done))
        assert budget.spent.requests <= caps.get("max_requests", 60)
        assert budget.spent.tokens <= caps.get("max_tokens", 10**6)
        assert budget.spent.cost <= caps.get("max_cost", 10**6)
        assert budget.in_flight == 0
        assert len(journal.path.read_text().splitlines()) == done == seen[-1].done
        assert seen[-1].cost == pytest.approx(budget.spent.cost)
        folder = journal.path.parents[2]
        assert spent_by_run(folder, "run1") == Spent(done, 16 * done, pytest.approx(20 * done))
        with again(journal) as second:
            replies = client(server, budget=Budget(max_requests=60 - done)).complete(
                requests, second
            )
        assert [got(reply) for reply in replies] == [texts(f"p{i:02}", 2) for i in range(60)]
        assert len(server.bodies) == 60


def test_what_a_run_has_spent_counts_over_its_processes_assets_and_batches(tmp_path):
    with Server() as server:
        for asset, batch in (("one", "b1"), ("two", "b1"), ("two", "b/2" * 90)):
            with Journal(tmp_path, asset, batch, "run/1") as journal:
                client(server, **PRICED).complete([ask(asset + batch, n=2)], journal)
        with Journal(tmp_path, "two", "b1", "run/2") as journal:
            client(server).complete([ask("another run's")], journal)
        spent = spent_by_run(tmp_path, "run/1")
        assert spent == Spent(3, 48, pytest.approx(3 * cost(2)))
        with Journal(tmp_path, "three", "b1", "run/1") as journal:
            asker = client(server, budget=Budget(max_requests=4, spent=spent))
            with pytest.raises(BudgetSpent, match="4 are spent"):
                asker.complete([ask("a"), ask("b")], journal)
    assert spent_by_run(tmp_path, "never") == Spent()


def test_what_is_journaled_needs_no_budget(journal):
    with Server() as server:
        (first,) = client(server).complete([ask()], journal)
        assert client(server, budget=Budget(max_requests=0)).complete([ask()], journal) == [first]


def test_several_clients_of_a_run_keep_one_budget(journal):
    budget = Budget(max_requests=5)
    with Server() as server:
        client(server, budget=budget).complete([ask(f"p{i}") for i in range(3)], journal)
        with pytest.raises(BudgetSpent, match="5 are spent"):
            client(server, budget=budget).complete([ask(f"q{i}") for i in range(3)], journal)
        assert len(server.bodies) == 5


def test_a_run_that_stops_gives_back_what_it_has_reserved(journal):
    budget = Budget(max_tokens=100_000)

    def stop(progress):
        if progress.in_flight:
            raise KeyboardInterrupt

    with Server(lambda body, count: "hang") as server:
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                client(server, budget=budget, progress_every_s=0.001).complete(
                    [ask(f"p{i}") for i in range(200)], journal, stop
                )
            assert budget.in_flight == 0
    assert budget.spent.tokens == 0 < budget.spent.requests


def test_requests_that_fail_count_and_are_not_exceeded(journal):
    budget = Budget(max_requests=40)
    with Server(faults(0.4), latency_s=0.01) as server:
        with pytest.raises(BudgetSpent):
            client(server, budget=budget, max_concurrency=4).complete(
                [ask(f"p{i}") for i in range(60)], journal
            )
        assert len(server.bodies) == budget.spent.requests == 40


def test_a_server_that_reports_no_usage_is_charged_the_most(journal):
    def behave(body, count):
        said = answer(body)
        del said["usage"]
        return said

    budget = Budget(max_tokens=1000)
    with Server(behave) as server, pytest.raises(BudgetSpent):
        client(server, budget=budget).complete([ask(f"p{i}") for i in range(9)], journal)
    assert budget.spent == Spent(3, 3 * (2 + 256 + 50), 0.0)
    (line, *_) = map(json.loads, journal.path.read_text().splitlines())
    assert line["tokens"] == 2 + 256 + 50


def test_a_key_that_no_header_can_carry_is_refused():
    with pytest.raises(Exception, match="AUTOIF_API_KEY"):
        client_of("http://x/v1", key="two\nlines")
