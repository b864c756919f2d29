"""What the sandbox says of itself, and that it refuses to run unconfined."""

import struct
import sys
from dataclasses import replace

import pytest

from autoif_assets.sandbox import (
    ConfinementReport,
    Limits,
    Sandbox,
    SandboxUnavailable,
    Unit,
    confinement,
)
from autoif_assets.sandbox.inside import kernel
from autoif_assets.sandbox.worker import Worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")


@linux
def test_report_of_this_machine():
    report = confinement()
    assert report.level in ("full", "seccomp")
    assert report.possible == []
    assert len(report.probes) > 60
    assert set(report.layers) == {"uid", "rlimits", "no_new_privs", "landlock", "seccomp"}
    assert f"confinement: {report.level}" in str(report)


@linux
def test_every_worker_tests_itself(monkeypatch):
    said, ready = [], Worker.ready
    monkeypatch.setattr(Worker, "ready", lambda worker: said.append(ready(worker)) or said[-1])
    with Sandbox(workers=2):
        assert [len(report["probes"]) > 60 for report in said] == [True, True]


@linux
def test_without_seccomp_it_refuses_and_names_the_options():
    with (
        pytest.raises(SandboxUnavailable, match=r"open a file.*allow_unconfined=True") as caught,
        Sandbox(workers=1, without=["seccomp"]),
    ):
        pass
    assert "seccomp left out" in str(caught.value)


@linux
def test_opt_out_by_name_runs_and_says_so():
    with Sandbox(workers=1, without=["seccomp"], allow_unconfined=True) as sandbox:
        assert sandbox.report.level == "none"
        assert sandbox.report.possible
        (result,) = sandbox.evaluate([Unit("x", "def evaluate(r): return True", ["a"])])
    assert result.outcomes == ("pass",)


@linux
def test_seccomp_alone_is_enough_and_reported():
    with Sandbox(workers=1, without=["landlock", "uid", "rlimits"]) as sandbox:
        assert sandbox.report.level == "seccomp"
        assert set(sandbox.report.missing) == {"landlock", "uid", "rlimits"}


def test_other_systems_are_refused_with_options(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match=r"Linux only.*container"), Sandbox():
        pass


def test_an_interpreter_that_does_not_start(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxUnavailable, match="did not start"), Sandbox(workers=1):
        pass


@linux
def test_a_missing_optional_module_is_named():
    with (
        pytest.raises(SandboxUnavailable, match="autoif_no_such_module"),
        Sandbox(workers=1, modules=["autoif_no_such_module"]),
    ):
        pass


def test_levels():
    assert ConfinementReport({"seccomp": "on"}, {"fork": False}).level == "full"
    assert ConfinementReport({"landlock": "unavailable: no"}, {"fork": False}).level == "seccomp"
    assert ConfinementReport({"seccomp": "on"}, {"fork": True}).level == "none"


@linux
def test_each_layer_that_is_missing_says_what_it_needs():
    with Sandbox(workers=1) as sandbox:
        report = sandbox.report
    assert ("in a container" in str(report)) == bool(report.missing)
    for name in report.layers:
        refused = replace(report, layers={**report.layers, name: "unavailable: EPERM"})
        said = str(refused).splitlines()
        assert "in a container, allow " in said[said.index(f"  {name}: unavailable: EPERM") + 1]
    assert "landlock_restrict_self" in str(replace(report, layers={"landlock": "unavailable: no"}))


@pytest.mark.parametrize("field", ["call_cpu_s", "call_wall_s", "unit_wall_s", "memory_mb"])
def test_limits_above_zero(field):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


# --- the filter, run instruction by instruction on both architectures -----------------------

KILL, EPERM, ENOSYS, ALLOW = 0x80000000, 0x00050001, 0x00050026, 0x7FFF0000


def run_filter(program, arch, nr, prot=0):
    """Interpret classic BPF over `struct seccomp_data`."""
    data = struct.pack("<iIQ6Q", nr, arch, 0, 0, 0, prot, 0, 0, 0)
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = struct.unpack_from("HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value,
                    0x45: bool(accumulator & value)}[code]  # fmt: skip
            at += yes if test else no


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request, monkeypatch):
    monkeypatch.setattr(kernel, "_MACHINE", request.param)
    return request.param


def test_filter_allows_only_what_it_lists(machine):
    program = kernel.seccomp_program()
    arch = kernel._AUDIT_ARCH[machine]
    free = {kernel.number(name) for name in kernel._ALLOWED} - {-1}
    memory = {kernel.number("mmap"), kernel.number("mprotect")}
    for nr in range(600):
        expected = ENOSYS if nr == 435 else ALLOW if nr in free | memory else EPERM
        assert run_filter(program, arch, nr) == expected, nr
        if nr in memory:
            assert run_filter(program, arch, nr, prot=4) == EPERM
            assert run_filter(program, arch, nr, prot=7) == EPERM
            assert run_filter(program, arch, nr, prot=3) == ALLOW


def test_filter_kills_foreign_architectures(machine):
    program = kernel.seccomp_program()
    for arch in {0xC000003E, 0xC00000B7, 0x40000003, 0x40000028} - {kernel._AUDIT_ARCH[machine]}:
        assert run_filter(program, arch, kernel.number("munmap")) == KILL
    beyond = run_filter(program, kernel._AUDIT_ARCH[machine], 0x40000000 + 1)
    assert beyond == (KILL if machine == "x86_64" else EPERM)
    assert run_filter(program, kernel._AUDIT_ARCH[machine], -1) in (KILL, EPERM)
