# SPDX-License-Identifier: Apache-2.0
"""A wall with the setting `http`, and what it answers."""

import http.client
import json
import re
import time

from wall import Wall, channel, free_port, tcp


class WebWall(Wall):
    """One channel `jobs` that quarantines, unless the test says more."""

    def __init__(self, folder, *more_channels, host="127.0.0.1", top="", **settings):
        self.port = free_port()
        self.source, self.target = tcp(), tcp()
        more = f'http = "{host}:{self.port}"\n{top}\n{settings.pop("more", "")}'
        super().__init__(folder, channel("jobs", in_bind=[self.source], out_bind=[self.target]), *more_channels,
                         more=more, **settings)

    def ask(self, path, method="GET", timeout=20, **headers):
        """Status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def metrics(self, accept="text/plain"):
        status, _, body = self.ask("/metrics", Accept=accept)
        assert status == 200
        return body.decode()

    def metric(self, sample, text=None):
        """The value of a sample, spelled as it stands there."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text or self.metrics(), re.M)
        return float(found[1]) if found else None

    def events(self, count=1):
        """That many objects of the event stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/events")
        reply = connection.getresponse()
        assert reply.status == 200 and reply.headers["Content-Type"] == "text/event-stream"
        told = []
        while len(told) < count:
            line = reply.readline()
            assert line, "the stream ended"
            if line.startswith(b"data: "):
                told.append(json.loads(line[6:]))
        connection.close()
        return told

    def settled(self, **counts):
        """Wait until the metrics of `jobs` count so many messages of each verdict."""
        def there():
            text = self.metrics()
            return all(self.metric(f'picklewall_messages_total{{channel="jobs",verdict="{verdict}"}}', text) == count
                       for verdict, count in counts.items())
        self.wait_for(there, f"metrics that say {counts}")
        time.sleep(0)
