# SPDX-License-Identifier: Apache-2.0
"""Who binds, who connects, over what, and what holds whom back."""

import pickle
import socket
import subprocess
import time

import pytest
import zmq
from wall import BINARY, HOSTILE, SANITIZED, Wall, channel, tcp


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def ipv6():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return f"tcp://[::1]:{probe.getsockname()[1]}"


def flow(push, pull, count=200):
    for number in range(count):
        push.send(pickle.dumps(number))
    assert [pickle.loads(pull.recv()) for _ in range(count)] == list(range(count))


def address(transport, folder, name):
    if transport == "ipc path":
        return f"ipc://{folder}/{name}"
    if transport == "ipc abstract":
        return f"ipc://@picklewall-{folder.name}-{time.monotonic_ns()}-{name}"
    if transport == "ipv6":
        return ipv6()
    return tcp()


@pytest.mark.parametrize("transport", ["tcp", "ipc path", "ipc abstract", "ipv6"])
@pytest.mark.parametrize("in_binds", [True, False])
@pytest.mark.parametrize("out_binds", [True, False])
def test_every_side_binds_or_connects(tmp_path, sockets, transport, in_binds, out_binds):
    if transport == "ipv6" and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    source, target = address(transport, tmp_path, "in"), address(transport, tmp_path, "out")
    lane = channel(
        "jobs",
        in_bind=[source] if in_binds else [],
        in_connect=[] if in_binds else [source],
        out_bind=[target] if out_binds else [],
        out_connect=[] if out_binds else [target],
    )
    push = sockets(zmq.PUSH, **{"connect" if in_binds else "bind": [source]})
    pull = sockets(zmq.PULL, **{"connect" if out_binds else "bind": [target]})
    with Wall(tmp_path / "wall", lane) as wall:
        flow(push, pull)
        assert wall.stop() == 0
        assert wall.counts("jobs")["forwarded"] == 200


def test_a_wall_that_connects_to_its_producer_drains_it_too(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_connect=[source], out_connect=[target])
    push, pull = sockets(zmq.PUSH, bind=[source]), sockets(zmq.PULL, bind=[target])
    with Wall(tmp_path / "wall", lane) as wall:
        for number in range(5000):
            push.send(pickle.dumps(number))
        assert wall.stop() == 0
        wall.start()
        assert [pickle.loads(pull.recv()) for _ in range(5000)] == list(range(5000))


def test_several_endpoints_on_both_sides(tmp_path, sockets):
    sources, targets = [tcp(), f"ipc://{tmp_path}/in", tcp()], [tcp(), f"ipc://{tmp_path}/out"]
    lane = channel("jobs", in_bind=sources[:2], in_connect=sources[2:], out_bind=targets)
    pushes = [sockets(zmq.PUSH, connect=[at]) for at in sources[:2]]
    pushes.append(sockets(zmq.PUSH, bind=sources[2:]))
    with Wall(tmp_path / "wall", lane) as wall:
        pull = sockets(zmq.PULL, connect=targets)
        for number in range(300):
            pushes[number % 3].send(pickle.dumps(number))
        got = [pickle.loads(pull.recv()) for _ in range(300)]
        assert sorted(got) == list(range(300))
        wall.stop()
        assert wall.counts("jobs")["forwarded"] == 300


def test_two_channels_do_not_mix(tmp_path, sockets):
    ends = [tcp() for _ in range(4)]
    lanes = [
        channel("jobs", in_bind=[ends[0]], out_bind=[ends[1]]),
        channel("results", in_bind=[ends[2]], out_bind=[ends[3]], on_violation="drop"),
    ]
    with Wall(tmp_path / "wall", *lanes) as wall:
        for name, source, target in (("jobs", ends[0], ends[1]), ("results", ends[2], ends[3])):
            push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
            push.send(HOSTILE["reduce"])
            flow(push, pull)
            wall.wait_for(lambda: len([line for line in wall.frames() if line["chan"] == name]) == 201, "lines")
    verdicts = {line["chan"]: line["verdict"] for line in wall.frames() if line["verdict"] != "pass"}
    assert verdicts == {"jobs": "quarantine", "results": "drop"}


def test_a_wildcard_port_is_told(tmp_path, sockets):
    lane = channel("jobs", in_bind=["tcp://127.0.0.1:*"], out_bind=["tcp://127.0.0.1:*"])
    with Wall(tmp_path / "wall", lane) as wall:
        source, target = wall.endpoint("jobs", "in"), wall.endpoint("jobs", "out")
        assert "*" not in source and "*" not in target
        flow(sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target]))
        wall.wait_for(lambda: len(wall.frames()) == 200, "lines")
        assert {(line["in"], line["out"]) for line in wall.frames()} == {(source, target)}


def test_frames_are_judged_by_their_rules(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], frames="topic, empty, pickle, opaque*")
    with Wall(tmp_path / "wall", lane) as wall:
        push, pull = sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target])
        good = [b"news", b"", pickle.dumps([1]), b"", b"any\x00bytes"]
        push.send_multipart([b"news", b"not empty", pickle.dumps([1])])
        push.send_multipart(good)
        assert pull.recv_multipart() == good
        wall.stop()
        assert [line["reason"] for line in wall.frames("quarantine")] == ["rule.mismatch"]


def test_a_stopped_consumer_stops_the_producer_and_memory_is_bounded(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], in_more="hwm = 20", out_more="hwm = 20")
    payload = pickle.dumps(bytes(64 * 1024))
    with Wall(tmp_path / "wall", lane) as wall:
        pull = sockets(zmq.PULL, connect=[target], hwm=10)
        push = sockets(zmq.PUSH, connect=[source], hwm=10, timeout_ms=1500)
        sent = 0
        with pytest.raises(zmq.Again):
            while sent < 20_000:
                push.send(payload)
                sent += 1
        # 2 x 20 messages in queues, a burst of 1 MiB, what libzmq is reading: not the 1.2 GiB.
        assert wall.rss_bytes() < (128 if SANITIZED else 64) * 1024 * 1024
        for _ in range(sent):
            assert pull.recv() == payload
        wall.stop()
        assert wall.counts("jobs")["forwarded"] == sent


def test_an_address_in_use_is_named_and_nothing_is_left_behind(tmp_path, sockets):
    taken = tcp()
    sockets(zmq.PULL, bind=[taken])
    for source, target, setting in ((taken, tcp(), "in.bind"), (tcp(), taken, "out.bind")):
        wall = Wall(tmp_path / setting, channel("jobs", in_bind=[source], out_bind=[target]))
        wall.start(wait=False)
        assert wall.process.wait(20) == 69
        words = wall.words.read_text()
        assert f"channel.jobs.{setting}: {taken}: Address already in use; " in words


def test_an_ipc_path_that_is_served_is_not_taken_over(tmp_path, sockets):
    taken = f"ipc://{tmp_path}/served"
    pull = sockets(zmq.PULL, bind=[taken])
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[taken], out_bind=[tcp()])).start(wait=False)
    assert wall.process.wait(20) == 69
    push = sockets(zmq.PUSH, connect=[taken])
    push.send(b"still here")
    assert pull.recv() == b"still here"


def test_two_walls_do_not_share_a_state_folder(tmp_path):
    lane = channel("jobs", in_bind=[tcp()], out_bind=[tcp()])
    with Wall(tmp_path, lane) as wall:
        second = subprocess.run(
            [BINARY, "run", "--config", str(wall.config)], capture_output=True, text=True, timeout=20
        )
        assert second.returncode == 69
        assert "another picklewall is using this state folder" in second.stderr


def test_a_full_message_larger_than_allowed_cuts_its_producer_off(tmp_path, sockets):
    source, target = tcp(), tcp()
    lane = channel("jobs", in_bind=[source], out_bind=[target], max_message_bytes="64K")
    with Wall(tmp_path / "wall", lane) as wall:
        pull = sockets(zmq.PULL, connect=[target])
        greedy = sockets(zmq.PUSH, connect=[source])
        greedy.send(bytes(1 << 20))
        good = sockets(zmq.PUSH, connect=[source])
        flow(good, pull)
        greedy.close()
        wall.stop()
        assert wall.counts("jobs")["received"] == 200
