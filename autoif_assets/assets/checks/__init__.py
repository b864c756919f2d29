"""Asset checks: what is wrong with what was made; blocking where data would be poisoned."""

from autoif_assets.assets.checks.pass_again import PASS_AGAIN
from autoif_assets.assets.checks.splits import SPLITS
from autoif_assets.assets.checks.tables import OF_TABLES

CHECKS = [*OF_TABLES, *PASS_AGAIN, *SPLITS]

__all__ = ["CHECKS"]
