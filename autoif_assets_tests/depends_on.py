"""What every asset depends on besides its inputs, by the asset's name."""

import inspect

from autoif_assets.assets import ASSETS
from autoif_assets.code_versions import Dependencies, dependencies


def depends_on() -> dict[str, Dependencies]:
    found = {}
    for asset in ASSETS:
        function = inspect.unwrap(asset.op.compute_fn.decorated_fn)
        found |= dict.fromkeys((key.to_user_string() for key in asset.keys), dependencies(function))
    return found
