"""The constraint families, by name."""

from autoif_assets.simulator.constraints import Constraint, Family
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

FAMILIES = {
    family.name: family
    for group in (
        length.FAMILIES,
        keywords.FAMILIES,
        places.FAMILIES,
        letters.FAMILIES,
        scripts.FAMILIES,
        marks.FAMILIES,
        lists.FAMILIES,
        layout.FAMILIES,
        edges.FAMILIES,
    )
    for family in group
}


def family_of(constraint: Constraint) -> Family:
    """Return the family of a constraint."""
    return FAMILIES[constraint.family]
