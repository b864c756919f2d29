"""`autoif doctor` on the endpoints of a run; the checks themselves are tested with the client."""

import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.simulator import Simulator, SimulatorSettings

from .environment import clear

pytestmark = pytest.mark.slow

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    """Run the command with these variables; returns exit status and the lines of each topic."""

    clear(monkeypatch)

    def run(**variables):
        monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
        for name, value in variables.items():
            monkeypatch.setenv(f"AUTOIF_{name}", value)
        result = CliRunner().invoke(main, ["doctor"])
        assert KEY not in result.output
        topics, topic = {}, ""
        for line in result.output.splitlines():
            topic = line[:13].strip() or topic
            topics.setdefault(topic, []).append(line[13:].strip())
        return result.exit_code, topics

    return run


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SimulatorSettings(model="big, small", api_key=KEY)) as running:
        yield running


def test_one_endpoint_for_everything(doctor, simulator):
    status, topics = doctor(BASE_URL=simulator.base_url, MODEL="big", API_KEY=KEY)
    assert status == 0
    assert topics["supervision"] == [
        f"big at {simulator.base_url}",
        "key: AUTOIF_API_KEY is set",
        topics["supervision"][2],
        "context: 32768 tokens",
        "several completions: one request for n completions (n=8)",
        "structured answers: JSON by schema (json_schema)",
        "metrics: running, waiting, KV cache use, preemptions, prefix cache hits",
        "in flight: at most 512 requests",
    ]
    assert topics["supervision"][2].startswith("answers: '")
    for role in ("responder", "judge", "nli", "policy"):
        assert topics[role] == ["as supervision"]
    assert "confinement:" in topics["sandbox"][0]


def test_roles_with_models_servers_and_keys_of_their_own(doctor, simulator):
    lacking = SimulatorSettings(max_n=1, structured_outputs=False, metrics=False)
    with Simulator(lacking) as other:
        status, topics = doctor(
            BASE_URL=simulator.base_url,
            MODEL="big",
            API_KEY=KEY,
            RESPONDER_MODEL="small",
            JUDGE_BASE_URL=other.base_url.replace("127.0.0.1", "localhost"),
            JUDGE_MODEL="autoif-simulator",
            POLICY_MODEL="small",
            MAX_CONCURRENCY="32",
        )
    assert status == 0
    assert topics["responder"][0] == f"small at {simulator.base_url}"
    assert topics["responder"][-1] == "in flight: at most 32 requests"
    assert topics["policy"] == ["as responder"]
    judge = topics["judge"]
    assert judge[1] == "key: none, as the host is not the one of supervision"
    assert judge[4].startswith("several completions: one request a completion (400: n must be")
    assert judge[5].startswith("structured answers: plain text, read leniently (400: ")
    assert judge[6] == "metrics: none of vLLM's; answers' latency and errors set the pace"


def test_one_role_that_is_not_usable_is_named_with_its_variables(doctor, simulator):
    status, topics = doctor(
        BASE_URL=simulator.base_url, MODEL="big", API_KEY=KEY, JUDGE_MODEL="absent"
    )
    assert status == 1
    assert topics["judge"][2] == "NOT USABLE: 'absent' is not served; it serves big, small."
    assert "AUTOIF_JUDGE_MODEL" in topics["judge"][3]
    assert topics["policy"] == ["as supervision"]


def test_a_missing_key_is_told(doctor, simulator):
    status, topics = doctor(BASE_URL=simulator.base_url, MODEL="big")
    assert status == 1
    assert topics["supervision"][1] == "key: AUTOIF_API_KEY is not set"
    assert "refuses the key" in topics["supervision"][2]


def test_the_key_of_the_sdk_is_told_where_it_counts(doctor, simulator, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert doctor(BASE_URL=simulator.base_url, MODEL="big")[0] == 1
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    status, topics = doctor(BASE_URL=simulator.base_url, MODEL="big")
    assert status == 0
    assert topics["supervision"][1] == "key: OPENAI_API_KEY is set"


def test_a_role_with_fields_of_its_own_is_checked_with_them(doctor, simulator):
    status, topics = doctor(
        BASE_URL=simulator.base_url,
        MODEL="big",
        API_KEY=KEY,
        EXTRA_BODY='{"top_k": 4}',
        JUDGE_EXTRA_BODY='{"seed": 4}',
    )
    assert status == 1
    assert topics["responder"] == ["as supervision"]
    assert "NOT USABLE: extra_body holds seed" in topics["judge"][2]


def test_a_local_nli_model_is_no_endpoint(doctor, simulator):
    status, topics = doctor(
        BASE_URL=simulator.base_url, MODEL="big", API_KEY=KEY, NLI="transformers", NLI_MODEL="/mine"
    )
    assert status == 0
    assert topics["nli"] == ["/mine, a local model (AUTOIF_NLI)"]


def test_a_server_that_refuses_parameters_is_usable_and_told(doctor):
    picky = SimulatorSettings(refuses="seed,max_tokens")
    with Simulator(picky) as server:
        status, topics = doctor(BASE_URL=server.base_url, MODEL="autoif-simulator")
    assert status == 0
    notes = " ".join(line for line in topics["supervision"] if line.startswith("note: "))
    assert "refuses seed (422: seed: extra inputs are not permitted)" in notes
    assert "it is sent as max_completion_tokens" in notes
    assert "several completions: one request for n completions (n=8)" in topics["supervision"]
    assert "structured answers: JSON by schema (json_schema)" in topics["supervision"]


def test_a_model_that_thinks_is_told_with_its_room(doctor):
    with Simulator(SimulatorSettings(reasoning="field", thinking_tokens=40)) as server:
        told = {"BASE_URL": server.base_url, "MODEL": "autoif-simulator"}
        status, topics = doctor(**told)
        assert status == 0
        assert "thoughts: room for 8192 tokens beside the answer's" in topics["supervision"]
        _, topics = doctor(**told, JUDGE_THINKING_TOKENS="2000")
        assert "thoughts: room for 2000 tokens beside the answer's" in topics["judge"]
