"""One module a stage, in the order of the flow."""

from collections.abc import Iterable

import dagster as dg

from autoif_assets.assets import (
    back_translations,
    exports,
    instructions,
    online,
    reports,
    responses,
    seeds,
    training,
    verifiers,
)
from autoif_assets.assets.versions import CODE_VERSIONS, DEPENDS_ON
from autoif_assets.automation.sensors import FOLLOW_BATCHES, FOLLOW_EXPORTS
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.warehouse import TABLES

_CONDITIONS = {
    "sft_dataset": FOLLOW_BATCHES,
    "preference_dataset": FOLLOW_BATCHES,
    "report": FOLLOW_EXPORTS,
}


def _finished(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Add what is said of all assets in one place."""
    name = spec.key.to_user_string()
    section = TABLES[name].section if name in TABLES else ""
    return spec.replace_attributes(
        code_version=CODE_VERSIONS[name],
        automation_condition=_CONDITIONS.get(name),
        owners=["team:autoif"],
        tags={
            **spec.tags,
            **({"autoif/paper_section": section.partition(",")[0]} if section else {}),
        },
        metadata={**spec.metadata, **_prompts(DEPENDS_ON[name].get("prompts", ()))},
    )


def _prompts(roles: Iterable[str]) -> dict[str, dg.MetadataValue]:
    """Show the templates of the prompts an asset sends."""
    return {
        f"prompt/{role}": dg.MetadataValue.md(f"````jinja\n{PROMPTS[role].source}\n````")
        for role in roles
    }


_LOADED = dg.load_assets_from_modules(
    [
        seeds,
        instructions,
        verifiers,
        back_translations,
        responses,
        training,
        online,
        exports,
        reports,
    ]
)
ASSETS = [
    asset.map_asset_specs(_finished) for asset in _LOADED if isinstance(asset, dg.AssetsDefinition)
]

__all__ = ["ASSETS"]
