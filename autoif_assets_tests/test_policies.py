"""`autoif policy`, and that a second partition dimension confuses nobody."""

import pytest
from click.testing import CliRunner

from autoif_assets.automation.batches import declared_assets
from autoif_assets.cli import main
from autoif_assets.definitions import defs
from autoif_assets.warehouse import Policy, Warehouse, known_policies, register_policy

pytestmark = pytest.mark.slow

ADD = ("policy", "add", "sft-0", "--base-url", "http://h:1/v1", "--model", "m")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def autoif(*words):
    return CliRunner().invoke(main, words)


def test_a_policy_is_registered_and_listed(folder):
    assert autoif(*ADD, "--api-key-variable", "SFT_KEY").exit_code == 0
    assert "sft-0: m at http://h:1/v1" in autoif("policy", "list").output
    (policy,) = known_policies(Warehouse(folder))
    assert policy.api_key_variable == "SFT_KEY"
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        assert instance.get_dynamic_partitions("policy") == ["sft-0"]
        assert instance.get_dynamic_partitions("batch") == []


def test_a_policy_may_move_but_not_become_another_model(folder):
    assert autoif(*ADD).exit_code == 0
    (before,) = known_policies(Warehouse(folder))
    moved = autoif("policy", "add", "sft-0", "--base-url", "http://h:2/v1", "--model", "m")
    assert moved.exit_code == 0
    (after,) = known_policies(Warehouse(folder))
    assert after.base_url == "http://h:2/v1"
    assert (after.created_at, after.version) == (before.created_at, before.version)
    changed = autoif("policy", "add", "sft-0", "--model", "other")
    assert changed.exit_code == 2
    assert "Take another name" in changed.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a,b",), "splits keys at ,"),
        (("a|b",), "splits keys at |"),
        ((" ",), "it is blank"),
        (("a", "--api-key-variable", "sk-123"), "not the key itself"),
        (("a", "--base-url", "http://user:secret@h/v1"), "--api-key-variable"),
        (("a", "--base-url", "h:1"), "no URL"),
    ],
)
def test_what_cannot_be_a_policy_is_refused(folder, words, said):
    refused = autoif("policy", "add", *words)
    assert refused.exit_code == 2
    assert said in refused.output
    assert known_policies(Warehouse(folder)) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "absent", "--batch", "b1"], "There is no policy absent"),
        (["train", "absent", "--next", "sft-0"], "There is no policy absent"),
        (["train", "absent", "--next", "absent"], "cannot follow itself"),
    ],
)
def test_a_policy_that_is_not_there_is_told(folder, monkeypatch, words, said):
    """Before: 47 lines of Dagster's, with a traceback."""
    monkeypatch.setenv("AUTOIF_TRAINER", "true")
    assert autoif("batch", "add", "b1").exit_code == 0
    found = autoif("policy", *words)
    assert found.exit_code == 2
    assert said in found.output and len(found.output.splitlines()) == 1


def test_weights_tell_answers_apart(folder):
    warehouse = Warehouse(folder)
    first = register_policy(warehouse, Policy("dpo-1", "dpo-1", checkpoint="/a"))
    with pytest.raises(ValueError, match="must not be mixed"):
        register_policy(warehouse, Policy("dpo-1", "dpo-1", checkpoint="/b"))
    again = register_policy(warehouse, Policy("dpo-1", "dpo-1", checkpoint="/b"), retrained=True)
    assert first.version != again.version


def test_assets_of_a_policy_are_no_part_of_a_batch():
    names = {asset.name for asset in declared_assets(defs.resolve_asset_graph())}
    assert "preference_pairs" in names
    assert not [name for name in names if "policy" in name or "online" in name]


def test_batch_list_looks_at_batches_only(folder):
    assert autoif("batch", "add", "b1").exit_code == 0
    assert autoif(*ADD).exit_code == 0
    listed = autoif("batch", "list").output
    assert listed.startswith("b1: lacks")
    assert "sft-0" not in listed
