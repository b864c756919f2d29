"""A batch remembers its recipe: what the commands refuse, tell, remake, leave out and remove."""

import json
import os
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from autoif_assets.automation import batches as automation
from autoif_assets.cli import main
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, Warehouse, find_batch
from autoif_assets_tests.simulator.models import MILD

from .dev.daemon import instance_of
from .environment import clear

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("remembering_sandbox")]
TINY = {
    "instructions_per_batch": 0,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 3,
}
SEEDS = [
    "Answer in exactly three sentences.",
    "Use no commas in your answer.",
    "Write the whole answer in lowercase letters.",
    "End with a question mark.",
]


MINE = "Reply in a friendly way.{{ language }}\nRule: {{ instruction }}\nAsked: {{ query }}"


def autoif(*words):
    return CliRunner().invoke(main, words)


def ok(*words):
    done = autoif(*words)
    if done.exit_code:
        pytest.fail(f"{words} ended with {done.exit_code} {done.exception!r}:\n{done.output}")
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A batch of seeds by a relative path; the shell is another one since, with one seed more."""
    place = tmp_path_factory.mktemp("batches")
    with (
        pytest.MonkeyPatch.context() as patch,
        Simulator(SimulatorSettings(**MILD)) as simulator,
    ):
        clear(patch)
        patch.setenv("AUTOIF_RECIPE", "paper")
        patch.chdir(place)
        (place / "seeds.txt").write_text("\n".join(SEEDS[:-1]))
        (place / "more.txt").write_text("\n".join(SEEDS))
        patch.setenv("AUTOIF_DATA", str(place / "data"))
        patch.setenv("AUTOIF_BASE_URL", simulator.base_url)
        patch.setenv("AUTOIF_MODEL", "autoif-simulator")
        patch.setenv("AUTOIF_SEEDS", "seeds.txt")
        patch.setenv("AUTOIF_OVERRIDES", json.dumps(TINY))
        ok("run", "--batch", "b1")
        # As a daemon of another shell has it, and who sees other seeds.
        patch.setenv("AUTOIF_SEEDS", str(place / "more.txt"))
        patch.setenv("AUTOIF_OVERRIDES", json.dumps(TINY | {"responses_per_prompt": 2}))
        os.environ.pop("DAGSTER_HOME", None)
        yield place, simulator


@pytest.fixture
def data(folder, tmp_path, monkeypatch):
    """A copy of the folder that a test may change."""
    place, _ = folder
    shutil.copytree(place / "data", tmp_path / "data", symlinks=True)
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path / "data"))
    yield tmp_path / "data"
    os.environ.pop("DAGSTER_HOME", None)


def rows(data, batch="b1"):
    warehouse = Warehouse(data)
    names = [n for n, t in TABLES.items() if t.partitions[:1] == ("batch",) and n != "batches"]
    return {name: warehouse.read(name, {"batch": batch}) for name in names}


def same(one, other):
    return [name for name in one if not one[name].equals(other[name])] == []


@pytest.fixture
def prompts(tmp_path, monkeypatch):
    """A folder of prompts in which the response's is a person's own."""
    folder = tmp_path / "prompts"
    ok("prompts", str(folder))
    (folder / "response.jinja").write_text(MINE)
    monkeypatch.setenv("AUTOIF_PROMPTS", str(folder))
    return folder


@pytest.mark.long
@pytest.mark.usefixtures("prompts")
def test_other_settings_and_one_seed_more_make_no_batch_another(data, folder):
    # Made again where everything about it is said otherwise, it is what it was.
    before, asked = rows(data), folder[1].stats()["received"]
    output = ok("run", "--batch", "b1")
    assert "b1 keeps what it is pinned to; this shell's settings do not count: " in output
    assert ": responses_per_prompt 2 instead of 3; another response prompt.\n" in output
    assert same(before, rows(data))
    assert folder[1].stats()["received"] == asked
    # The seeds of today are those with one more, and elsewhere.
    assert Warehouse(data).read("seed_instructions").height == len(SEEDS)
    assert ok("batch", "list").splitlines() == ["b1: complete"]


def test_what_differs_is_refused_and_replaced_only_by_who_says_so(data, monkeypatch):
    before = rows(data)
    refused = autoif("run", "--batch", "b1", "--set", "responses_per_prompt=5")
    assert refused.exit_code == 2
    assert (
        "The batch b1 is pinned to another recipe than this run asks for: "
        "responses_per_prompt 5 instead of 3." in refused.output
    )
    named = autoif("run", "--batch", "b1", "--recipe", "authors_code")
    assert "the recipe authors_code instead of paper" in named.output
    unsaid = autoif("run", "--batch", "b1", "--replace", "--set", "min_score=>= 9")
    assert unsaid.exit_code == 2
    assert "min_score >= 9 instead of >= 8" in unsaid.output
    made = sum(frame.height for name, frame in before.items() if name != "llm_calls")
    assert f"b1: {made:,} rows of " in unsaid.output
    assert f"which took {before['llm_calls'].height} paid calls" in unsaid.output
    assert "Nothing was sent." in unsaid.output  # what it will cost
    assert "say --yes" in unsaid.output
    monkeypatch.setenv("AUTOIF_MODEL", "another")
    other = autoif("run", "--batch", "b1")
    assert other.exit_code == 2
    assert "the model of supervision another instead of autoif-simulator" in other.output
    assert same(before, rows(data))


@pytest.mark.long
def test_prompts_of_a_person_s_own_are_part_of_what_a_batch_is_pinned_to(
    folder, prompts, tmp_path, monkeypatch
):
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path / "new"))
    with Simulator(SimulatorSettings(**MILD, prompts=str(prompts))) as simulator:
        monkeypatch.setenv("AUTOIF_BASE_URL", simulator.base_url)
        ok("run", "--batch", "b2", "--set", "language=German")
        made = rows(tmp_path / "new", "b2")
        asked = made["llm_calls"].filter(asset="responses")["prompt"].to_list()
        assert asked
        wanted = "Reply in a friendly way. Write in German, unless the instruction asks for another"
        assert all(wanted in request for request in asked)
        assert "accepted" in made["response_scores"]["status"]
        pinned = find_batch(Warehouse(tmp_path / "new"), "b2")
        assert pinned.numbers["prompts"]["response"] == MINE
        assert pinned.numbers["language"] == "German"
        # Whatever the folder says later on.
        (prompts / "response.jinja").write_text(MINE.replace("friendly", "stern"))
        sent = simulator.stats()["received"]
        assert "another response prompt" in ok("run", "--batch", "b2")
        assert simulator.stats()["received"] == sent
        assert same(made, rows(tmp_path / "new", "b2"))
        (prompts / "response.jinja").write_text("{{ instruction }}\n{{ qeury }}")
        refused = autoif("run", "--batch", "b3")
        assert refused.exit_code == 2
        assert "response.jinja, line 2: there is no variable qeury" in refused.output
        assert find_batch(Warehouse(tmp_path / "new"), "b3") is None
        assert simulator.stats()["received"] == sent


def test_a_batch_is_shown(data):
    shown = ok("batch", "show", "b1")
    assert "by command line" in shown
    assert "responses_per_prompt = 3" in shown
    assert "Write the answer only" not in shown
    assert "supervision  autoif-simulator http://127.0.0.1:" in shown
    assert "simulated    yes" in shown
    assert autoif("batch", "show", "b9").exit_code == 2


def stale(monkeypatch, *names):
    declared = automation.declared_assets

    def changed(graph):
        return [
            replace(asset, code_version="other") if asset.name in names else asset
            for asset in declared(graph)
        ]

    monkeypatch.setattr(automation, "declared_assets", changed)


def test_the_remake_of_a_threshold_needs_no_call_and_of_lost_answers_says_how_many(
    data, monkeypatch, folder
):
    before, asked = rows(data), folder[1].stats()["received"]
    stale(monkeypatch, "filtered_queries")
    listed = ok("batch", "list")
    assert "assets are stale, first filtered_queries (a rule or prompt changed)" in listed
    told = ok("batch", "remake", "b1", "--dry-run")
    assert "  filtered_queries: a rule or prompt changed\n" in told
    assert "sft_examples: filtered_queries is to be made" in told
    assert "needs no model call" in told
    stale(monkeypatch, "responses")
    shutil.rmtree(data / "journals" / "responses" / "b1")
    told = ok("batch", "remake", "b1", "--dry-run")
    calls = before["llm_calls"].filter(asset="responses").height
    assert f"at least {calls} model calls: {calls} of responses, and further" in told
    unsaid = autoif("batch", "remake", "b1")
    assert unsaid.exit_code == 2
    assert same(before, rows(data))
    assert folder[1].stats()["received"] == asked


def test_excluded_batches_are_in_no_export(data):
    def exported():
        lines = (data / "exports" / "sft" / "messages" / "train.jsonl").read_text().splitlines()
        warehouse = Warehouse(data)
        found = warehouse.query("SELECT DISTINCT batch FROM autoif.dataset('train') ORDER BY ALL")
        return len(lines), found["batch"].to_list()

    examples, of = exported()
    assert (examples > 0, of) == (True, ["b1"])
    ok("batch", "exclude", "b1")
    assert exported() == (0, [])
    assert "b1: complete; excluded from the exports" in ok("batch", "list")
    ok("batch", "include", "b1")
    assert exported() == (examples, ["b1"])


def test_a_batch_is_removed_with_all_that_is_asked(data):
    assert autoif("batch", "remove", "b1").exit_code == 2
    ok("batch", "remove", "b1", "--journals", "--yes")
    assert all(frame.is_empty() for frame in rows(data).values())
    assert find_batch(Warehouse(data), "b1") is None
    assert not list(data.glob("journals/*/b1/*.jsonl"))
    assert ok("batch", "list") == ""
    ok("batch", "add", "b1")
    assert "b1: lacks" in ok("batch", "list")


def test_a_first_run_that_makes_nothing_leaves_no_batch(data, monkeypatch):
    monkeypatch.setenv("AUTOIF_SEEDS", "nowhere.txt")
    assert autoif("run", "--batch", "b3").exit_code == 2
    with instance_of(data / "dagster") as instance:
        assert instance.get_dynamic_partitions("batch") == ["b1"]
    # What it would have pinned binds nobody.
    assert find_batch(Warehouse(data), "b3") is None
