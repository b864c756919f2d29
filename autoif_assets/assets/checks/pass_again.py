"""Executed again, what should pass passes, and what should fail passes nothing."""

from collections.abc import Mapping

import dagster as dg

from autoif_assets.assets.checks.common import Found, Look, look, result
from autoif_assets.method.checks import contradicted
from autoif_assets.method.recipe import Threshold
from autoif_assets.method.verifiers import verifier_runs
from autoif_assets.resources import RecipeResource, SandboxResource
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse.quality import sampled_texts, verifiers_of
from autoif_assets.warehouse.schema import Table
from autoif_assets.warehouse.tables import TABLES

SAMPLE = 50

_PAIR = {"chosen": "true", "rejected": "false"}
# A table, its columns of texts with SQL of whether they shall pass, and the recipe's bound.
_TEXTS: tuple[tuple[str, Mapping[str, str], str], ...] = (
    ("sft_examples", {"response": "true"}, "response_pass_rate"),
    ("kto_examples", {"completion": "label"}, "response_pass_rate"),
    ("instruction_preference_pairs", _PAIR, "chosen_pass_rate"),
    ("query_preference_pairs", _PAIR, "chosen_pass_rate"),
)


def _pass_again(table: Table, passes: Mapping[str, str], bound: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table.name,
        name="pass_again",
        description=f"Executed again on {SAMPLE} rows, the verifiers let {' and '.join(passes)} "
        f"pass where they are to, and none of them where they are not to.",
        blocking=True,
    )
    def pass_again(
        context: dg.AssetCheckExecutionContext,
        warehouse: WarehouseResource,
        sandbox: SandboxResource,
        recipe: RecipeResource,
    ) -> dg.AssetCheckResult:
        rows = look(context, warehouse)
        found = _find(table, passes, recipe.load().bound(bound), rows, sandbox)
        return result(found, blocking=True)

    return pass_again


def _find(
    table: Table,
    passes: Mapping[str, str],
    bound: Threshold,
    rows: Look,
    sandbox: SandboxResource,
) -> Found:
    texts = rows.rows(sampled_texts(table, passes, SAMPLE, rows.slices))
    if not texts.height:
        return Found([], {"texts": 0, "contradicted": 0})
    runs = verifier_runs(rows.rows(verifiers_of(texts["instruction_id"].unique().to_list())), texts)
    with sandbox.session(None) as session:
        outcomes = session.run(runs)
    wrong = contradicted(texts, outcomes, bound)
    sentences = []
    if wrong.height:
        first = wrong.row(0, named=True)
        expected = f"{bound}" if first["passes"] else "none"
        sentences.append(
            f"{wrong.height} of {texts.height} texts, executed again, do not do what they are "
            f"there for: {first['input_id']} passed {first['passed']} of "
            f"{first['passed'] + first['failed']} verdicts, and should pass {expected}. If the "
            f"recipe changed, materialize the batch again from response_verdicts and verifiers "
            f"on; otherwise see whether its verifiers give other answers at other times."
        )
    return Found(sentences, {"texts": texts.height, "contradicted": wrong.height})


PASS_AGAIN = [_pass_again(TABLES[name], passes, bound) for name, passes, bound in _TEXTS]
