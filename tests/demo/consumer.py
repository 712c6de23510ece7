# SPDX-License-Identifier: Apache-2.0
"""A consumer as it is written everywhere. It knows nothing of picklewall."""
import pickle
import sys

import zmq

sock = zmq.Context().socket(zmq.PULL)
sock.bind(sys.argv[1])
while True:
    job = pickle.loads(sock.recv())
    print(job, flush=True)
