"""The verifier sandbox: runs model-written `evaluate(response)` functions in confined processes.

with Sandbox(workers=2) as sandbox:
    for result in sandbox.evaluate(Unit(id, source, responses) for ...):
        result.outcomes  # one Outcome per response

To follow the confinement, read `inside/kernel.py` (what is taken away), `inside/zygote.py` (who
forks and watches), `inside/runner.py` (what a child does) and `inside/probes.py` (the self-test).
"""

from autoif_assets.sandbox.inside.modules import STANDARD as STANDARD_MODULES
from autoif_assets.sandbox.mutants import Mutant, mutants, quoted_texts
from autoif_assets.sandbox.pool import Sandbox, confinement, usable_cores
from autoif_assets.sandbox.report import ConfinementReport
from autoif_assets.sandbox.static import canonical_source, needs_query, static_check
from autoif_assets.sandbox.types import Limits, Outcome, Result, SandboxUnavailable, Unit

__all__ = [
    "STANDARD_MODULES",
    "ConfinementReport",
    "Limits",
    "Mutant",
    "Outcome",
    "Result",
    "Sandbox",
    "SandboxUnavailable",
    "Unit",
    "canonical_source",
    "confinement",
    "mutants",
    "needs_query",
    "quoted_texts",
    "static_check",
    "usable_cores",
]
