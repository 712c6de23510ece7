# SPDX-License-Identifier: Apache-2.0
"""The image that docker/build.sh makes, run as it is meant to be: read-only, without a capability, as nobody.

tests/image/run.sh builds it first, and says where podman keeps it.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from lines import check_lines  # noqa: E402

IMAGE = os.environ["IMAGE_TAG"]
TREE = pathlib.Path(os.environ["IMAGE_TREE"])  # what is in it, as stage.sh laid it out
BINARY = os.environ["IMAGE_BINARY"]
USER = 65532
HARD = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp", "--pids-limit",
        "64", "--memory", "128m", "--network", "none"]
CONFIG = """\
state = "/var/lib/picklewall"
quarantine
    max_messages = 1
channel
    jobs
        in
            bind = "tcp://127.0.0.1:8006"
        out
            bind = "tcp://127.0.0.1:8007"
        policy = "python-data"
"""


def podman(*words, code=0):
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=120, check=False)
    assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no sign of {what} in {seconds} s"
        time.sleep(0.1)


class Container:
    """The wall in its container, its state in a folder of ours."""

    def __init__(self, folder):
        self.name = f"wall-{os.getpid()}"
        self.state, self.config = folder / "state", folder / "picklewall.conf"
        self.state.mkdir(mode=0o700)
        os.chown(self.state, USER, USER)
        self.config.write_text(CONFIG)
        self.volumes = ["-v", f"{self.state}:/var/lib/picklewall",
                        "-v", f"{self.config}:/etc/picklewall/picklewall.conf:ro"]
        podman("run", "-d", "--name", self.name, *HARD, *self.volumes, IMAGE)
        self.pid = podman("inspect", "-f", "{{.State.Pid}}", self.name).stdout.strip()

    def exec(self, *words, code=0):
        return podman("exec", self.name, "/usr/bin/picklewall", *words, code=code)

    def health(self):
        """The exit code of `podman healthcheck run`: what HEALTHCHECK says."""
        return podman("healthcheck", "run", self.name, code=None).returncode

    def peer(self, *words):
        """A program in the network namespace of the wall, as a container of the same pod has it."""
        return subprocess.Popen(["nsenter", "-t", self.pid, "-n", "/usr/bin/python3", ROOT / "tests/image/peer.py",
                                 *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def run_peer(self, *words):
        with self.peer(*words) as program:
            out = program.communicate(timeout=60)[0]
        assert program.returncode == 0
        return out

    def lines(self):
        log = self.state / "audit.jsonl"
        return [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []

    def status(self):
        return json.loads(self.exec("ctl", "status", "--json").stdout)


@pytest.fixture(name="wall")
def fixture_wall(tmp_path):
    wall = Container(tmp_path)
    yield wall
    podman("rm", "-f", wall.name)


def inspected(image=IMAGE):
    return json.loads(podman("image", "inspect", image).stdout)[0]


def test_messages_pass_an_attack_does_not_health_turns_and_the_end_drains(wall, tmp_path):
    wait_for(lambda: wall.health() == 0, "health")
    with wall.peer("consume", 20) as consumer:
        wall.run_peer("send", 20)
        heard = consumer.communicate(timeout=60)[0]
    assert [json.loads(line) for line in heard.splitlines()] == [{"job": job} for job in range(20)]

    wall.run_peer("attack", tmp_path / "owned")
    wait_for(lambda: wall.health() != 0, "the quarantine to be full")
    refused = wall.exec("health", code=1)
    assert "the quarantine is full (quarantine.max_messages)" in refused.stderr
    frame = [line for line in wall.lines() if line["event"] == "frame" and line["verdict"] != "pass"]
    assert [(line["verdict"], line["reason"]) for line in frame] == [("quarantine", "import.denied")]
    assert not (tmp_path / "owned").exists()
    wall.exec("quarantine", "purge", "--reason", "seen", "ALL")
    assert wall.health() == 0

    wall.run_peer("send", 50)  # nobody takes them yet
    wait_for(lambda: wall.status()["channels"][0]["received"] >= 21, "the messages")
    with subprocess.Popen(["podman", "stop", "-t", "30", wall.name], stdout=subprocess.DEVNULL) as ending:
        with wall.peer("consume", 50) as consumer:
            heard = consumer.communicate(timeout=60)[0]
        assert ending.wait(60) == 0
    assert [json.loads(line) for line in heard.splitlines()] == [{"job": job} for job in range(50)]
    assert podman("inspect", "-f", "{{.State.ExitCode}}", wall.name).stdout == "0\n"
    stop = [line for line in wall.lines() if line["event"] == "stop"]
    assert [line["detail"]["channels"][0]["forwarded"] for line in stop] == [70]
    check_lines(wall.state / "audit.jsonl", torn=0)
    assert wall.health() != 0
    podman("run", "--rm", *HARD, *wall.volumes, IMAGE, "health", code=69)


def test_it_runs_as_nobody_and_has_no_shell(wall):
    for word in ("sh", "bash", "busybox", "ld.so"):
        assert not list(TREE.rglob(word))
    status = pathlib.Path(f"/proc/{wall.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == [str(USER)] * 4 and fields["Gid"].split() == [str(USER)] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    settings = inspected()["Config"]
    assert settings["User"] == f"{USER}:{USER}"
    assert settings["Entrypoint"] == ["/usr/bin/picklewall"] and settings["Cmd"] == ["run"]
    assert inspected()["Healthcheck"]["Test"] == ["CMD", "/usr/bin/picklewall", "health"]
    labels = settings["Labels"]
    version = json.loads(wall.exec("version", "--json").stdout)["picklewall"]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_without_a_volume_or_a_word_it_runs_with_what_it_brings():
    name = f"plain-{os.getpid()}"
    podman("run", "-d", "--name", name, *HARD, IMAGE)
    try:
        wait_for(lambda: podman("exec", name, "/usr/bin/picklewall", "health", code=None).returncode == 0, "health")
    finally:
        podman("stop", "-t", "20", name)
        assert podman("inspect", "-f", "{{.State.ExitCode}}", name).stdout == "0\n"
        podman("rm", "-f", "-v", name)


def test_the_same_files_make_the_same_layers(tmp_path):
    """Built again, elsewhere and at another time."""
    subprocess.run([ROOT / "docker/build.sh", "--binary", BINARY, "--tag", f"{IMAGE}-again", "--work", tmp_path],
                   check=True, stdout=subprocess.DEVNULL, timeout=300,
                   env={**os.environ, "SLIM": str(TREE.parents[1] / "slim")})
    first, again = inspected(), inspected(f"{IMAGE}-again")
    assert first["RootFS"] == again["RootFS"]
    assert first["Config"] == again["Config"] and first["Created"] == again["Created"]


def test_the_bill_of_materials_names_every_file_and_where_it_came_from():
    bill = json.loads((TREE / "usr/share/doc/picklewall/sbom.spdx.json").read_text())
    assert (bill["spdxVersion"], bill["dataLicense"], bill["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    files = {entry["fileName"]: entry for entry in bill["files"]}
    there = {f"./{path.relative_to(TREE)}" for path in TREE.rglob("*") if path.is_file()}
    assert set(files) == there - {"./usr/share/doc/picklewall/sbom.spdx.json"}
    for name, entry in files.items():
        data = (TREE / name).read_bytes()
        assert {sum_["algorithm"]: sum_["checksumValue"] for sum_ in entry["checksums"]} == {
            "SHA1": hashlib.sha1(data).hexdigest(), "SHA256": hashlib.sha256(data).hexdigest()}
    elements = [bill["SPDXID"]] + [entry["SPDXID"] for entry in bill["packages"] + bill["files"]]
    assert len(set(elements)) == len(elements)
    relations = [(entry["spdxElementId"], entry["relationshipType"], entry["relatedSpdxElement"])
                 for entry in bill["relationships"]]
    assert {element for one, _, other in relations for element in (one, other)} <= set(elements)
    contained = [other for _, kind, other in relations if kind == "CONTAINS"]
    assert sorted(contained) == sorted(entry["SPDXID"] for entry in bill["files"])  # each by one package
    assert ("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-picklewall") in relations
    purls = [ref["referenceLocator"] for entry in bill["packages"] for ref in entry.get("externalRefs", [])]
    assert any(purl.startswith("pkg:deb/debian/libzmq5@4.3") for purl in purls)
    assert len(purls) == len(bill["packages"]) - 1  # all but our own
