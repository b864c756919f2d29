"""AutoIF as Dagster assets: verified instruction-following training data.

`import autoif_assets as autoif` offers `autoif.preview`, `autoif.run`,
`autoif.dataset`, `autoif.sql`, `autoif.verify` and the package `autoif.rewards`, which are loaded
when they are first used.
"""

__version__ = "0.2.0"

# Of `typing`, which is not loaded for the version alone; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from autoif_assets import rewards
    from autoif_assets.api import RunFailed, dataset, preview, run, sql, verify

__all__ = ["RunFailed", "__version__", "dataset", "preview", "rewards", "run", "sql", "verify"]


def __getattr__(name: str) -> object:
    """Load the API when something of it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "rewards":
        return import_module("autoif_assets.rewards")
    found: object = getattr(import_module("autoif_assets.api"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Name what is there without loading it."""
    return sorted({*globals(), *__all__})
