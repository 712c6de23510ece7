# SPDX-License-Identifier: Apache-2.0
"""The status page in a headless Chromium: what a person sees, and can click. PAGE_SHOTS=FOLDER keeps pictures."""

import os
import pathlib
import pickle
import subprocess

import pytest
import zmq
from wall import BINARY, HOSTILE, channel, tcp
from web import WebWall

browser = pytest.importorskip("browser", reason="python3-websocket is not here; .ci/install-deps.sh test installs it")
if browser.BINARY is None:
    pytest.skip("chromium is not here; .ci/install-deps.sh test installs it", allow_module_level=True)

NASTY = '<img src=x onerror=alert("module")>'
SHOTS = os.environ.get("PAGE_SHOTS")
CLEAN = 50


def glob(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n(V id\ntR."


@pytest.fixture(name="page", scope="module")
def fixture_page():
    with browser.Browser() as page:
        yield page


@pytest.fixture(name="wall", scope="module")
def fixture_wall(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    subprocess.run([BINARY, "key", "new", "--suite", "blake2b", "--id", "prod-2027", "--out", folder / "keys"],
                   check=True, capture_output=True, timeout=60)
    source, target = tcp(), tcp()
    more = channel("results", in_bind=[source], out_bind=[target], sign="prod-2027", on_violation="drop")
    with WebWall(folder / "wall", more, keys=folder / "keys", top='instance = "wall-1"') as wall:
        context = zmq.Context()
        jobs, done, results = context.socket(zmq.PUSH), context.socket(zmq.PULL), context.socket(zmq.PUSH)
        for peer, address in ((jobs, wall.source), (done, wall.target), (results, source)):
            peer.linger, peer.rcvtimeo = 0, 20000
            peer.connect(address)
        for number in range(CLEAN):
            jobs.send(pickle.dumps(number))
        for message in (*HOSTILE.values(), glob(NASTY, NASTY), glob("os", "system")):
            jobs.send(message)
        results.send(glob("builtins", "exec"))
        for _ in range(CLEAN):
            done.recv()
        wall.settled(**{"pass": CLEAN, "quarantine": len(HOSTILE) + 2})
        wall.jobs = jobs
        yield wall
        context.destroy(linger=0)


@pytest.fixture(name="opened", params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], scope="module",
                ids=lambda p: f"{p[0]}-{p[1]}")
def fixture_opened(request, page, wall):
    width, scheme = request.param
    page.errors.clear()
    page.look(width, scheme=scheme)
    page.open(f"http://127.0.0.1:{wall.port}/")
    page.wait("document.querySelectorAll('#findings details').length >= 8")
    page.name = f"{width}-{scheme}"
    page.width = width
    yield page
    if SHOTS:
        page.look(width, height=page.run("document.documentElement.scrollHeight"), scheme=scheme)
        page.shoot(pathlib.Path(SHOTS) / f"{page.name}.png")


def text(page, selector):
    return page.run(f"document.querySelector({selector!r}).innerText")


def test_what_is_known_is_there(opened):
    assert text(opened, "#state") == "ready" and "wall-1" in text(opened, "h1")
    assert text(opened, "#passed") == str(CLEAN)
    assert int(text(opened, "#quarantined")) >= len(HOSTILE) + 2 and text(opened, "#dropped") == "1"
    cards = opened.run("[...document.querySelectorAll('#channels article')].map(a => a.innerText)")
    assert len(cards) == 2 and "jobs" in cards[0] and "results" in cards[1]
    assert opened.run("document.querySelectorAll('#channels svg path').length") >= 2
    assert "import.denied" in text(opened, "#reasons") and "os system" in text(opened, "#globals")
    assert "prod-2027" in text(opened, "#keys")
    assert "yes" in text(opened, "#audit") and "held" in text(opened, "#held")


def test_a_hostile_name_is_text(opened):
    assert NASTY in text(opened, "#globals") and NASTY in text(opened, "#findings")
    assert opened.run("document.querySelectorAll('img[src=x], main img, main script').length") == 0
    assert opened.errors == []


def test_it_fits_the_screen(opened):
    assert opened.run("document.documentElement.scrollWidth") == opened.width


def test_a_finding_opens_and_shows_the_marked_opcode(opened):
    opened.run("document.querySelectorAll('#findings details[open]').forEach(d => d.open = false)")
    opened.run("[...document.querySelectorAll('#findings summary')].find(s => s.innerText.includes('os system'))"
               ".id = 'chosen'")
    opened.click("#chosen")
    marked = opened.wait("document.querySelector('#findings details[open] tr.mark')?.innerText")
    assert "GLOBAL" in marked and "os system" in marked
    assert "REDUCE" in text(opened, "#findings details[open] .code")
    opened.run("document.querySelector('#chosen').focus()")
    opened.press_enter()
    opened.wait("!document.querySelector('#chosen').parentElement.open")
    opened.press_enter()
    opened.wait("document.querySelector('#chosen').parentElement.open")
    opened.run("document.querySelector('#chosen').removeAttribute('id')")


def test_a_channel_can_be_picked(opened):
    shown = "[...document.querySelectorAll('#findings details')].filter(d => !d.hidden).length"
    opened.run("(e => { e.value = 'results'; e.dispatchEvent(new Event('change')); })(document.querySelector('#pick'))")
    assert opened.run(shown) == 1
    opened.run("(e => { e.value = ''; e.dispatchEvent(new Event('change')); })(document.querySelector('#pick'))")
    assert opened.run(shown) >= 8


def test_everything_has_a_name(opened):
    """Of what assistive technology sees: no control and no picture without words."""
    nodes = opened.ask("Accessibility.getFullAXTree")["nodes"]
    wanted = {"button", "combobox", "link", "image", "heading", "meter", "DisclosureTriangle"}
    seen = [node for node in nodes if node.get("role", {}).get("value") in wanted and not node["ignored"]]
    assert len(seen) > 10
    assert [node for node in seen if not node.get("name", {}).get("value")] == []


def test_news_come_by_themselves_and_can_be_paused(wall, page):
    page.look(1280)
    page.open(f"http://127.0.0.1:{wall.port}/")
    page.wait("document.querySelectorAll('#findings details').length >= 8")
    passed = int(wall.metric('picklewall_messages_total{channel="jobs",verdict="quarantine"}'))
    page.click("#pause")
    assert text(page, "#pause") == "Go on"
    wall.jobs.send(glob("late", "arrival"))
    wall.wait_for(lambda: wall.metric('picklewall_messages_total{channel="jobs",verdict="quarantine"}') == passed + 1,
                  "the late message")
    page.run("new Promise(done => setTimeout(done, 1200))")
    assert "arrival" not in text(page, "#findings")
    page.click("#pause")
    page.wait("document.querySelector('#findings').innerText.includes('late arrival')")


def test_a_refused_configuration_is_seen(wall, page):
    page.look(1280)
    page.open(f"http://127.0.0.1:{wall.port}/")
    page.wait("document.querySelector('#reload')?.innerText.includes('good')")
    good = wall.config.read_text()
    wall.config.write_text(good.replace("python-data", "python-dada"))
    order = [BINARY, "ctl", "reload", "--socket", wall.state / "control.sock"]
    assert subprocess.run(order, capture_output=True, timeout=60).returncode == 1
    page.wait("document.querySelector('#reload')?.innerText.includes('python-dada')")
    assert "refused" in text(page, "#reload")
    wall.config.write_text(good)
    subprocess.run(order, check=True, capture_output=True, timeout=60)
    page.wait("document.querySelector('#reload') && !document.querySelector('#reload').innerText.includes('python-dada')")
