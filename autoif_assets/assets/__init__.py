"""One module a stage, in the order of the flow."""

import dagster as dg

from autoif_assets.assets import (
    back_translations,
    exports,
    instructions,
    labelled,
    likelihoods,
    online,
    reports,
    responses,
    seeds,
    training,
    verifiers,
)

ASSETS = [
    asset
    for asset in dg.load_assets_from_modules(
        [
            *(seeds, instructions, verifiers, back_translations, labelled, responses),
            likelihoods,
            *(training, online, exports, reports),
        ]
    )
    if isinstance(asset, dg.AssetsDefinition)
]

__all__ = ["ASSETS"]
