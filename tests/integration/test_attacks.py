# SPDX-License-Identifier: Apache-2.0
"""What somebody who can send and change messages, but holds no key, does to a wall that wants signatures.

Each attack ends with its reason in the audit log, reaches no consumer, and does no harm to the honest
messages behind it. With several keys in one folder each wall is attacked in every suite.
"""

import pickle
import random
import re
import shutil
import signal
import time
import types

import pytest
import zmq
from signed import PAIRS, SUITES, Clocks, Flow, Sender, client, key_events, new_key, publish, put, run
from wall import HOSTILE, Wall, channel, tcp

HOUR = 3600 * 10**9
FORGED = 70_000
OF_A_PAIR = 3_000  # of those; each costs as much as fifty others
GENUINE = pickle.dumps("genuine")
FRAMES = [pickle.dumps(["first", 1]), pickle.dumps({"second": 2}), pickle.dumps(b"third")]
HEAD, SHORT, LONG = 40, 72, 104
SUITE, FLAGS = 4, 5  # where they stand in a trailer
TAG_BYTES = {1: 32, 2: 64, 3: 32, 4: 66}  # of a batch: where it is a message alone

ENVELOPES = {
    "tail": lambda frames, trailer: [*frames[:-1], frames[-1] + trailer],
    "frame": lambda frames, trailer: [*frames, trailer],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for suite in SUITES:
        publish(new_key(folder / "ours", suite, suite=suite), folder / "theirs")
    return folder


@pytest.fixture(name="keys")
def fixture_keys(tmp_path, made):
    """A key of each suite, named after it: `ours` signs with it, `theirs` verifies."""
    for side in ("ours", "theirs"):
        shutil.copytree(made / side, tmp_path / side)
    return types.SimpleNamespace(ours=tmp_path / "ours", theirs=tmp_path / "theirs",
                                 all={suite: tmp_path / "ours" / f"{suite}.pwkey" for suite in SUITES})


@pytest.fixture(name="senders")
def fixture_senders(keys):
    return {suite: Sender(path) for suite, path in keys.all.items()}


@pytest.fixture(params=ENVELOPES)
def envelope(request):
    return request.param


@pytest.fixture(name="flow")
def fixture_flow(start, keys):
    return start(keys.theirs)


def expect(flow, attacks):
    """Each attack, [(name, frames, reason)], is refused for its reason, and nothing of it is forwarded.

    What is forwarded keeps its order, so that a message behind it would be received later.
    """
    told = flow.judge(*[frames for _, frames, _ in attacks])
    found = [(name, reason) for (name, _, _), reason in zip(attacks, told)]
    assert found == [(name, reason) for name, _, reason in attacks]
    assert not flow.pull.poll(0)


def accept(flow, *messages):
    """Each message, (frames, the same as they are sent), passes, and is what the consumer gets next."""
    assert flow.judge(*[sent for _, sent in messages]) == [""] * len(messages)
    for frames, _ in messages:
        assert flow.pull.recv_multipart() == frames


def unharmed(flow, senders, wrap=ENVELOPES["tail"]):
    """An honest message of each sender passes, and nothing else is received before."""
    honest = [([pickle.dumps((suite, time.time_ns())), pickle.dumps("honest")], sender)
              for suite, sender in senders.items()]
    accept(flow, *[(frames, wrap(frames, sender.trailer(frames))) for frames, sender in honest])


def spliced(trailer, place, value):
    """The trailer with another byte at one place."""
    return trailer[:place] + bytes([value]) + trailer[place + 1 :]


# ---- the frames of a message

MOVED = {
    "the last byte of frame 1 to frame 2": lambda a, b, c: [a[:-1], a[-1:] + b, c],
    "the first byte of frame 2 to frame 1": lambda a, b, c: [a + b[:1], b[1:], c],
    "the last byte of frame 2 to frame 3": lambda a, b, c: [a, b[:-1], b[-1:] + c],
    "the first byte of frame 3 to frame 2": lambda a, b, c: [a, b + c[:1], c[1:]],
    "all of frame 1 to frame 2": lambda a, b, c: [b"", a + b, c],
    "all of frame 3 to frame 2": lambda a, b, c: [a, b + c, b""],
}

CHANGED = {
    "the first dropped": (lambda a, b, c: [b, c], "sig.frames"),
    "the second dropped": (lambda a, b, c: [a, c], "sig.frames"),
    "the last dropped": (lambda a, b, c: [a, b], "sig.frames"),
    "one added in front": (lambda a, b, c: [pickle.dumps(0), a, b, c], "sig.frames"),
    "one added behind": (lambda a, b, c: [a, b, c, pickle.dumps(0)], "sig.frames"),
    "an empty one added in front": (lambda a, b, c: [b"", a, b, c], "sig.frames"),
    "an empty one added between": (lambda a, b, c: [a, b"", b, c], "sig.frames"),
    "one sent twice": (lambda a, b, c: [a, b, b, c], "sig.frames"),
    "two joined": (lambda a, b, c: [a + b, c], "sig.frames"),
    "one split": (lambda a, b, c: [a[:5], a[5:], b, c], "sig.frames"),
    "one dropped, another added": (lambda a, b, c: [a, pickle.dumps(0), c], "sig.bad"),
    "two exchanged": (lambda a, b, c: [b, a, c], "sig.bad"),
    "the last put first": (lambda a, b, c: [c, a, b], "sig.bad"),
    "the first emptied": (lambda a, b, c: [b"", b, c], "sig.bad"),
    "the second emptied": (lambda a, b, c: [a, b"", c], "sig.bad"),
    "the last emptied": (lambda a, b, c: [a, b, b""], "sig.bad"),
    "all emptied": (lambda a, b, c: [b"", b"", b""], "sig.bad"),
}


def test_a_byte_that_is_moved_over_a_frame_border(start, keys, senders, envelope):
    flow, wrap = start(keys.theirs, envelope=envelope), ENVELOPES[envelope]
    trailers = {suite: sender.trailer(FRAMES) for suite, sender in senders.items()}
    expect(flow, [(f"{suite}: {name}", wrap(move(*FRAMES), trailer), "sig.bad")
                  for suite, trailer in trailers.items() for name, move in MOVED.items()])
    accept(flow, *[(FRAMES, wrap(FRAMES, trailer)) for trailer in trailers.values()])  # unchanged, they fit
    unharmed(flow, senders, wrap)


def test_frames_that_are_dropped_added_reordered_or_emptied(start, keys, senders, envelope):
    flow, wrap = start(keys.theirs, envelope=envelope), ENVELOPES[envelope]
    trailers = {suite: sender.trailer(FRAMES) for suite, sender in senders.items()}
    expect(flow, [(f"{suite}: {name}", wrap(change(*FRAMES), trailer), reason)
                  for suite, trailer in trailers.items() for name, (change, reason) in CHANGED.items()])
    accept(flow, *[(FRAMES, wrap(FRAMES, trailer)) for trailer in trailers.values()])
    unharmed(flow, senders, wrap)


# ---- the same message again

def test_a_message_that_is_sent_again(flow, senders):
    messages = {suite: sender.sign(*FRAMES) for suite, sender in senders.items()}
    accept(flow, *[(FRAMES, message) for message in messages.values()])
    expect(flow, [(suite, message, "sig.replay") for suite, message in messages.items()] * 3)
    assert [line["sig"]["state"] for line in flow.wall.frames()] == ["ok"] * len(SUITES) + ["replay"] * 3 * len(SUITES)
    unharmed(flow, senders)


@pytest.mark.parametrize("how", ["SIGTERM", "kill -9"])
def test_a_message_that_is_sent_again_after_a_restart_of_the_wall(flow, keys, senders, how):
    messages = [sender.sign(*FRAMES) for sender in senders.values() for _ in range(20)]
    again = [("again", message, "sig.replay") for message in messages]
    accept(flow, *[(FRAMES, message) for message in messages])
    flow.restart(how)
    expect(flow, again)
    if how == "SIGTERM":  # nothing new is refused, not even the very next number
        unharmed(flow, senders)
    unharmed(flow, {suite: Sender(path) for suite, path in keys.all.items()})  # the senders have started again
    expect(flow, again)


def test_messages_of_an_older_epoch(flow, keys, senders):
    old, withheld, late = [], [], []
    for suite, path in keys.all.items():
        now = senders[suite].epoch
        first, never = Sender(path, epoch=now - 2000), Sender(path, epoch=now - 1000)
        old += [first.sign(*FRAMES), first.sign(*FRAMES)]
        late += [first.sign(*FRAMES)]
        withheld += [never.sign(*FRAMES)]
    accept(flow, *[(FRAMES, message) for message in old])
    unharmed(flow, senders)
    expect(flow, [("old", message, "sig.replay") for message in old])
    accept(flow, *[(FRAMES, message) for message in late])  # it was still under way
    attacks = [("old or withheld", message, "sig.replay") for message in (*old, *late, *withheld)]
    expect(flow, attacks)
    assert b"give each sender a key of its own" in flow.wall.words.read_bytes()
    for how in ("SIGTERM", "kill -9"):
        flow.restart(how)
        expect(flow, attacks)
    unharmed(flow, {suite: Sender(path) for suite, path in keys.all.items()})


def forgeries(message, epoch, count):
    """Trailers that no key made: other tags, and other epochs and numbers too, all in the sender's name."""
    payload, trailer = GENUINE, message[0][len(GENUINE) :]
    for number in range(count):
        eight = number.to_bytes(8, "big")
        if number % 7 == 0:
            forged = trailer[:16] + (epoch + number % 50_000).to_bytes(8, "big") + eight + trailer[32:]
        else:
            forged = trailer[:HEAD] + eight + trailer[HEAD + 8 :]
        yield [payload + forged]


def test_seventy_thousand_forged_trailers_and_then_a_replay(flow, senders):
    genuine = {suite: sender.sign(GENUINE) for suite, sender in senders.items()}
    accept(flow, *[([GENUINE], message) for message in genuine.values()])
    macs = len(SUITES) - len(PAIRS)
    counts = {suite: OF_A_PAIR if suite in PAIRS else (FORGED - OF_A_PAIR * len(PAIRS)) // macs for suite in SUITES}
    forged = [forgery for suite, sender in senders.items()
              for forgery in forgeries(genuine[suite], sender.epoch + 1, counts[suite])]
    random.Random(1).shuffle(forged)
    assert len(forged) == FORGED and set(flow.judge(*forged)) == {"sig.bad"}
    expect(flow, [(suite, message, "sig.replay") for suite, message in genuine.items()])
    unharmed(flow, senders)


# ---- the right message in the wrong place

def test_a_message_that_is_reflected_to_its_sender(tmp_path, sockets, keys):
    """Two sites with one key: what a site sends `there` is given to what it verifies as `back`."""
    for suite in SUITES:
        source, there, back, target = tcp(), tcp(), tcp(), tcp()
        site = Wall(tmp_path / suite,
                    channel("there", in_bind=[source], out_connect=[there], sign=suite),
                    channel("back", in_bind=[back], out_bind=[target], verify="required", on_violation="drop"),
                    keys=keys.ours)
        with site:
            flow = Flow(site, sockets(zmq.PUSH, connect=[back]), sockets(zmq.PULL, connect=[target]))
            tapped = sockets(zmq.PULL, bind=[there])
            sockets(zmq.PUSH, connect=[source]).send_multipart(FRAMES)
            message = tapped.recv_multipart()
            site.wait_for(lambda site=site: site.frames("pass"), "the line of what was sent")
            flow.news()
            expect(flow, [(suite, message, "sig.channel")])  # this process knows `there`
            unharmed(flow, {suite: Sender(keys.all[suite], "back")})


def test_a_message_of_the_other_direction(flow, keys, senders):
    answers = {suite: Sender(path, direction=client.BACK).sign(*FRAMES) for suite, path in keys.all.items()}
    expect(flow, [(suite, answer, "sig.bad") for suite, answer in answers.items()])
    unharmed(flow, senders)


def test_a_message_of_another_channel_with_the_same_key(tmp_path, sockets, keys):
    ends = {name: (tcp(), tcp()) for name in ("jobs", "results")}
    walls = [channel(name, in_bind=[source], out_bind=[target], verify="required", on_violation="drop")
             for name, (source, target) in ends.items()]
    with Wall(tmp_path / "wall", *walls, keys=keys.theirs) as wall:
        flows = {name: Flow(wall, sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target]))
                 for name, (source, target) in ends.items()}
        known = {suite: Sender(path, "results") for suite, path in keys.all.items()}
        unknown = {suite: Sender(path, "logs") for suite, path in keys.all.items()}
        expect(flows["jobs"], [(suite, sender.sign(*FRAMES), "sig.channel") for suite, sender in known.items()] +
               [(suite, sender.sign(*FRAMES), "sig.bad") for suite, sender in unknown.items()])
        unharmed(flows["jobs"], {suite: Sender(path) for suite, path in keys.all.items()})
        flows["results"].read = flows["jobs"].read  # of the one log
        unharmed(flows["results"], known)


# ---- the algorithm

def resuited(trailer, number):
    """Another suite's number, and its tag length."""
    size = TAG_BYTES[number]
    return spliced(trailer[:HEAD] + trailer[HEAD:].ljust(size, b"\0")[:size], SUITE, number)


def test_a_suite_byte_that_is_changed(start, keys, senders, envelope):
    flow, wrap = start(keys.theirs, envelope=envelope), ENVELOPES[envelope]
    attacks = []
    for suite, sender in senders.items():
        trailer = sender.trailer(FRAMES)
        others = {*client.SUITES.values()} - {client.SUITES[suite]}
        attacks += [(f"{suite}: {number}", resuited(trailer, number), "sig.wrong_suite") for number in others]
        attacks += [(f"{suite}: {number}", spliced(trailer, SUITE, number), "sig.format") for number in (0, 5, 127, 255)]
    expect(flow, [(name, wrap(FRAMES, forged), reason) for name, forged, reason in attacks])
    unharmed(flow, senders, wrap)


@pytest.mark.parametrize("mac", ["hmac-sha256", "blake2b"])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_public_key_that_is_used_as_a_shared_secret(flow, keys, senders, pair, mac):
    """Who knows the public half makes a MAC with it, and hopes that the message chooses the algorithm."""
    public = client.Key.load(keys.theirs / f"{pair}.pwkey")
    forger = Sender(keys.all[mac])
    forger.key = client.Key(mac, public._public)
    expect(flow, [("by its own id", forger.sign(*FRAMES, seq=1), "sig.unknown_key")])
    forger.key.id = public.id
    message = forger.sign(*FRAMES, seq=2)
    expect(flow, [("in the name of the pair", message, "sig.wrong_suite")])
    message[-1] = message[-1][:-SHORT] + resuited(message[-1][-SHORT:], client.SUITES[pair])
    expect(flow, [("as a signature of the pair", message, "sig.bad")])
    unharmed(flow, senders)


# ---- the trailer

def test_a_trailer_that_is_stripped(start, keys, senders, envelope):
    flow, wrap = start(keys.theirs, envelope=envelope), ENVELOPES[envelope]
    expect(flow, [("three frames", FRAMES, "sig.missing"), ("one frame", FRAMES[:1], "sig.missing"),
                  *[(name, [hostile], "sig.missing") for name, hostile in HOSTILE.items()]])
    accept(flow, *[(FRAMES, wrap(FRAMES, sender.trailer(FRAMES))) for sender in senders.values()])
    unharmed(flow, senders, wrap)


def test_unknown_flags_other_lengths_and_a_later_version(start, keys, senders, envelope):
    flow, wrap = start(keys.theirs, envelope=envelope), ENVELOPES[envelope]
    attacks = []
    for suite, sender in senders.items():
        trailer = sender.trailer(FRAMES)
        other = LONG if len(trailer) == SHORT else SHORT
        attacks += [(f"{suite}: flag {bit}", spliced(trailer, FLAGS, 1 << bit), "sig.format") for bit in range(8)]
        attacks += [
            (f"{suite}: all flags", spliced(trailer, FLAGS, 0xFF), "sig.format"),
            (f"{suite}: a tag of another length", trailer.ljust(other, b"\0")[:other], "sig.format"),
            (f"{suite}: a byte longer", trailer + b"\0", "sig.format"),
            (f"{suite}: a byte shorter", trailer[:-1], "sig.format"),
            (f"{suite}: the next version", b"PWS2" + trailer[4:], "sig.format"),
            (f"{suite}: another magic", b"PGP1" + trailer[4:], "sig.missing"),
        ]
    expect(flow, [(name, wrap(FRAMES, forged), reason) for name, forged, reason in attacks])
    unharmed(flow, senders, wrap)


# ---- the key

LINES = {
    "sig.revoked": "status: revoked",
    "sig.retired": "status: retired",
    "sig.not_yet": "not_before: 2500-01-01T00:00:00Z",
    "sig.key_expired": "not_after: 2001-01-01T00:00:00Z",
}


def test_keys_that_are_revoked_retired_not_yet_valid_or_over(tmp_path, start, keys, senders):
    attacks = []
    for suite in SUITES:
        for number, (reason, line) in enumerate({**LINES, "listed": ""}.items()):
            path = new_key(tmp_path / "lost", f"{suite}-{number}", suite=suite)  # as the thief has it: active
            theirs = publish(path, keys.theirs)
            if line:
                put(theirs, theirs.read_text().replace("status: active", line))
            else:
                run("key", "revoke", "--dir", keys.theirs, path.stem)
                reason = "sig.revoked"
            attacks.append((f"{suite}: {line or 'on the list'}", Sender(path).sign(*FRAMES), reason))
    flow = start(keys.theirs)
    expect(flow, attacks)
    unharmed(flow, senders)


# ---- the clock

def test_a_sender_whose_clock_jumps(flow, keys, senders):
    attacks, accepted = [], []
    for suite, sender in senders.items():
        ahead = Sender(keys.all[suite], epoch=sender.epoch + 3_600_000)
        attacks += [(f"{suite}: an hour back", sender.sign(*FRAMES, seq=5, shift=-HOUR), "sig.expired"),
                    (f"{suite}: an hour ahead", sender.sign(*FRAMES, seq=5, shift=HOUR), "sig.future"),
                    (f"{suite}: started an hour ahead", ahead.sign(*FRAMES, shift=HOUR), "sig.future"),
                    (f"{suite}: and then set right", ahead.sign(*FRAMES), "sig.future")]
        accepted += [sender.sign(*FRAMES, seq=5)]  # that number is free still
        accepted += [sender.sign(*FRAMES, shift=shift) for shift in (-290 * 10**9, 50 * 10**9)]  # no jumps
    expect(flow, attacks)
    ages = [line["sig"]["age_ms"] for line in flow.wall.frames()]
    assert min(ages) < -3_590_000 and max(ages) >= 3_600_000
    accept(flow, *[(FRAMES, message) for message in accepted])
    unharmed(flow, senders)


@pytest.fixture(name="chain")
def fixture_chain(tmp_path, sockets, keys):
    """A signing wall, a verifying wall, a channel of each suite, and two clocks."""
    clocks = Clocks(tmp_path)
    ends = {suite: (tcp(), tcp(), tcp()) for suite in SUITES}
    signer = Wall(tmp_path / "signer", *[channel(suite, in_bind=[source], out_connect=[middle], sign=suite)
                                         for suite, (source, middle, _) in ends.items()],
                  keys=keys.ours, environment=clocks.environment("signer's clock"))
    verifier = Wall(tmp_path / "verifier", *[channel(suite, in_bind=[middle], out_bind=[target], verify="required",
                                                     on_violation="drop")
                                             for suite, (_, middle, target) in ends.items()],
                    keys=keys.theirs, environment=clocks.environment("verifier's clock"))
    with signer, verifier:
        made = {suite: (sockets(zmq.PUSH, connect=[source]), sockets(zmq.PULL, connect=[target]))
                for suite, (source, _, target) in ends.items()}
        yield types.SimpleNamespace(signer=signer, verifier=verifier, ends=made, log=Flow(verifier, None, None),
                                    set=clocks.set)


def through(chain, reason):
    """A message of each suite goes through both walls, or ends in the second for this reason."""
    for suite, (push, _) in chain.ends.items():
        push.send_pyobj((suite, reason))
    told = []
    chain.verifier.wait_for(lambda: told.extend(chain.log.news()) or len(told) >= len(SUITES), "audit lines")
    assert told == [("drop" if reason else "pass", reason)] * len(SUITES)
    for suite, (_, pull) in chain.ends.items():
        assert reason != "" or pull.recv_pyobj() == (suite, "")
        assert not pull.poll(0)


@pytest.mark.parametrize("side, seconds, reason", [
    ("signer", 3600, "sig.future"),
    ("signer", -3600, "sig.expired"),
    ("verifier", 3600, "sig.expired"),
    ("verifier", -3600, "sig.future"),
])
def test_a_wall_whose_clock_jumps_by_an_hour(chain, side, seconds, reason):
    through(chain, "")
    chain.set(f"{side}'s clock", seconds)
    through(chain, reason)
    through(chain, reason)
    chain.set(f"{side}'s clock", 0)
    through(chain, "")
    through(chain, "")


def test_a_signing_wall_that_was_started_an_hour_ahead(chain):
    through(chain, "")
    for seconds, reason in ((3600, "sig.future"), (0, "")):
        assert chain.signer.stop() == 0
        chain.set("signer's clock", seconds)
        chain.signer.start()
        through(chain, reason)


# ---- the key file

def empty(path):
    path.write_text("")


def cut(path):
    path.write_text(path.read_text()[:-20])


def open_to_all(path):
    path.chmod(0o644)


SPOILT = [
    (empty, r':1: the file ends without a line "picklewall-key: "'),
    (cut, r":\d+: secret: not PWSK1 and 48 letters of base64url; was it cut\?"),
    (open_to_all, r": others may read it \(mode 0644\); run chmod 600 {path}"),
]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("spoil, sentence", SPOILT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wall_does_not_start_with_a_key_file_that_is_spoilt(tmp_path, keys, suite, spoil, sentence):
    path = keys.all[suite]
    secret = re.search("PWSK1(.*)", path.read_text()).group(1)
    spoil(path)
    wall = Wall(tmp_path / "wall", channel("jobs", in_bind=[tcp()], out_bind=[tcp()], verify="required"),
                keys=keys.ours)
    wall.start(wait=False)
    assert wall.process.wait(30) == 78
    words = wall.words.read_text()
    assert re.search(re.escape(str(path)) + sentence.format(path=re.escape(str(path))), words), words
    assert secret[:20] not in words and not wall.log.exists()


def swapped_for_a_link(path):
    shutil.copy2(path, path.parent.parent / "elsewhere")
    path.unlink()
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("spoil, sentence", [*SPOILT, (swapped_for_a_link, ": a symbolic link")],
                         ids=lambda value: getattr(value, "__name__", ""))
def test_a_key_file_that_is_spoilt_while_the_wall_runs(start, keys, senders, spoil, sentence):
    flow = start(keys.ours)
    for suite, path in keys.all.items():
        good, told = path.read_text(), re.compile(re.escape(str(path)) + sentence.format(path=re.escape(str(path))))
        spoil(path)
        flow.wall.signal(signal.SIGHUP)
        flow.wall.wait_for(lambda told=told: any(told.search(line["error"]) for line in
                                                 key_events(flow.wall, "key.reload_failed")), "the refusal")
        assert re.search(told.pattern + ".*; the keys that were in force stay\n", flow.wall.words.read_text())
        unharmed(flow, {suite: senders[suite]})
        put(path, good)
    flow.wall.signal(signal.SIGHUP)
    flow.wall.wait_for(lambda: key_events(flow.wall, "key.reload"), "the folder in order")
    unharmed(flow, senders)


def test_key_files_that_are_written_while_they_are_read(start, keys, senders):
    flow = start(keys.ours)
    texts = {path: path.read_text() for path in keys.all.values()}
    for number in range(60):
        path = random.Random(number).choice(list(texts))
        flow.wall.signal(signal.SIGHUP)
        with open(path, "w") as file:  # in place, half now and half later
            file.write(texts[path][: number * 4])
            file.flush()
            time.sleep(0.005)
            file.write(texts[path][number * 4 :])
        if number % 10 == 0:
            unharmed(flow, senders)
    refused = len(key_events(flow.wall, "key.reload_failed"))
    with open(path, "w") as file:  # and once for as long as it takes
        file.write(texts[path][:40])
        file.flush()
        flow.wall.signal(signal.SIGHUP)
        flow.wall.wait_for(lambda: len(key_events(flow.wall, "key.reload_failed")) > refused, "half a key to be refused")
        file.write(texts[path][40:])
    unharmed(flow, senders)
