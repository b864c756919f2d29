from itertools import pairwise

from autoif_assets.endpoint import Spent, progress
from autoif_assets.endpoint.budget import Usage


def test_the_course_of_a_long_run_stays_short_and_spans_it_all(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    long_run = progress.Account(total=100_000, reused=10, failed=0)
    for _ in range(50_000):
        now[0] += 0.25
        long_run.done += 1
        long_run.answered(1.0, Usage(1, 0, 2), Spent(1, 3, 0.0))
    course = long_run.progress(1, None, None, ()).throughput
    assert 50 <= len(course) <= 121
    assert course[0][0] < 0.02 * course[-1][0]
    assert course[-1] == (12_500.0, 50_000, 100_000)
    steps = [later[0] - earlier[0] for earlier, later in pairwise(course[:-1])]
    assert max(steps) <= 2.1 * min(steps)
