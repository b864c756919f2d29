"""What a server sends, and what a journal holds, can neither end a run nor poison the next one."""

import json
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.endpoint import ServerUnreachable, compact_journals, llm_calls
from autoif_assets.endpoint.availability import Availability
from autoif_assets.endpoint.bodies import MAX_BODY_BYTES
from autoif_assets.endpoint.concurrency import Load
from autoif_assets.endpoint.errors import Failure
from autoif_assets.endpoint.journal import Journal, spent_by_run
from autoif_assets.endpoint.journal_files import whole
from autoif_assets.endpoint.responses import read_answer, read_likelihood, retry_after_s
from autoif_assets_tests.endpoint.asking import again, ask, client, client_of, got, texts
from autoif_assets_tests.endpoint.server import Server, answer
from autoif_assets_tests.endpoint.test_journal import completions, line
from autoif_assets_tests.endpoint.test_wire import listening

CHOICE = {"message": {"content": "fine"}, "finish_reason": "stop"}


def read(**changes):
    return read_answer(json.dumps({"choices": [CHOICE], **changes}).encode())


def test_a_usage_beyond_all_bounds_is_unknown():
    usage = read(usage={"prompt_tokens": 2**70, "completion_tokens": -1}).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (None, None)


def test_of_a_number_too_long_to_be_read_the_rest_of_the_answer_is():
    body = json.dumps({"choices": [CHOICE], "usage": {"prompt_tokens": 1, "completion_tokens": 7}})
    found = read_answer(body.replace(": 1,", f": {'9' * 5000},").encode())
    assert [choice["text"] for choice in found.choices] == ["fine"]
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (None, 7)


@pytest.mark.parametrize("reason", ["\ud83d", ["x"] * 1000, 2**70, {"a": "\udc00"}, "y" * 10_000])
def test_any_finish_reason_is_a_short_text(reason):
    (choice,) = read(choices=[CHOICE | {"finish_reason": reason}]).choices
    choice["finish_reason"].encode()
    assert 0 < len(choice["finish_reason"]) <= 100


def test_parts_of_a_content_that_are_no_text_are_none():
    parts = [{"type": "text", "text": None}, {"type": "text", "text": "Paris"}]
    (choice,) = read(choices=[{"message": {"content": parts}}]).choices
    assert choice["text"] == "Paris"


def test_nesting_that_can_be_read_and_not_written_is_no_completion():
    for depth in (500, 900, 990, 2000):
        with pytest.raises(ValueError, match="not a chat completion"):
            read_answer(b"[" * depth + b"]" * depth)


@pytest.mark.parametrize("logprob", ["1e400", "NaN", "-Infinity", "1" * 400])
def test_a_likelihood_out_of_all_bounds_is_none(logprob):
    body = '{"choices": [{}], "prompt_logprobs": [{"1": {"logprob": X}}]}'.replace("X", logprob)
    with pytest.raises(ValueError):
        read_likelihood(body.encode())


@pytest.mark.parametrize("told", ["inf", "1e999", "9" * 400, "-inf", "nan", "-3", "1e18"])
def test_retry_after_is_bounded(told):
    assert 0 <= retry_after_s({"retry-after": told}) <= 86_400


def test_no_server_makes_a_run_wait_past_its_cap():
    availability = Availability("http://x/v1", 20, 30)
    refused = Failure("http 429", "busy", 429, retry_after_s({"retry-after": "inf"}))
    availability.note_failure(refused)
    assert availability.pause_s(1, refused) <= 30


def test_a_server_that_asks_to_wait_for_ever_ends_the_run_at_its_cap(journal):
    began = time.monotonic()
    with (
        Server(lambda body, count: (429, {}, {"Retry-After": "inf"})) as server,
        pytest.raises(ServerUnreachable),
    ):
        client(server, max_outage_s=1).complete([ask()], journal)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("value", ["NaN", "inf", "-1", "x", "1e300"])
def test_figures_of_a_server_that_are_none_are_left_alone(value):
    assert Load.parse(f"vllm:num_requests_waiting {value}\n") is None


def test_the_servers_figures_are_read_in_one_pass():
    began = time.process_time()
    Load.parse("vllm:num_requests_running{" * 20_000 + "\n")
    Load.parse("vllm:num_requests_running{\n" * 20_000)
    assert time.process_time() - began < 0.5


def test_half_a_character_in_a_refusal_is_told(journal):
    def behave(body, count):
        return 400, {"error": {"message": "no \ud83d here"}}

    with Server(behave) as server:
        (reply,) = client(server).complete([ask()], journal)
    assert "no ? here" in reply.error


PROGRAM = """
import resource, sys
from autoif_assets.endpoint import Client, Credentials, EndpointError, EndpointSettings, Journal
from autoif_assets_tests.endpoint.asking import ask
settings = EndpointSettings(base_url=sys.argv[1], model="tiny", timeout_s=30, max_outage_s=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with Journal(__import__("pathlib").Path(sys.argv[2]), "a", "b", "r") as journal:
        Client(settings, Credentials(), first_contact_s=0.1).complete([ask()], journal)
except EndpointError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("head", [b"Content-Length: 1073741824", b"Connection: close"])
def test_a_body_without_end_is_not_read(tmp_path, head):
    sent = [0]

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b'\r\n\r\n{"choices": "')
        for _ in range(1024):
            connection.sendall(b"x" * 2**20)
            sent[0] += 2**20

    with listening(flood) as url:
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, url, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    words, grown_kb = run.stdout.strip().rsplit("\n", 1)
    assert "the answer is longer than 32 MiB" in words
    # Importing the SDK and the body itself; several requests were made, one after the other.
    assert int(grown_kb) < 100_000 + 4 * MAX_BODY_BYTES // 1024


@pytest.mark.parametrize("head", [b"Content-Length: 1073741824", b"Connection: close"])
def test_of_an_error_without_end_the_beginning_is_told(journal, head):
    """Before, 32 MiB of it were read for each request in flight, and its status was lost."""
    sent = []

    def flood(connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n\r\n")
        connection.sendall(b'{"error": {"message": "no such thing')
        sent.append(0)
        for _ in range(1024):
            connection.sendall(b"x" * 2**20)
            sent[-1] += 2**20

    with listening(flood) as url:
        (reply,) = client_of(url).complete([ask()], journal)
    assert re.match(r"400: .*no such thingx+$", reply.error)
    # What the system keeps for a connection, whoever reads from it.
    assert sent and max(sent) < 32 * 2**20


def test_an_answer_that_is_packed_is_not_unpacked(journal):
    def behave(body, count):
        assert "gzip" not in body
        return None if count > 1 else (200, answer(body), {"Content-Encoding": "gzip"})

    with Server(behave) as server:
        (reply,) = client(server).complete([ask()], journal)
    assert got(reply) == texts("hello", 1)
    assert server.headers[0]["Accept-Encoding"] == "identity"


# --- journals ---------------------------------------------------------------------------------

DAMAGED = (
    {"samples": None},
    {"samples": [0, 1]},
    {"choices": "x"},
    {"choices": [{}]},
    {"choices": [{"text": 3, "finish_reason": None}]},
    {"usage": None},
    {"usage": {}},
    {"finished": "yesterday"},
    {"finished": 3},
    {"started": None},
    {"started": "2026-99-01T00:00:00.000000+00:00"},
    {"prompt": None},
    {"attempts": 2**70},
    {"attempts": "many"},
    {"cost": float("inf")},
    {"cost": None},
    {"latency_s": "x"},
    {"parameters": "\ud800"},
    {"call_id": 7},
    {"error": 5},
    {"final": None},
    {"order": "first"},
)


def test_damaged_lines_are_skipped_and_counted_with_file_and_line(tmp_path):
    with Journal(tmp_path, "a", "b", "run1") as journal:
        journal.append(line("c1", texts=["good"]))
    with journal.path.open("a") as file:
        for changes in DAMAGED:
            file.write(json.dumps(line("c2") | changes) + "\n")
        for missing in line():
            file.write(json.dumps({k: v for k, v in line("c2").items() if k != missing}) + "\n")
        file.write("[" * 100_000 + "\n[1]\n3\nnull\n")
    looked = Journal(tmp_path, "a", "b", "run2")
    # What nothing reads of a line may be missing.
    unread = 2  # role, with_schema
    assert len(looked.damaged) == len(DAMAGED) + len(line()) - unread + 3
    assert looked.damaged[0] == "run1.jsonl:2"
    assert looked.torn == 1
    assert completions(looked, "c1") == {0: "good"}
    assert llm_calls(tmp_path, "a", "b").filter(call_id="c1").height == 1
    assert spent_by_run(tmp_path, "run1").requests == 1 + unread
    assert compact_journals(tmp_path) == []


@given(
    st.sampled_from(sorted(line())),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(-(2**80), 2**80),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_whatever_a_line_holds_is_fit_for_the_table_or_damaged(name, value):
    from autoif_assets.endpoint.journal import _frame, _row

    if (record := whole(json.loads(json.dumps(line() | {name: value})))) is not None:
        _frame([_row("a", "b", [record])])


def test_an_answer_that_poisoned_earlier_versions_is_read_again(tmp_path):
    usage = {"prompt_tokens": 2**70, "cached_tokens": None, "completion_tokens": 4}
    poisoned = line(usage=usage, tokens=2**70 + 4, cost=float(2**70))
    half = poisoned["choices"][0] | {"text": "half \ud83d", "finish_reason": "\ud83d"}
    with Journal(tmp_path, "a", "b", "run1") as journal:
        journal.append(line("c0"))
    with journal.path.open("a") as file:
        file.write(json.dumps(poisoned | {"choices": [half]}) + "\n")
    looked = Journal(tmp_path, "a", "b", "run2")
    assert (looked.damaged, completions(looked)) == ([], {0: "half ?"})
    row = llm_calls(tmp_path, "a", "b").filter(call_id="c1").to_dicts()[0]
    assert (row["prompt_tokens"], row["completion_tokens"]) == (None, 4)
    assert spent_by_run(tmp_path, "run1").tokens == line()["tokens"]


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("names", [("run1", "run2"), ("run2", "run1")])
def test_a_clock_that_jumped_back_does_not_bring_back_an_old_answer(tmp_path, names, compacted):
    with Journal(tmp_path, "a", "b", names[0]) as journal:
        journal.append(line(texts=["old"], finished="2036-01-01T00:00:00.000000"))
    with Journal(tmp_path, "a", "b", names[1], refresh=True) as journal:
        assert completions(journal) == {}
        journal.append(line(texts=["new"], finished="2026-01-01T00:00:00.000000"))
    if compacted:
        compact_journals(tmp_path)
    assert completions(Journal(tmp_path, "a", "b", "run3")) == {0: "new"}
    assert llm_calls(tmp_path, "a", "b")["completions"].to_list() == [["new"]]


def test_of_lines_of_earlier_versions_the_clock_tells(tmp_path):
    for name, text, hour in (("zz", "old", "01"), ("aa", "new", "02")):
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True, exist_ok=True)
        record = line(texts=[text], finished=f"2026-01-01T{hour}:00:00.000000")
        (folder / f"{name}.jsonl").write_text(json.dumps(record) + "\n")
    assert completions(Journal(tmp_path, "a", "b", "run")) == {0: "new"}
    with Journal(tmp_path, "a", "b", "run") as journal:
        journal.append(line(texts=["newest"], finished="2020-01-01T00:00:00.000000"))
    assert completions(Journal(tmp_path, "a", "b", "later")) == {0: "newest"}


def test_refreshing_with_a_clock_that_jumped_back(journal, monkeypatch):
    said = iter(["old", "new"])

    def behave(body, count):
        return {"choices": [CHOICE | {"message": {"content": next(said)}}]}

    moments = iter(
        ["2036-01-01T00:00:00.000000+00:00"] * 2 + ["2026-01-01T00:00:00.000000+00:00"] * 2
    )
    monkeypatch.setattr("autoif_assets.endpoint.run._now", lambda: next(moments))
    with Server(behave) as server:
        assert got(client(server).complete([ask()], journal)[0]) == ("old",)
        with again(journal, refresh=True) as second:
            assert got(client(server).complete([ask()], second)[0]) == ("new",)
        with again(journal, "run3") as third:
            assert got(client(server).complete([ask()], third)[0]) == ("new",)
