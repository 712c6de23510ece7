# SPDX-License-Identifier: Apache-2.0
"""The examples in docker/ and the systemd unit: whole, hardened, and with configurations that the wall takes."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from wall import BINARY, ROOT

DOCKER = ROOT / "docker"
UNIT = ROOT / "config/systemd/picklewall.service.in"
POLICIES = {**os.environ, "PICKLEWALL_POLICIES": str(ROOT / "config/policies")}


def documents(name):
    found = list(yaml.safe_load_all((DOCKER / "kubernetes" / name).read_text()))
    for entry in found:
        assert entry["apiVersion"] and entry["kind"] and entry["metadata"]["name"]
    return found


def of_kind(entries, kind):
    return next(entry for entry in entries if entry["kind"] == kind)


def wall_of(name):
    """The pod's spec, and in it the wall's container."""
    pod = of_kind(documents(name), "Deployment")["spec"]["template"]["spec"]
    every = pod.get("initContainers", []) + pod["containers"]
    return pod, next(entry for entry in every if entry["name"] == "picklewall")


@pytest.fixture(name="check")
def fixture_check(tmp_path):
    def check(text):
        path = tmp_path / "picklewall.conf"
        path.write_text(text)
        state = {"PICKLEWALL_STATE": str(tmp_path / "state")}
        done = subprocess.run([BINARY, "check-config", "--config", path], capture_output=True, text=True, timeout=30,
                              env={**POLICIES, **state})
        assert done.returncode == 0, done.stderr
    return check


MANIFESTS = ["sidecar.yaml", "deployment.yaml"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_pod_is_locked_down(name):
    pod, wall = wall_of(name)
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                                      "seccompProfile": {"type": "RuntimeDefault"}}
    assert wall["securityContext"] == {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
                                       "capabilities": {"drop": ["ALL"]}}
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] > 10  # drain_timeout


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_probe_asks_its_question(name):
    _, wall = wall_of(name)
    for probe, option in (("startupProbe", "--startup"), ("readinessProbe", "--ready"), ("livenessProbe", "--live")):
        assert wall[probe]["exec"]["command"] == ["/usr/bin/picklewall", "health", option]
        assert wall[probe]["timeoutSeconds"] > 5  # how long `health` waits for an answer
    assert {"name": "PICKLEWALL_CONFIG", "value": wall["args"][-1]} in wall["env"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_is_mounted_is_there(name):
    pod, wall = wall_of(name)
    volumes = {entry["name"]: entry for entry in pod["volumes"]}
    assert {mount["name"] for mount in wall["volumeMounts"]} == set(volumes)
    assert not any("subPath" in mount for mount in wall["volumeMounts"])
    assert volumes["keys"]["secret"]["defaultMode"] == 0o440
    config = of_kind(documents(name), "ConfigMap")
    assert volumes["conf"]["configMap"]["name"] == config["metadata"]["name"]
    claim = volumes["state"].get("persistentVolumeClaim")
    assert claim is None or of_kind(documents(name), "PersistentVolumeClaim")["metadata"]["name"] == claim["claimName"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_services_find_the_pod_and_its_ports(name):
    entries = documents(name)
    service, deployment = of_kind(entries, "Service")["spec"], of_kind(entries, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    ports = {entry["name"]: entry["containerPort"] for entry in wall_of(name)[1]["ports"]}
    for entry in service["ports"]:
        assert ports[entry["targetPort"]] == entry["port"]


def test_the_sidecar_starts_before_its_consumer_and_outlives_it():
    pod, wall = wall_of("sidecar.yaml")
    assert wall in pod["initContainers"] and wall["restartPolicy"] == "Always"


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_wall_takes_the_configuration_of_the_manifest(name, check):
    text = of_kind(documents(name), "ConfigMap")["data"]["picklewall.conf"]
    assert 'bind = "tcp://0.0.0.0:8006"' in text
    check(text)


def test_compose_gives_the_consumer_the_network_of_the_wall(check):
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    wall, consumer = services["picklewall"], services["consumer"]
    assert consumer["network_mode"] == "service:picklewall" and "ports" not in consumer
    assert consumer["depends_on"] == {"picklewall": {"condition": "service_healthy"}}
    assert wall["read_only"] and wall["cap_drop"] == ["ALL"] and wall["security_opt"] == ["no-new-privileges:true"]
    assert wall["healthcheck"]["test"] == ["CMD", "/usr/bin/picklewall", "health"]
    assert wall["user"] == "65532:65532"
    check((DOCKER / "picklewall.conf").read_text())


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
def test_docker_compose_takes_the_file(tmp_path):
    env = {**os.environ, "CONSUMER_IMAGE": "consumer", "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = subprocess.run(["docker-compose", "-f", DOCKER / "compose.yaml", "config", "-q"], capture_output=True,
                          text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr


def test_the_image_and_the_manifests_agree_about_who_runs():
    text = (DOCKER / "Dockerfile").read_text()
    assert "\nUSER 65532:65532\n" in text
    assert 'CMD ["/usr/bin/picklewall", "health"]' in text
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["debian:12-slim", "scratch"]


@pytest.fixture(name="unit")
def fixture_unit(tmp_path):
    path = tmp_path / "picklewall.service"
    path.write_text(UNIT.read_text().replace("@CMAKE_INSTALL_FULL_BINDIR@/picklewall", BINARY))
    return path


def test_the_unit_says_what_the_wall_does(unit):
    text = unit.read_text()
    for line in ("Type=notify", "WatchdogSec=30s", "RestartPreventExitStatus=64 78", "StateDirectory=picklewall",
                 "User=picklewall", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict"):
        assert f"\n{line}\n" in text, line


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit_and_finds_little_exposed(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-300:]  # at most 2.0 of 10
