"""Conversations that are kept: messages in, messages out; what stands alone is as ever."""

import json

import polars as pl
import pytest

from autoif_assets.method.conversations import read_messages
from autoif_assets.resources import Inputs
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Policy, Warehouse, register_policy
from autoif_assets_tests.simulator.models import MILD

from .pipeline import accepted, exported, exports, run_batch, tables
from .rounds import round_of, run_job

pytestmark = pytest.mark.long

KEEP = {
    "instructions_per_batch": 0,
    "seeds_per_batch": 8,
    "verifiers_per_instruction": 5,
    "queries_per_instruction": 6,
    "likelihood_of": "kept",
    "near_misses_per_prompt": 2,
    "query_min_chars": 10,
    "eval_share": 0.4,
    "conversations": "keep",
}
ALONE = "How do I mend a bucket?"


def conversations():
    """Of each conversation its turns: some of two, one of one turn, and one that is not kept."""
    told = [
        [
            *([("system", f"You sell {topic}.")] if number % 2 else []),
            ("user", f"Who was the first to write about {topic}?"),
            ("assistant", f"Nobody knows\nwho wrote of {topic}. "),
            ("user", f"And what is new about {topic}?"),
        ]
        for number, topic in enumerate(("the tides", "clay pots", "winter bread", "old maps"))
    ]
    pirate = [("system", "You are a pirate."), ("user", "Where is the treasure?")]
    begun = [("assistant", "Ask me."), ("user", "What should I ask of you?")]
    return [*told, pirate, [("user", ALONE)], begun]


BEFORE = {query: before for *before, (_, query) in conversations()[:-1]}


def sharegpt(turns):
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    rows = [{"from": names[role], "value": text} for role, text in turns]
    return {"conversations": [*rows, {"from": "gpt", "value": "Well."}]}


def as_turns(messages):
    return [(message["role"], message["content"]) for message in messages]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder, simulator and queries of a batch that keeps conversations, and a policy's round."""
    folder = tmp_path_factory.mktemp("conversations")
    path, data = folder / "q.json", folder / "data"
    path.write_text(json.dumps([sharegpt(turns) for turns in conversations()]))
    inputs = Inputs(queries=str(path))
    with Simulator(SimulatorSettings(**MILD, violation_rate=0.4)) as simulator:
        assert run_batch(data, simulator.base_url, overrides=KEEP, inputs=inputs).success
        register_policy(Warehouse(data), Policy("sft-0", "autoif-simulator", simulator.base_url))
        sampled = {"policy_responses_per_prompt": 4, "eval_share": 0.4}
        assert run_job(
            data, simulator.base_url, "online", round_of("sft-0"), overrides=sampled
        ).success
        yield data, simulator, inputs


@pytest.fixture(scope="module")
def told(made):
    return tables(made[0])


def calls(told, asset):
    """Return what an asset asked: the turns before each prompt, and the prompt."""
    found = told["llm_calls"].filter(pl.col("asset").str.starts_with(asset))
    return [
        (as_turns(json.loads(request).get("context", [])), prompt)
        for request, prompt in found.select("request", "prompt").iter_rows()
    ]


def test_the_last_turn_is_the_query_and_all_before_it_its_context(told):
    queries = told["seed_queries"].sort("line")
    assert queries["reason"].to_list() == [None] * 6 + ["unpaired_turns"]
    kept = accepted(queries).select("query", "context").iter_rows()
    assert {query: as_turns(read_messages(context)) for query, context in kept} == BEFORE
    used = told["augmented_queries"].select("query", "context").unique()
    assert used.join(queries, on=["query", "context"], nulls_equal=True).height == len(BEFORE)


@pytest.mark.parametrize("asset", ["responses", "policy_responses", "further_responses"])
def test_models_are_asked_the_whole_conversation(told, asset):
    asked = calls(told, asset)
    for before, prompt in asked:
        assert before == BEFORE[prompt.rpartition("[Query] ")[2]]
    assert any(before for before, _ in asked)
    if asset != "further_responses":
        assert len(asked) == told["augmented_queries"].height


def test_likelihoods_are_those_after_the_conversation_and_alone(told):
    asked = calls(told, "response_likelihoods")
    prompts = dict(told["augmented_queries"].select("prompt", "query").iter_rows())
    assert {bool(prompt) for _, prompt in asked} == {True, False}
    for before, prompt in asked:
        assert before == (BEFORE[prompts[prompt]] if prompt else [])


def test_the_judge_is_shown_the_conversation(told):
    asked = calls(told, "response_scores") + calls(told, "further_scores")
    shown = set()
    for before, prompt in asked:
        assert before == []
        (query,) = (query for query in BEFORE if f"{query}\n[Response] " in prompt)
        turns = [*BEFORE[query], ("user", query)]
        transcript = "\n".join(f"[{role.capitalize()}] {text}" for role, text in turns)
        alone = f"[Query] {query}\n[Response] "
        talk = f"[Query] The last message of this conversation.\n{transcript}\n[Response] "
        assert (talk if BEFORE[query] else alone) in prompt
        shown.add(query)
    assert shown == set(BEFORE)


def test_exports_are_the_whole_conversations(made, told):
    data, _, _ = made
    prompts = dict(told["augmented_queries"].select("prompt", "query").iter_rows())
    files = exports(data)

    def rows(*names):
        texts = [
            files[f"{name[0]}/{split}.{name[1]}"] for name in names for split in ("train", "eval")
        ]
        return [row for text in texts for row in _rows(text)]

    seen = set()
    for row in rows(("sft/messages", "jsonl")):
        *before, (_, prompt), (role, _) = as_turns(row["messages"])
        assert (before, role) == (BEFORE[prompts[prompt]], "assistant")
        seen.add(prompts[prompt])
    assert ALONE in seen and len(seen) > 3
    for row in rows(("preference/trl", "jsonl"), ("kto/trl", "jsonl")):
        *before, (_, prompt) = as_turns(row["prompt"])
        # Of a pair of test cases the prompt is the instruction alone.
        assert before == BEFORE.get(prompts.get(prompt, ""), [])
    for row in rows(
        ("sft/alpaca", "json"), ("preference/ranking", "json"), ("kto/labelled", "json")
    ):
        before = [("system", row["system"])] if row["system"] else []
        for asked, answered in row["history"]:
            before += [("user", asked), ("assistant", answered)]
        assert before == BEFORE.get(prompts.get(row["instruction"], ""), [])
    info = json.loads(files["sft/dataset_info.json"])
    assert info["autoif_sft_train"]["columns"]["history"] == "history"
    pairs = told["online_preference_pairs"]
    assert pairs["context"].null_count() < pairs.height
    for prompt, context in pairs.select("prompt", "context").iter_rows():
        assert as_turns(read_messages(context)) == BEFORE[prompts[prompt]]


def _rows(data):
    text = data.decode()
    return json.loads(text) if text.startswith("[") else map(json.loads, text.splitlines())


def test_a_batch_keeps_its_conversations_when_others_are_read_otherwise(made, told):
    data, simulator, inputs = made
    before, asked = exports(data), simulator.stats()["received"]
    assert run_batch(data, simulator.base_url, overrides=KEEP, inputs=inputs).success
    assert simulator.stats()["received"] == asked
    assert exports(data) == before

    first = {**KEEP, "conversations": "first_turn"}
    result = run_batch(data, simulator.base_url, "b2", overrides=first, inputs=inputs)
    assert result.success
    t = tables(data)
    assert t["seed_queries"]["context"].null_count() == t["seed_queries"].height
    assert set(t["seed_queries"]["reason"].drop_nulls()) == {"multi_turn"}
    calls_of_b2 = t["llm_calls"].filter(batch="b2")
    assert not calls_of_b2["request"].str.contains('"context"').any()
    # The first batch is made of what it is pinned to, not of what was read last.
    again = {"only": "augmented_queries", "inputs": inputs, "others": ["b2"]}
    assert run_batch(data, simulator.base_url, overrides=KEEP, **again).success
    kept = tables(data)["augmented_queries"].filter(batch="b1")
    assert kept.equals(told["augmented_queries"])
    # Both batches are in the exports, the first turns of the second without what followed them.
    firsts = [messages for messages in exported(data, "sft")["messages"] if len(messages) == 2]
    assert any("Who was the first" in messages[0]["content"] for messages in firsts)
    assert set(before) == set(exports(data))
