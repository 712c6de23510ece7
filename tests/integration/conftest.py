# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).parent))


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
