# SPDX-License-Identifier: Apache-2.0
"""Metrics and health over HTTP: what is told, to whom, and that nobody holds the wall up with it."""

import http.client
import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
import zmq
from lines import ROOT
from wall import BINARY, HOSTILE, channel, free_port, tcp
from web import WebWall

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
CLEAN = 40
CONNECTIONS = int(os.environ.get("WEB_CONNECTIONS", "1000"))


def needs(tool):
    found = shutil.which(tool, path=f"{ROOT}/build/tools:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{tool} is not here; .ci/install-deps.sh test fetches it")
    return found


@pytest.fixture(name="wall")
def fixture_wall(tmp_path):
    with WebWall(tmp_path / "wall") as wall:
        yield wall


def send_all(wall, push, pull):
    """40 clean messages and one of each attack go through."""
    for number in range(CLEAN):
        push.send(pickle.dumps(number))
    for attack in HOSTILE.values():
        push.send(attack)
    assert [pickle.loads(pull.recv()) for _ in range(CLEAN)] == list(range(CLEAN))
    wall.settled(**{"pass": CLEAN, "quarantine": len(HOSTILE)})


@pytest.fixture(name="busy", scope="module")
def fixture_busy(tmp_path_factory):
    """For tests that only look."""
    with WebWall(tmp_path_factory.mktemp("busy"), top='http_name = "wall.service"') as wall:
        context = zmq.Context()
        push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        push.connect(wall.source)
        pull.connect(wall.target)
        pull.rcvtimeo = 20000
        send_all(wall, push, pull)
        yield wall
        context.destroy(linger=0)


def test_metrics_tell_what_happened(busy):
    text = busy.metrics()
    at = 'picklewall_{}{{channel="jobs",{}}}'
    assert busy.metric(at.format("messages_total", 'verdict="drop"'), text) == 0
    assert busy.metric(at.format("bytes_total", 'direction="out"'), text) == sum(
        len(pickle.dumps(number)) for number in range(CLEAN))
    assert busy.metric(at.format("findings_total", 'reason="import.denied"'), text) >= 3
    assert busy.metric(at.format("signature_results_total", 'state="none"'), text) == CLEAN + len(HOSTILE)
    scans = busy.metric('picklewall_scan_seconds_count{channel="jobs"}', text)
    assert 1 <= scans <= CLEAN + len(HOSTILE)
    assert busy.metric(at.format("scan_seconds_bucket", 'le="+Inf"'), text) == scans
    assert busy.metric('picklewall_quarantine_items{state="held"}', text) == len(HOSTILE)
    assert abs(busy.metric("picklewall_quarantine_oldest_timestamp_seconds", text) - time.time()) < 60
    assert busy.metric('picklewall_healthy{probe="ready"}', text) == 1
    assert busy.metric("process_open_fds", text) > 10
    assert busy.metric("process_resident_memory_bytes", text) > 1 << 20
    assert "127.0.0.1" not in text and "nt system" not in text


def test_the_chain_is_as_long_as_the_log(busy):
    def fits():
        return busy.metric("picklewall_audit_chain_size") == busy.lines()[-1]["seq"]
    busy.wait_for(fits, "the number of the last line")


@pytest.mark.parametrize(("accept", "kind"), [("*/*", PLAIN), (PROMETHEUS, OPEN), ("text/html", PLAIN)])
def test_the_form_is_the_one_that_was_asked_for(busy, accept, kind):
    status, headers, body = busy.ask("/metrics", Accept=accept)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert body.endswith(b"# EOF\n") == (kind == OPEN)


def test_promtool_finds_nothing_wrong(busy):
    done = subprocess.run([needs("promtool"), "check", "metrics"], input=busy.metrics(), capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_prometheus_scrapes_it(busy, tmp_path):
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text("global: {scrape_interval: 500ms}\n"
                      f"rule_files: ['{ROOT}/config/prometheus/alerts.yml']\n"
                      "scrape_configs:\n"
                      f"  - {{job_name: picklewall, static_configs: [{{targets: ['127.0.0.1:{busy.port}']}}]}}\n")
    server = subprocess.Popen(
        [needs("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(words):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": words})
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                return [row["value"][1] for row in json.load(reply)["data"]["result"]]
        except OSError:
            return []
    try:
        busy.wait_for(lambda: query('up{job="picklewall"}') == ["1"], "a scrape", seconds=40)
        assert query('picklewall_messages_total{verdict="pass"}') == [str(CLEAN)]
        assert query("sum(picklewall_findings_total) > 0") != []
    finally:
        server.terminate()
        server.wait(20)


def test_rules_and_dashboard_name_only_metrics_that_are_there(busy):
    there = set(re.findall(r"^([a-z_]+)[ {]", busy.metrics(), re.M)) | {
        "picklewall_key_not_after_timestamp_seconds", "picklewall_quarantine_oldest_timestamp_seconds"}
    for path in ("config/prometheus/alerts.yml", "config/grafana/picklewall.json"):
        named = set(re.findall(r"\b(?:picklewall|process)_[a-z_]+", (ROOT / path).read_text()))
        assert len(named) > 10 and named <= there, path
    rules = str(ROOT / "config/prometheus/alerts.yml")
    subprocess.run([needs("promtool"), "check", "rules", rules], check=True, capture_output=True, timeout=60)


def test_health_says_the_cause(wall, tmp_path):
    for path in ("/livez", "/readyz", "/startupz"):
        assert wall.ask(path)[::2] == (200, b"ok\n")
    wall.stop()
    keys = tmp_path / "keys"
    subprocess.run([BINARY, "key", "new", "--suite", "blake2b", "--id", "a", "--out", keys], check=True,
                   capture_output=True, timeout=60)
    with WebWall(tmp_path / "other", keys=keys) as other:
        (keys / "broken.pwkey").write_text("no key")
        other.wait_for(lambda: other.ask("/readyz")[0] == 503, "the broken folder to be told")
        assert b"broken.pwkey" in other.ask("/readyz")[2]
        assert other.ask("/livez")[0] == 200
        assert other.metric("picklewall_config_last_reload_successful") == 0
        assert other.metric('picklewall_key_usable{kid="a"}') == 1
        assert "broken.pwkey" in other.events()[0]["reload"]["error"]
        (keys / "broken.pwkey").unlink()
        other.wait_for(lambda: other.ask("/readyz")[0] == 200, "the folder to be in order")


def test_a_refused_configuration_is_told_and_the_old_one_runs_on(wall):
    good = wall.config.read_text()
    wall.config.write_text(good.replace("python-data", "python-dada"))
    done = subprocess.run([BINARY, "ctl", "reload", "--socket", wall.state / "control.sock"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and "python-dada" in done.stderr
    wall.wait_for(lambda: wall.metric("picklewall_config_last_reload_successful") == 0, "the refusal in the metrics")
    assert wall.metric('picklewall_config_reloads_total{result="refused"}') == 1
    reload = wall.events()[0]["reload"]
    assert not reload["good"] and f"{wall.config.name}:" in reload["error"] and "python-dada" in reload["error"]
    assert "python-dada" in wall.words.read_text()
    wall.config.write_text(good)
    subprocess.run([BINARY, "ctl", "reload", "--socket", wall.state / "control.sock"], check=True, timeout=60,
                   capture_output=True)
    wall.wait_for(lambda: wall.metric("picklewall_config_last_reload_successful") == 1, "the end of it")
    assert wall.events()[0]["reload"]["good"]


@pytest.mark.parametrize(("host", "status"), [
    ("127.0.0.1", 200), ("localhost:9", 200), ("LOCALHOST", 200), ("[::1]:9101", 200), ("10.1.2.3", 200),
    ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil:80", 421), ("", 421), ("[::1", 421),
    ("wall.service", 200), ("127.0.0.1:80:80", 421), (socket.gethostname(), 200),
])
def test_a_page_of_another_site_is_refused(busy, host, status):
    assert busy.ask("/", Host=host)[0] == status


def test_nothing_can_be_changed(busy):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X"):
        assert busy.ask("/", method=method)[0] == 405
    assert busy.ask("/nothing")[0] == 404
    status, headers, body = busy.ask("/metrics", method="HEAD")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/icon.svg", "/metrics", "/livez", "/nothing"])
def test_every_answer_is_strict(busy, path):
    headers = busy.ask(path)[1]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_events_bring_findings_once(busy):
    first, second = busy.events(2)
    assert [line["n"] for line in first["findings"]] == list(range(len(HOSTILE), 0, -1))
    assert second["findings"] == [] and second["now"] > first["now"]
    assert {"mod": "os", "name": "system", "count": 2} in first["globals"]
    assert "src" not in json.dumps(first["findings"])
    assert first["channels"][0]["pass"] == CLEAN and sum(second["channels"][0]["passed"]) <= CLEAN


def test_a_finding_shows_the_opcodes_around_it(busy):
    lines = busy.events()[0]["findings"]
    line = next(line for line in lines if line["msg"]["bytes"] == len(HOSTILE["text"]))
    told = json.loads(busy.ask(f"/finding?entry={line['q']['entry']}")[2])
    marked = [op for op in told["ops"] if "mark" in op]
    assert marked == [{"off": line["finds"][0]["off"], "op": "GLOBAL", "arg": "os system", "mark": True}]
    assert busy.ask("/finding?entry=01ARZ3NDEKTSV4RRFFQ69G5FAV")[0] == 404
    assert busy.ask("/finding")[0] == 404 and busy.ask("/finding?entry=../../lock")[0] == 404


def test_streams_are_counted(wall):
    streams = []
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", wall.port, timeout=20)
        connection.request("GET", "/events")
        streams.append((connection, connection.getresponse().status))
    assert [status for _, status in streams] == [200] * 16 + [503] * 4
    for connection, _ in streams:
        connection.close()
    wall.wait_for(lambda: wall.ask("/events", method="HEAD")[0] == 200, "a place to be free")
    assert wall.stop() == 0


def test_a_crowd_does_not_hold_the_wall(wall, sockets):
    """A thousand who say nothing, garbage, endless headers, one letter at a time; messages go on, and then it answers."""
    push, pull = sockets(zmq.PUSH, connect=[wall.source]), sockets(zmq.PULL, connect=[wall.target])
    crowd = []
    for number in range(CONNECTIONS):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", wall.port))
        crowd.append(client)
        if number % 4 == 1:
            send(client, b"\x00\xff" * 100)
        elif number % 4 == 2:
            send(client, b"GET / HTTP/1.1\r\nX: " + b"a" * 20000)
        elif number % 4 == 3:
            send(client, b"G")
    start = time.monotonic()
    for number in range(2000):
        push.send(pickle.dumps(number))
        assert pickle.loads(pull.recv()) == number
    assert time.monotonic() - start < 10
    for client in crowd:
        client.close()
    wall.wait_for(lambda: answers(wall), "an answer behind the crowd", seconds=30)
    assert wall.metric("process_open_fds") < 200


def send(client, data):
    try:
        client.send(data)
    except OSError:
        pass


def answers(wall):
    try:
        return wall.ask("/livez", timeout=5)[0] == 200
    except OSError:
        return False


def test_who_is_slow_is_hung_up_on(wall):
    with socket.create_connection(("127.0.0.1", wall.port), timeout=20) as slow:
        slow.settimeout(0.5)
        start = time.monotonic()
        while time.monotonic() - start < 15:
            send(slow, b"G")
            try:
                if slow.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert 1 < time.monotonic() - start < 6
    assert wall.ask("/livez")[0] == 200


def test_a_wall_with_open_pages_ends(wall):
    connection = http.client.HTTPConnection("127.0.0.1", wall.port, timeout=20)
    connection.request("GET", "/events")
    reply = connection.getresponse()
    assert reply.readline().startswith(b"data:")
    wall.signal(signal.SIGTERM)
    assert wall.process.wait(20) == 0
    connection.close()


def test_an_address_that_is_taken_stops_the_start(tmp_path, wall):
    other = WebWall(tmp_path / "other")
    other.config.write_text(re.sub(r"http = .*", f'http = "127.0.0.1:{wall.port}"', other.config.read_text()))
    done = subprocess.run([BINARY, "run", "--config", other.config], capture_output=True, text=True, timeout=30,
                          env=other.environment)
    assert done.returncode == 73 and re.search(r"picklewall.conf:\d+: http: 127.0.0.1:\d+: Address already in use", done.stderr)


def test_an_open_address_is_warned_of(tmp_path):
    with WebWall(tmp_path / "wall", host="0.0.0.0") as wall:
        assert "http: other machines can read" in wall.words.read_text()
        assert wall.ask("/metrics")[0] == 200
    with WebWall(tmp_path / "second", host="localhost") as wall:
        assert "other machines" not in wall.words.read_text()


def test_labels_are_names_of_the_configuration_only(tmp_path, sockets):
    source, target = tcp(), tcp()
    with WebWall(tmp_path / "wall", channel("a.b-c_1", in_bind=[source], out_bind=[target])) as wall:
        push = sockets(zmq.PUSH, connect=[source])
        push.send(b'czork"il\\\nna}me\n.')
        wall.wait_for(lambda: wall.metric(
            'picklewall_messages_total{channel="a.b-c_1",verdict="quarantine"}') == 1, "the refusal to be counted")
        assert "zork" not in re.sub(r"reason=\"[a-z_.]+\"|# .*", "", wall.metrics())
