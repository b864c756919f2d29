import pytest

from autoif_assets.endpoint.concurrency import ConcurrencyLimit, Load

VLLM = """# HELP vllm:num_requests_waiting Number of requests waiting
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_running{engine="0",model_name="m"} 10.0
vllm:num_requests_running{engine="1",model_name="m"} 6.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 50.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.5
vllm:num_preemptions_total{engine="0",model_name="m"} 2.0
vllm:num_preemptions_created{engine="0",model_name="m"} 1.7e+09
"""
IDLE = Load(running=0, waiting=0, kv_usage=0, preemptions=0)


def answer(pace, times, latency_s=1.0, more=True):
    for _ in range(times):
        pace.answered(latency_s, more=more)


def look(pace, load, now=0.0, more=True):
    pace.observe(load, now, more=more)


def test_vllms_metrics_are_read_over_all_engines():
    assert Load.parse(VLLM) == Load(running=16, waiting=4, kv_usage=0.5, preemptions=2)


@pytest.mark.parametrize("text", ["", "<html>", "other_num_requests_waiting 3.0"])
def test_other_metrics_are_none(text):
    assert Load.parse(text) is None


def test_the_limit_doubles_per_round_up_to_the_ceiling():
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    assert pace.limit == 64
    answer(pace, 64)
    assert pace.limit == 128
    answer(pace, 128)
    assert pace.limit == 200


def test_no_growth_without_need_or_when_answers_are_slow():
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    answer(pace, 50, more=False)
    answer(pace, 50, latency_s=200)
    assert pace.limit == 64


def test_one_wave_of_refusals_cuts_once_and_growth_is_slow_from_then_on():
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    for moment in range(30):
        pace.overloaded(100 + moment / 100, latency_s=2.0)
    assert pace.limit == 44
    answer(pace, 44)
    assert 50 <= pace.limit <= 52
    pace.overloaded(103, latency_s=2.0)
    assert pace.limit < 40


def test_the_limit_stays_between_floor_and_ceiling():
    pace = ConcurrencyLimit(ceiling=100, timeout_s=600)
    for moment in range(100):
        pace.overloaded(10.0 * moment, latency_s=1.0)
    assert pace.limit == 4
    assert ConcurrencyLimit(ceiling=1, timeout_s=600).limit == 1


def test_a_server_that_shows_an_empty_queue_is_filled_at_once():
    pace = ConcurrencyLimit(ceiling=1000, timeout_s=600)
    look(pace, IDLE)
    assert pace.limit == 256
    small = ConcurrencyLimit(ceiling=80, timeout_s=600)
    look(small, IDLE)
    assert small.limit == 80


@pytest.mark.parametrize(
    "load",
    [
        Load(running=100, waiting=50, kv_usage=0.5, preemptions=0),
        Load(running=100, waiting=0, kv_usage=0.96, preemptions=0),
        Load(running=100, waiting=0, kv_usage=0.5, preemptions=1),
    ],
    ids=["queue", "cache", "preemption"],
)
def test_a_queue_a_full_cache_and_preemptions_cut(load):
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    look(pace, IDLE)
    look(pace, load, now=1.0)
    assert pace.limit == 180
    assert pace.waiting == load.waiting


def test_a_queue_that_grows_cuts_and_one_that_is_gone_lets_the_limit_grow():
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    limits = []
    for now, waiting in enumerate([0, 0, 20, 30, 40, 50, 20, 2, 0]):
        look(pace, Load(running=100, waiting=waiting, kv_usage=0.5, preemptions=0), now)
        limits.append(pace.limit)
    assert limits == [200, 200, 200, 200, 180, 162, 170, 178, 186]


def test_a_cut_is_given_time_to_show_in_the_queue():
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    look(pace, IDLE)
    answer(pace, 100, latency_s=20)
    full = Load(running=100, waiting=90, kv_usage=0.5, preemptions=0)
    for now in range(10):
        look(pace, full, 100 + now)
    assert pace.limit == 162  # two cuts, not ten


def test_where_the_queue_is_shown_growth_goes_by_it_and_not_by_answers():
    pace = ConcurrencyLimit(ceiling=1000, timeout_s=600)
    look(pace, IDLE)
    answer(pace, 500)
    assert pace.limit == 256
    look(pace, IDLE, 1.0)
    assert pace.limit == 512
    look(pace, IDLE, 2.0, more=False)
    assert pace.limit == 512


def test_preemptions_before_the_run_do_not_count():
    pace = ConcurrencyLimit(ceiling=200, timeout_s=600)
    look(pace, Load(running=1, waiting=0, kv_usage=0.1, preemptions=99))
    assert pace.limit == 200


def test_the_older_name_of_the_cache_use_is_read():
    text = VLLM.replace("kv_cache_usage_perc", "gpu_cache_usage_perc")
    assert Load.parse(text) == Load.parse(VLLM)


@pytest.mark.parametrize("slots", [8, 64, 256, 1000])
@pytest.mark.parametrize("head_start_s", [0, 20])
def test_two_runs_come_to_share_a_server_and_keep_it_full(slots, head_start_s):
    first, second = ConcurrencyLimit(4096, 600), ConcurrencyLimit(4096, 600)
    shares, running = [], []
    for now in range(300):
        active = [first] if now < head_start_s else [first, second]
        asked = sum(pace.limit for pace in active)
        load = Load(min(asked, slots), max(asked - slots, 0), 0.5, 0)
        for pace in active:
            answer(pace, 1)
            look(pace, load, now)
        shares.append(second.limit / (first.limit + second.limit))
        running.append(load.running / slots)
    assert all(1 / 3 < share < 2 / 3 for share in shares[-100:])
    assert sum(running[-100:]) / 100 > 0.99


@pytest.mark.parametrize("head_start_s", [0, 20])
def test_two_runs_come_to_share_a_server_that_only_refuses(head_start_s):
    slots, latency_s = 100, 1.0
    first, second = ConcurrencyLimit(4096, 600), ConcurrencyLimit(4096, 600)
    shares = []
    for now in range(600):
        active = [first] if now < head_start_s else [first, second]
        too_many = sum(pace.limit for pace in active) > slots
        for pace in active:
            answer(pace, min(pace.limit, slots), latency_s)
            if too_many:
                pace.overloaded(now, latency_s)
        shares.append(second.limit / (first.limit + second.limit))
    assert 1 / 3 < sum(shares[-200:]) / 200 < 2 / 3
