"""One module a stage, in the order of the flow."""

import warnings
from collections.abc import Iterable
from importlib.resources import files

import dagster as dg

from autoif_assets.assets import (
    back_translations,
    exports,
    further,
    instructions,
    likelihoods,
    online,
    reports,
    responses,
    seeds,
    training,
    verifiers,
)
from autoif_assets.assets.versions import CODE_VERSIONS, DEPENDS_ON
from autoif_assets.automation.schedules import MADE_NIGHTLY
from autoif_assets.automation.sensors import FOLLOW_BATCHES, FOLLOW_EXPORTS
from autoif_assets.method import prompts
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.warehouse import TABLES

_CONDITIONS = {
    "sft_dataset": FOLLOW_BATCHES,
    "preference_dataset": FOLLOW_BATCHES,
    "kto_dataset": FOLLOW_BATCHES,
    "report": FOLLOW_EXPORTS,
}


def _finished(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Add what is said of all assets in one place."""
    name = spec.key.to_user_string()
    section = TABLES[name].section if name in TABLES else ""
    return spec.replace_attributes(
        code_version=CODE_VERSIONS[name],
        automation_condition=_CONDITIONS.get(name),
        freshness_policy=MADE_NIGHTLY if name in _CONDITIONS else None,
        owners=["team:autoif"],
        tags={
            **spec.tags,
            **({"autoif/paper_section": section.partition(",")[0]} if section else {}),
        },
        metadata={**spec.metadata, **_prompts(DEPENDS_ON[name].get("prompts", ()))},
    )


def _prompts(roles: Iterable[str]) -> dict[str, dg.MetadataValue]:
    """Show the templates of the prompts an asset sends, with links to their files."""
    if not roles:
        return {}
    links: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
        dg.LocalFileCodeReference(
            file_path=str(files(prompts) / f"{role}.jinja"), line_number=1, label=f"prompt {role}"
        )
        for role in roles
    ]
    return {
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=links),
        **{
            f"prompt/{role}": dg.MetadataValue.md(f"````jinja\n{PROMPTS[role].source}\n````")
            for role in roles
        },
    }


def _in_runs(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Say how a backfill makes an asset: one run a batch.

    Dagster's runs of several batches have one step an asset for all of them: where one batch
    fails, none of the run's batches is made, and they can neither be repaired nor kept apart one
    by one.
    """
    if asset.partitions_def is None:
        return asset
    return asset.with_attributes(backfill_policy=dg.BackfillPolicy.multi_run(1))


_LOADED = dg.load_assets_from_modules(
    [
        *(seeds, instructions, verifiers, back_translations, responses, further, likelihoods),
        *(training, online, exports, reports),
    ]
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # of links to code
    ASSETS = [
        asset
        for asset in dg.with_source_code_references(
            [
                _in_runs(asset.map_asset_specs(_finished))
                for asset in _LOADED
                if isinstance(asset, dg.AssetsDefinition)
            ]
        )
        if isinstance(asset, dg.AssetsDefinition)
    ]

__all__ = ["ASSETS"]
