"""What deploy/ holds, looked at by those who read it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autoif_assets_tests.cluster.machines import DEPLOY
from autoif_assets_tests.dev.daemon import instance_of

pytestmark = pytest.mark.cluster

BIN = Path(sys.executable).parent


def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


def run(*command):
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_and_the_services_are_what_docker_takes():
    run("hadolint", DEPLOY / "Dockerfile")
    schema = ("--builtin-schema", "vendor.compose-spec")
    run("check-jsonschema", *schema, DEPLOY / "compose" / "compose.yaml")


def test_dagster_loads_its_settings(tmp_path, monkeypatch):
    pytest.importorskip("dagster_celery", reason="the extra cluster is not installed")
    monkeypatch.setenv("DAGSTER_CELERY_BROKER", "redis://nobody:1/0")
    settings = read("dagster.yaml")
    del settings["storage"]  # PostgreSQL is asked as soon as it is loaded
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with instance_of(tmp_path) as instance:
        assert type(instance.run_launcher).__name__ == "CeleryRunLauncher"
        assert instance.run_launcher.celery.conf.broker_url == "redis://nobody:1/0"
        assert instance.run_monitoring_enabled
        limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
        assert [limit["key"] for limit in limits] == ["dagster/partition"]


def test_workers_and_the_launcher_agree():
    launcher = read("dagster.yaml")["run_launcher"]["config"]
    worker = read("worker.yaml")["execution"]["config"]
    assert launcher["broker"] == worker["broker"]
    assert launcher["backend"] == worker["backend"]
    assert launcher["config_source"].items() <= worker["config_source"].items()


def test_pods_of_runs_are_what_dagster_makes():
    job = pytest.importorskip("dagster_k8s.job", reason="the extra kubernetes is not installed")
    launcher = read("kubernetes/values.yaml")["runLauncher"]["config"]["k8sRunLauncher"]
    # As the chart writes it into dagster.yaml.
    given = {
        re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): value
        for name, value in launcher["runK8sConfig"].items()
    }
    config = job.UserDefinedDagsterK8sConfig.from_dict(given)
    assert config.container_config["security_context"]["allow_privilege_escalation"] is False
    assert config.pod_spec_config["termination_grace_period_seconds"] == 120


def test_the_queue_of_kubernetes_is_that_of_the_other_clusters():
    daemon = read("kubernetes/values.yaml")["dagsterDaemon"]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    runs = read("dagster.yaml")["concurrency"]["runs"]
    assert queue["tagConcurrencyLimits"] == runs["tag_concurrency_limits"]
    assert daemon["runRetries"]["maxRetries"] == read("dagster.yaml")["run_retries"]["max_retries"]


def test_services_are_told_what_the_settings_ask_for():
    compose = read("compose/compose.yaml")["services"]
    needed = set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))
    for name in ("webserver", "daemon", "worker"):
        assert needed <= set(compose[name]["environment"])
    assert compose["worker"]["deploy"]["replicas"] == 2
