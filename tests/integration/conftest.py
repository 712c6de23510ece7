# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from signed import Flow  # noqa: E402
from wall import Wall, channel, tcp  # noqa: E402


@pytest.fixture(autouse=True)
def lines_fit_the_schema():
    """Of every wall of every test."""
    Wall.made.clear()
    yield
    for wall in Wall.made:
        wall.check_log()


@pytest.fixture
def sockets():
    """Make sockets that are gone when the test is: sockets(zmq.PUSH, connect=[...])."""
    context = zmq.Context()
    made = []  # a socket nobody holds would be closed at once

    def make(kind, bind=(), connect=(), hwm=None, linger=0, timeout_ms=20000):
        socket = context.socket(kind)
        socket.setsockopt(zmq.IPV6, 1)
        socket.linger = linger
        socket.sndtimeo = socket.rcvtimeo = timeout_ms
        if hwm is not None:
            socket.hwm = hwm
        for address in bind:
            socket.bind(address)
        for address in connect:
            socket.connect(address)
        made.append(socket)
        return socket

    yield make
    context.destroy(linger=0)


@pytest.fixture
def start(tmp_path, sockets):
    """start(keys, **settings): a wall that verifies, between two ends; it must end well."""
    walls = []

    def make(keys, **settings):
        source, target = tcp(), tcp()
        settings = {"verify": "required", "on_violation": "drop", **settings}
        lines = channel("jobs", in_bind=[source], out_bind=[target], **settings)
        walls.append(Wall(tmp_path / f"wall-{len(walls)}", lines, keys=keys).start())
        return Flow(walls[-1], sockets(zmq.PUSH, connect=[source], hwm=200_000),
                    sockets(zmq.PULL, connect=[target], hwm=200_000))

    yield make
    for wall in walls:
        assert wall.stop() == 0, wall.words.read_text()
