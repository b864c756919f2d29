"""Models that tests and benchmarks ask in the place of the simulator's default one."""

from typing import Any

from autoif_assets.simulator import SimulatorSettings

# Of the settings that say what goes wrong, those at which nothing does.
NO_ERRORS: dict[str, Any] = {
    **{
        name: 0.0
        for name in SimulatorSettings.__dataclass_fields__
        if name.endswith("_rate") and not name.startswith("fault")
    },
    "repair_rate": 1.0,
    "correlated_flaws": 0,
}
PERFECT = SimulatorSettings(**NO_ERRORS)

# A better model than the default one: of small batches something is left at every stage.
MILD: dict[str, Any] = {
    "misread_rate": 0.07,
    "wrong_verifier_rate": 0.10,
    "defect_rate": 0.06,
    "correlated_flaws": 0,
    "wrong_case_rate": 0.12,
    "one_sided_cases_rate": 0.0,
    "unfaithful_rate": 0.003,
    "nli_error_rate": 0.005,
}
