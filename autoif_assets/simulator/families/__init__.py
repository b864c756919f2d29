"""The constraint families, by name."""

from autoif_assets.simulator.constraint import by_name
from autoif_assets.simulator.families import (
    edges,
    keywords,
    layout,
    length,
    letters,
    lists,
    marks,
    places,
    scripts,
)

FAMILIES = by_name(
    module.FAMILIES
    for module in (length, keywords, places, letters, scripts, marks, lists, layout, edges)
)
