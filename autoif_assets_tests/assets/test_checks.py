"""A batch that was made passes the checks; spoilt, it does not."""

import dagster as dg
import duckdb
import pytest

from autoif_assets.assets import ASSETS
from autoif_assets.checks import CheckContext, pass_again
from autoif_assets.method.recipe import PAPER
from autoif_assets.resources import SandboxResource
from autoif_assets.warehouse import TABLES, Warehouse

pytestmark = pytest.mark.slow

KEYS = {key for asset in ASSETS for key in asset.check_keys}
PAIR = {"chosen": "true", "rejected": "false"}


def numbers(evaluation: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in evaluation.metadata.items()}


def test_a_batch_that_was_made_passes_every_check(made):
    evaluations = made.result.get_asset_check_evaluations()
    left = KEYS - {e.asset_check_key for e in evaluations}
    # The policies are runs of their own.
    tables = {name for name, table in TABLES.items() if "policy" not in table.partitions}
    assert {key.name for key in left if key.asset_key.to_user_string() in tables} == set()
    assert [e.description for e in evaluations if not e.passed] == []
    again = [numbers(e) for e in evaluations if e.check_name == "pass_again"]
    assert len(again) == 4
    assert all(seen["texts"] > 0 == seen["contradicted"] for seen in again)


@pytest.mark.parametrize(
    ("table", "spoil", "passes", "bound"),
    [
        ("sft_examples", "response = '?'", {"response": "true"}, "response_pass_rate"),
        ("kto_examples", "label = NOT label", {"completion": "label"}, "response_pass_rate"),
        ("query_preference_pairs", "chosen = rejected", PAIR, "chosen_pass_rate"),
        ("query_preference_pairs", "rejected = chosen", PAIR, "chosen_pass_rate"),
        ("instruction_preference_pairs", "rejected = chosen", PAIR, "chosen_pass_rate"),
    ],
)
def test_texts_that_do_not_do_again_what_they_did_are_an_error(copied, table, spoil, passes, bound):
    with duckdb.connect(copied.data / "pipeline.duckdb") as con:
        con.execute(f"UPDATE autoif.{table} SET {spoil}")
    check = pass_again(passes, bound)(TABLES[table])
    with SandboxResource(workers=1).session(None) as sandbox:
        context = CheckContext(Warehouse(copied.data).query, None, PAPER, sandbox.run)
        found = check.find(context)
    assert check.blocking
    assert "texts, executed again, do not do what they are there for" in found.wrong[0]
    assert 0 < found.numbers["contradicted"] <= found.numbers["texts"] <= 100
