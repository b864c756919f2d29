"""How far verifier code is confined on this machine, in words for people and metadata."""

from dataclasses import dataclass

_OPTIONS = (
    "Options: run on Linux 5.13 or later (x86_64 or aarch64), in WSL2 or in a Linux container "
    "whose runtime lets processes install seccomp filters (Docker's and Podman's defaults do); "
    "or, only for verifiers you would run with your own rights, open the sandbox with "
    "allow_unconfined=True (Linux)."
)

# What each layer needs that can be missing: the kernel's part, and what the profile of a container
# (its seccomp filter) has to let through.
_NEEDS = {
    "uid": "in a container, allow setgroups, setresgid and setresuid, or run it as another user",
    "rlimits": "in a container, allow prctl and prlimit64",
    "no_new_privs": "in a container, allow prctl",
    "landlock": (
        "needs Linux 5.13 or later with landlock in /sys/kernel/security/lsm; in a container, "
        "allow landlock_create_ruleset, landlock_add_rule and landlock_restrict_self"
    ),
    "seccomp": (
        "needs Linux built with seccomp filters; in a container, allow prctl and seccomp, as "
        "Docker's and Podman's default profiles and Kubernetes' RuntimeDefault do"
    ),
}


@dataclass(frozen=True, slots=True)
class ConfinementReport:
    """What a worker reached.

    Attributes:
        layers: Layer → its state; "unavailable: …" or "left out" where it is missing.
        probes: Forbidden act → True if a confined child could do it.
    """

    layers: dict[str, str]
    probes: dict[str, bool]

    @property
    def possible(self) -> list[str]:
        """Forbidden acts that worked in the self-test."""
        return [name for name, worked in self.probes.items() if worked]

    @property
    def missing(self) -> list[str]:
        """Layers that are not in place."""
        return [
            name
            for name, state in self.layers.items()
            if state == "left out" or state.startswith("unavailable")
        ]

    @property
    def level(self) -> str:
        """`full`, `seccomp` (the boundary holds, a second layer is missing) or `none`."""
        if self.possible:
            return "none"
        return "seccomp" if self.missing else "full"

    def __str__(self) -> str:
        lines = [f"confinement: {self.level}"]
        for name, state in self.layers.items():
            lines.append(f"  {name}: {state}")
            if state.startswith("unavailable"):
                lines.append(f"    {_NEEDS[name]}")
        denied = len(self.probes) - len(self.possible)
        lines.append(f"  self-test: {denied} of {len(self.probes)} forbidden acts denied")
        lines += [f"    possible: {name}" for name in self.possible]
        return "\n".join(lines)


def refusal(report: ConfinementReport | None) -> str:
    """Why nothing is run here; `None` stands for a system other than Linux."""
    if report is None:
        return f"Verifier code can be confined on Linux only. {_OPTIONS}"
    missing = (
        "; ".join(f"{name} {report.layers[name]}" for name in report.missing) or "none missing"
    )
    return (
        "Verifier code would not be confined on this machine: in the self-test a verifier could "
        f"{', '.join(report.possible[:5])}{' …' if len(report.possible) > 5 else ''} "
        f"(layers: {missing}). {_OPTIONS}"
    )
