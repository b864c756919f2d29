"""One module a stage, in the order of the flow."""

import dagster as dg

from autoif_assets.assets import (
    back_translations,
    exports,
    instructions,
    responses,
    seeds,
    training,
    verifiers,
)

ASSETS = dg.load_assets_from_modules(
    [seeds, instructions, verifiers, back_translations, responses, training, exports]
)

__all__ = ["ASSETS"]
