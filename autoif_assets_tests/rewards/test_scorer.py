"""Completions in, rewards out."""

import asyncio
import hashlib
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from autoif_assets.rewards import Bank, NoVerdict, RewardDataError, Scorer
from autoif_assets_tests.rewards.data import (
    CAPITALS,
    CRASHES,
    EXCLAIMS,
    REPEATS,
    SLOW,
    SOURCES,
    SPLIT,
    item,
    write_verifiers,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    write_verifiers(folder)
    return folder


@pytest.fixture(scope="module")
def scorer(folder):
    with Scorer(folder, workers=1) as scorer:
        yield scorer


def rewards(scorer, items, **options):
    return [one["reward"] for one in scorer.score(items, **options)]


def test_verifiers_decide_and_thoughts_are_not_judged(scorer):
    assert rewards(
        scorer,
        [
            item("LOUD"),
            item("quiet"),
            item("<think>quiet</think>LOUD<|im_end|>"),
            item("<think>LOUD"),
            item(""),
        ],
    ) == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_an_answer_is_scored_by_all_its_instructions(scorer):
    both = item("LOUD", CAPITALS, EXCLAIMS)
    (made,) = scorer.score([both])
    assert made["reward"] == 0.0
    assert made["components"] == {CAPITALS: "pass", EXCLAIMS: "fail"}
    assert rewards(scorer, [both], mode="mean") == [0.5]
    assert rewards(scorer, [item("LOUD!", CAPITALS, EXCLAIMS)]) == [1.0]


def test_what_the_verifiers_do_not_decide_is_no_zero(scorer):
    items = [item("LOUD", CRASHES), item("LOUD", SPLIT), item("LOUD", CAPITALS, CRASHES)]
    made = scorer.score(items)
    assert [one["reward"] for one in made] == [None, None, None]
    assert made[0]["reasons"] == ["crashes: no majority (1 error, 1 not_bool, 1 pass)"]
    assert made[2]["components"] == {CAPITALS: "pass", CRASHES: "none"}
    assert rewards(scorer, items, mode="components") == [None, None, 1.0]
    assert rewards(scorer, items, on_no_verdict="zero") == [0.0, 0.0, 0.0]
    with pytest.raises(NoVerdict, match="1 not_bool"):
        scorer.score(items, on_no_verdict="raise")


def test_queries_reach_the_verifiers_that_look_at_them(scorer):
    items = [
        item("You said: hello", REPEATS, query="hello"),
        item("You said: hello", REPEATS, query="bye"),
        item("You said: hello", REPEATS),
    ]
    assert rewards(scorer, items) == [1.0, 0.0, None]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([item("x", "nowhere")], "no instruction 'nowhere'"),
        ([{"instruction_ids": [], "response": "x"}], "at least one id"),
        ([{"instruction_ids": CAPITALS, "response": "x"}], "expected a list"),
        ([{"instruction_ids": [[]], "response": "x"}], "no instruction"),
        ([{"instruction_ids": [CAPITALS]}], "Item 0"),
        ([item("x"), item(None)], "Item 1"),
        ([item("x", query=3)], "Item 0"),
        (["x"], "Item 0"),
    ],
)
def test_what_cannot_be_scored_is_told(scorer, items, told):
    with pytest.raises(RewardDataError, match=told):
        scorer.score(items)


def test_modes_are_those_that_there_are(scorer):
    with pytest.raises(ValueError, match="'any' is none of all, mean, components"):
        scorer.score([], mode="any")
    assert scorer.score([]) == []


def test_a_slow_verifier_is_no_verdict_and_is_named(folder):
    with Scorer(folder, workers=1, deadline_s=2.0) as scorer:
        items = [item("loop", SLOW), item("LOUD"), item("fine", SLOW)]
        made = scorer.score(items)
        assert [one["reward"] for one in made] == [None, 1.0, 1.0]
        assert made[0]["reasons"] == ["slow: no majority (1 timeout)"]
        (slow,) = scorer.slow_verifiers()
        assert (slow["verifier_id"], slow["instruction_id"], slow["timeouts"]) == (
            "slow-0",
            SLOW,
            1,
        )


def test_texts_that_a_verifier_is_lost_on_cost_the_others_nothing(folder):
    with Scorer(folder, workers=1, deadline_s=4.0) as scorer:
        lost = [item(f"loop {number}", SLOW) for number in range(3)]
        assert rewards(scorer, [*lost, item("fine", SLOW)]) == [None, None, None, 1.0]


def test_what_a_batch_has_no_time_for_is_no_verdict_and_the_next_has_its_own(tmp_path):
    names = [f"slow {number}" for number in range(30)]
    write_verifiers(tmp_path, {**dict.fromkeys(names, SOURCES[SLOW]), CAPITALS: SOURCES[CAPITALS]})
    with Scorer(tmp_path, workers=1, deadline_s=0.4) as scorer:
        made = scorer.score([item("loop", name) for name in names])
        assert {one["reward"] for one in made} == {None}
        assert made[-1]["reasons"] == ["slow 29: no majority (1 deadline)"]
        assert rewards(scorer, [item("LOUD")]) == [1.0]
        assert sum(one["late"] > 0 for one in scorer.slow_verifiers()) > 5


def test_equal_questions_are_asked_once(folder):
    with Scorer(folder, workers=1) as scorer:
        counts = scorer.engine.counts
        scorer.score([item("LOUD")] * 5)
        assert sum(counts.outcomes.values()) == 3
        scorer.score([item("LOUD"), item("<think>x</think>LOUD")])
        assert sum(counts.outcomes.values()) == 3
        assert counts.cached == 3
        # What ran out of time may have been the machine's fault, and is asked again.
        for _ in range(2):
            scorer.score([item("loop", SLOW)])
        assert counts.outcomes["timeout"] == 2


def test_what_is_asked_at_once_is_run_together(folder):
    with Scorer(folder, workers=1, deadline_s=2.0) as scorer, ThreadPoolExecutor(32) as pool:
        # Holds the sandbox, so that the others come together meanwhile.
        held = pool.submit(scorer.score, [item("loop", SLOW)])
        while not scorer.engine.counts.batch_count:
            pass
        texts = [f"TEXT {number}" for number in range(20)]
        made = list(pool.map(lambda text: scorer.score([item(text)]), texts))
        assert [one[0]["reward"] for one in made] == [1.0] * 20
        assert held.result()[0]["reward"] is None
        assert scorer.engine.counts.batch_count < 10


def test_an_event_loop_is_not_held_up(scorer):
    async def score():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        made = await asyncio.gather(
            *(scorer.ascore([item(f"A{number}"), item(f"a{number}")]) for number in range(20))
        )
        ticking.cancel()
        return made, ticks

    made, ticks = asyncio.run(score())
    assert [[one["reward"] for one in some] for some in made] == [[1.0, 0.0]] * 20
    assert ticks > 1


def test_who_stops_waiting_leaves_the_others_their_answers(folder):
    with Scorer(folder, workers=1, deadline_s=2.0) as scorer:

        async def leave():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(scorer.ascore([item("loop", SLOW), item("GONE")]), 0.05)
            return await scorer.ascore([item("GONE")])

        assert asyncio.run(leave())[0]["reward"] == 1.0


def test_it_works_off_the_main_thread_where_alarms_do_not(scorer):
    found = []
    thread = threading.Thread(target=lambda: found.append(rewards(scorer, [item("OFF")])))
    thread.start()
    thread.join()
    assert found == [[1.0]]


def test_a_killed_worker_costs_no_reward(folder):
    with Scorer(folder, workers=1) as scorer:
        for number in range(3):
            (worker,) = scorer.engine._sandbox._workers
            os.kill(worker.process.pid, signal.SIGKILL)
            assert rewards(scorer, [item(f"KILLED {number}")]) == [1.0]


def test_a_sandbox_that_breaks_is_told_and_no_zero(folder, monkeypatch):
    with Scorer(folder, workers=1) as scorer:

        def broken(units):
            raise OSError("no more processes")

        with monkeypatch.context() as patch:
            patch.setattr(scorer.engine._sandbox, "evaluate", broken)
            with pytest.raises(OSError, match="no more processes"):
                scorer.score([item("LOUD"), item("LOUD", EXCLAIMS)])
        assert rewards(scorer, [item("LOUD")]) == [1.0]


def test_closing_answers_what_was_asked(folder):
    scorer = Scorer(folder, workers=1, deadline_s=2.0)
    with ThreadPoolExecutor(9) as pool:
        held = pool.submit(rewards, scorer, [item("loop", SLOW)])
        while not scorer.engine.counts.batch_count:
            pass
        asked = [pool.submit(rewards, scorer, [item(f"T{number}")]) for number in range(8)]
        while scorer.engine.waiting < 8 and scorer.engine.counts.batch_count == 1:
            pass
        scorer.close()
        assert [future.result() for future in asked] == [[1.0]] * 8
        assert held.result() == [None]
    with pytest.raises(RuntimeError, match="closed"):
        scorer.score([item("LATE")])


def _in_child(scorer, queue):
    queue.put(rewards(scorer, [item("CHILD"), item("child")]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.slow
def test_it_goes_into_other_processes(scorer, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_in_child, args=(scorer, queue))
    process.start()
    try:
        assert queue.get(timeout=60) == [1.0, 0.0]
    finally:
        process.join()


def test_it_can_be_pickled(scorer):
    with pickle.loads(pickle.dumps(scorer)) as other:
        assert rewards(other, [item("LOUD")]) == [1.0]


def test_strict_and_shared_agree(folder):
    items = [
        item(text, id, query="LOUD")
        for text in ("LOUD", "LOUD!", "quiet", "1")
        for id in (CAPITALS, EXCLAIMS, REPEATS, CRASHES, SPLIT)
    ]
    with Scorer(folder, workers=1, share=False) as strict, Scorer(folder, workers=1) as shared:
        assert strict.score(items) == shared.score(items)


def test_the_best_audited_decide(folder):
    with Scorer(folder, workers=1, max_verifiers=4) as four:
        assert rewards(four, [item("LOUD")]) == [1.0]
        assert len(four.engine.counts.outcomes) == 2  # the fourth says the opposite
    with pytest.raises(ValueError, match="max_verifiers"):
        Scorer(folder, max_verifiers=0)


def test_a_judge_is_asked_about_what_passes_alone(folder):
    asked = []

    def judge(about):
        asked.extend(one["response"] for one in about)
        return [True, False, None]

    items = [item("YES"), item("no"), item("NO"), item("?!A", CAPITALS)]
    with Scorer(folder, workers=1, judge_veto=judge) as scorer:
        assert rewards(scorer, items) == [1.0, 0.0, 0.0, None]
        assert asked == ["YES", "NO", "?!A"]


# --- the file ---------------------------------------------------------------------------------


def test_a_file_other_than_the_card_names_is_refused(tmp_path):
    path = write_verifiers(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "README.md").write_text(f"---\nverifiers_sha256: {digest}\n---\n")
    assert Bank.read(tmp_path).sha256 == digest
    path.write_text(path.read_text().replace("isupper", "islower"))
    with pytest.raises(RewardDataError, match=r"another file than .*README\.md says"):
        Scorer(tmp_path)
    with pytest.raises(RewardDataError, match="what was asked for"):
        Bank.read(path, sha256=digest)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no verifier"),
        ("{", "line 1 is no instruction"),
        ("\n[]", "line 2"),
        (json.dumps({"instruction_id": "a", "instruction": "b", "verifiers": []}), "no verifier"),
        (
            "\n".join(
                [
                    json.dumps(
                        {
                            "instruction_id": "a",
                            "instruction": "b",
                            "verifiers": [{"verifier_id": "v", "source": "def evaluate(r): ..."}],
                        }
                    )
                ]
                * 2
            ),
            "line 2 repeats a verifier",
        ),
    ],
)
def test_a_broken_file_is_told_by_line(tmp_path, text, told):
    (tmp_path / "verifiers.jsonl").write_text(text)
    with pytest.raises(RewardDataError, match=told):
        Bank.read(tmp_path)


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(RewardDataError, match="cannot be read"):
        Scorer(tmp_path / "nowhere")


def test_modules_are_allowed_by_the_caller_alone(tmp_path):
    write_verifiers(
        tmp_path,
        {CAPITALS: ["import tomllib, colorsys\ndef evaluate(r): return r.isupper()"]},
        limits={"modules": ["colorsys"]},
    )
    with pytest.raises(RewardDataError, match="import colorsys"):
        Scorer(tmp_path)
    with Scorer(tmp_path, workers=1, modules=["colorsys"]) as scorer:
        assert rewards(scorer, [item("LOUD")]) == [1.0]


def test_five_lines_without_dagster_and_polars(folder):
    script = f"""
import sys
from autoif_assets.rewards import Scorer
with Scorer({str(folder)!r}, workers=1) as scorer:
    print(scorer.score([{{"instruction_ids": ["capitals"], "response": "LOUD"}}])[0]["reward"])
assert not {{"dagster", "polars", "duckdb", "openai"}} & set(sys.modules), "too much is loaded"
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1.0\n", "")
