# SPDX-License-Identifier: Apache-2.0
"""Write tests/data/vectors: what common/sign/README.md says, in bytes, for whoever writes it anew.

    make_vectors.py [FOLDER]

Nothing here is shared with the programs that are tested: each value is put together as the specification
has it, whole, in one expression. tests/data/vectors/README.md explains the files.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct
import sys

import nacl.signing

HERE = pathlib.Path(__file__).parent
SUITES = {"hmac-sha256": 1, "ed25519": 2, "blake2b": 3, "ed25519-batch": 4}
PAIRS = ("ed25519", "ed25519-batch")
TAG_BYTES = {1: 32, 2: 64, 3: 32, 4: 66}  # of a message that is alone
EPOCH, TIME = 1700000000000, 1700000000123456789
MOST = 2**64 - 1
L = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group
MESSAGE = [b"hello", b"", b"\x80\x04N."]


def blake2b(data, key=b"", size=32):
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


class Key:
    """A key by its 32 bytes: secret, seed, or with `public` the public key."""

    def __init__(self, name, suite, material, pattern="", public=False):
        self.name, self.suite, self.number = name, suite, SUITES[suite]
        self.material, self.pattern, self.is_public = material, pattern, public
        if suite in PAIRS:
            self.public = material if public else bytes(nacl.signing.SigningKey(material).verify_key)
            self.id = blake2b(b"picklewall/keyid/v1\0" + bytes([self.number]) + self.public)[:8]
        else:
            self.id = blake2b(b"picklewall/keyid/v1\0" + bytes([self.number]), material)[:8]

    def half(self, name):
        return Key(name, self.suite, self.public, self.pattern, True)

    def file(self):
        kind, prefix, letter = ("public", "PWPK1", b"P") if self.is_public else ("secret", "PWSK1", b"S")
        check = blake2b(b"picklewall/key-text/v1\0" + letter + bytes([self.number]) + self.material)[:4]
        text = prefix + base64.urlsafe_b64encode(self.material + check).decode()
        role = "verify" if self.is_public else "sign"
        return (f"picklewall-key: 1\nsuite: {self.suite}\nid: {self.name}\nrole: {role}\nchannel: {self.pattern}\n"
                f"{kind}: {text}\n")

    def channel_key(self, channel, direction):
        name = channel.encode()
        return blake2b(b"picklewall/kdf/v1\0" + bytes([self.number, direction]) + struct.pack(">H", len(name)) + name,
                       self.material)

    def tag(self, text, channel, direction):
        """The tag over M, in the words of the specification."""
        if self.suite == "ed25519":
            return self.ed25519(b"picklewall/ed25519/v1\0" + blake2b(text, size=64))
        if self.suite == "ed25519-batch":
            return batch_tags(self, [text])[0]
        if self.suite == "blake2b":
            return blake2b(text, self.channel_key(channel, direction))
        return hmac.new(self.channel_key(channel, direction), text, hashlib.sha256).digest()

    def ed25519(self, text):
        return nacl.signing.SigningKey(self.material).sign(text).signature

    def row(self):
        row = {"name": self.name, "suite": self.suite, "channel": self.pattern, "key_id": self.id.hex()}
        row["public" if self.is_public else "secret"] = self.material.hex()
        if self.suite in PAIRS and not self.is_public:
            row["public"] = self.public.hex()
        return {**row, "file": self.file()}


def head_of(key, count, epoch=EPOCH, seq=1, time=TIME, flags=0, suite=None):
    return struct.pack(">4sBBH8sQQQ", b"PWS1", suite or key.number, flags, count, key.id, epoch, seq, time)


def signed_text(head, channel, direction, frames):
    """M."""
    name = channel.encode()
    return (b"picklewall/frame-signature/v1\0" + head + struct.pack(">H", len(name)) + name + bytes([direction])
            + b"".join(struct.pack(">Q", len(frame)) for frame in frames) + b"".join(frames))


def sign(key, frames, channel="jobs", direction=0, **head):
    head = head_of(key, len(frames), **head)
    return head + key.tag(signed_text(head, channel, direction, frames), channel, direction)


def leaf_of(text):
    return blake2b(b"\0" + text)


def node_of(left, right):
    return blake2b(b"\1" + left + right)


def split(leaves):
    """The largest power of two below their number, as RFC 6962 has it."""
    return 1 << ((len(leaves) - 1).bit_length() - 1)


def root_of(leaves, node=node_of):
    """MTH of RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = split(leaves)
    return node(root_of(leaves[:k], node), root_of(leaves[k:], node))


def path_of(index, leaves, node=node_of):
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(leaves)
    if index < k:
        return [*path_of(index, leaves[:k], node), root_of(leaves[k:], node)]
    return [*path_of(index - k, leaves[k:], node), root_of(leaves[:k], node)]


def batch_text(size, root):
    """What the signature of a batch is over."""
    return b"picklewall/ed25519-batch/v1\0" + bytes([size - 1]) + root


def batch_tags(key, texts, leaf=leaf_of, node=node_of, text_of=batch_text):
    """The tag of each message of a batch; `texts` is M of each."""
    leaves = [leaf(text) for text in texts]
    signature = key.ed25519(text_of(len(leaves), root_of(leaves, node)))
    return [signature + b"".join(path_of(index, leaves, node)) + bytes([index, len(leaves) - 1])
            for index in range(len(leaves))]


def sign_batch(key, messages, channel="jobs", direction=0, seq=1, time=TIME, **how):
    """The trailer of each message; numbers and times go up by 1."""
    heads = [head_of(key, len(frames), seq=seq + i, time=time + i) for i, frames in enumerate(messages)]
    texts = [signed_text(head, channel, direction, frames) for head, frames in zip(heads, messages)]
    return [head + tag for head, tag in zip(heads, batch_tags(key, texts, **how))]


def frame_row(frame):
    """Hex, or for what is long {"repeat": hex, "times": n}."""
    period = next((size for size in (1, 256) if len(frame) > 4096 and frame == frame[:size] * (len(frame) // size)), 0)
    return {"repeat": frame[:period].hex(), "times": len(frame) // period} if period else frame.hex()


COUNTING = bytes(range(1, 33))
BYTES = bytes(range(256))

GOOD = [
    ("three frames, one of them empty", MESSAGE, {}),
    ("one empty frame", [b""], {}),
    ("one frame of one byte", [b"\0"], {}),
    ("two empty frames", [b"", b""], {}),
    ("1024 frames, the most", [struct.pack(">H", number)[number % 3:] for number in range(1024)], {}),
    ("64 KiB", [BYTES * 256], {}),
    ("1 MiB between two short frames", [b"topic", b"\xff" * 2**20, b"N."], {}),
    ("a block of BLAKE2b and a byte", [BYTES[:128], BYTES[:129]], {}),
    ("a block of SHA-256 and a byte", [BYTES[:64], BYTES[:65]], {}),
    ("a frame that is a trailer", [b"PWS1" + bytes(68)], {}),
    ("back to the sender", MESSAGE, {"direction": 1}),
    ("a channel of one letter", MESSAGE, {"channel": "a"}),
    ("a channel of 255 letters, the most", MESSAGE, {"channel": "jobs." * 51}),
    ("the second message of an epoch", MESSAGE, {"seq": 2}),
    ("message 2^32 + 7", MESSAGE, {"seq": 2**32 + 7}),
    ("the last message of an epoch", MESSAGE, {"seq": MOST}),
    ("the largest epoch and time", MESSAGE, {"epoch": MOST, "time": MOST}),
]


def good(key):
    for name, frames, where in GOOD:
        where = {"channel": "jobs", "direction": 0, "epoch": EPOCH, "seq": 1, "time": TIME, **where}
        trailer = sign(key, frames, **where)
        text = signed_text(trailer[:40], where["channel"], where["direction"], frames)
        yield {"name": name, "key": key.name, "channel": where["channel"], "direction": where["direction"],
               **{field: str(where[field]) for field in ("epoch", "seq", "time")},
               "frames": [frame_row(frame) for frame in frames], "digest": blake2b(text, size=64).hex(),
               "trailer": trailer.hex()}


def derived(key):
    for channel, direction in (("jobs", 0), ("jobs", 1), ("job", 0), ("jobs2", 0), ("a" * 255, 1)):
        yield {"key": key.name, "channel": channel, "direction": direction,
               "channel_key": key.channel_key(channel, direction).hex()}


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 128 >> bit % 8
    return bytes(changed)


def put(data, at, value):
    return data[:at] + value + data[at + len(value):]


def batches(key):
    """Whole batches, and the trailers of some of their messages."""
    for size, members in ((1, [0]), (2, range(2)), (3, range(3)), (5, range(5)), (8, range(8)),
                          (255, [0, 127, 253, 254]), (256, [0, 1, 85, 127, 128, 254, 255])):
        messages = [[b"message", bytes([number])] for number in range(size)]
        seq = 1 if size < 255 else 1000
        trailers = sign_batch(key, messages, seq=seq)
        leaves = [leaf_of(signed_text(trailer[:40], "jobs", 0, frames))
                  for trailer, frames in zip(trailers, messages)]
        yield {"name": f"a batch of {size}", "key": key.name, "channel": "jobs", "direction": 0,
               "epoch": str(EPOCH), "seq": str(seq), "time": str(TIME), "root": root_of(leaves).hex(),
               "messages": [[frame.hex() for frame in frames] for frames in messages],
               "members": [{"index": index, "leaf": leaves[index].hex(), "trailer": trailers[index].hex()}
                           for index in members]}


def steps(index, size):
    """How many elements the path of this place has."""
    return len(path_of(index, [bytes(32)] * size))


def bad_places(trailer, index, size):
    """(name, trailer, reason): other places for a message of a batch."""
    path = trailer[104:-2]
    for other in (0, 1, 3, 4, 5, 6, 130, 255):
        fits = other < size and steps(other, size) == steps(index, size)
        yield (f"index {other} instead of {index}", trailer[:-2] + bytes([other]) + trailer[-1:],
               "sig.bad" if fits else "sig.format")
    for other in (1, 2, 3, 4, 6, 7, 8, 9, 256):
        fits = index < other and steps(index, other) == steps(index, size)
        yield (f"a batch of {other} instead of {size}", trailer[:-1] + bytes([other - 1]),
               "sig.bad" if fits else "sig.format")
    for other, of in ((0, 1), (1, 2), (2, 4), (2, 9), (2, 256)):
        length = 32 * steps(other, of)
        yield (f"index {other} of {of}, and its length", trailer[:104] + (path * 3)[:length] + bytes([other, of - 1]),
               "sig.bad")


def bad_paths(trailer, others):
    """(name, trailer, reason): other paths; `others` are trailers of the batch."""
    start, path, place = trailer[:104], trailer[104:-2], trailer[-2:]
    a, b, c = (path[at:at + 32] for at in (0, 32, 64))
    for number in range(3):
        for bit in (0, 255):
            yield (f"element {number} of the path, bit {bit} changed", start + flip(path, 256 * number + bit) + place,
                   "sig.bad")
    for name, other in (("the first two exchanged", b + a + c), ("the last two exchanged", a + c + b),
                        ("from above", c + b + a), ("the first one thrice", a * 3), ("of zeros", bytes(96)),
                        ("of its neighbour", others[3][104:-2]), ("of the first message", others[0][104:-2])):
        yield f"a path with {name}" if "the " in name[:4] else f"a path {name}", start + other + place, "sig.bad"
    for name, other in (("the first dropped", b + c), ("the second dropped", a + c), ("the last dropped", a + b),
                        ("none", b""), ("a zero added", path + bytes(32)), ("the last again", path + c),
                        ("one more in front", a + path), ("half an element more", path + c[:16])):
        yield f"a path with {name}", start + other + place, "sig.format"
    for index in (0, 1, 3):
        yield (f"path and place of message {index}", start + others[index][104:], "sig.bad")
        yield (f"all of message {index} but the head", trailer[:40] + others[index][40:], "sig.bad")


def refused_in_batches(key):
    """What only a batch can have wrong. Message 2 of 5 has a path of three elements."""
    def row(name, reason, trailer, frames=MESSAGE, **where):
        return refused_row("in a batch: " + name, reason, frames, trailer, key, **where)

    messages = [[b"message", bytes([number])] for number in range(5)]
    messages[2] = MESSAGE
    trailers = sign_batch(key, messages)
    trailer = trailers[2]
    for name, changed, reason in [*bad_places(trailer, 2, 5), *bad_paths(trailer, trailers)]:
        yield row(name, reason, changed)
    other = sign_batch(key, [[b"other"]] * 2 + [MESSAGE] + [[b"other"]] * 2)[2]
    yield row("the signature of another batch", "sig.bad", put(trailer, 40, other[40:104]))
    yield row("the path of another batch", "sig.bad", put(trailer, 104, other[104:-2]))
    yield row("the signature of the message alone", "sig.bad", put(trailer, 40, sign(key, MESSAGE, seq=3)[40:104]))
    yield row("a byte behind", "sig.format", trailer + b"\0")
    yield row("a byte less", "sig.format", trailer[:-1])
    yield row("its place again behind it", "sig.format", trailer + trailer[-2:])
    yield row("without its place", "sig.format", trailer[:-2])
    yield row("without all behind the signature", "sig.format", trailer[:104])
    yield row("another channel", "sig.bad", trailer, channel="mail")
    yield row("another channel, the true one beside it", "sig.channel", trailer, channel="mail", siblings=["jobs"])
    yield row("another direction", "sig.bad", trailer, direction=1)
    yield row("another message of it", "sig.frames", trailer, messages[1])
    yield row("another message of it, with its head", "sig.bad", trailers[1][:40] + trailer[40:], messages[1])
    for name, frames in bad_frames():
        if len(frames) == 3:
            yield row(name, "sig.bad", trailer, frames)
    for name, how in BAD_TREES:
        yield row(name, "sig.bad", sign_batch(key, messages, **how)[2])
    yield from trees_as_messages(row, trailers, messages)


BAD_TREES = [
    ("leaves without their 0", {"leaf": blake2b}),
    ("nodes without their 1", {"node": lambda left, right: blake2b(left + right)}),
    ("leaves with the 1 of a node", {"leaf": lambda text: blake2b(b"\1" + text)}),
    ("nodes with the 0 of a leaf", {"node": lambda left, right: blake2b(b"\0" + left + right)}),
    ("left and right exchanged", {"node": lambda left, right: node_of(right, left)}),
    ("a signature without the size", {"text_of": lambda size, root: batch_text(1, root)[:-33] + root}),
    ("a signature with the size and not one less", {"text_of": lambda size, root: batch_text(size + 1, root)}),
    ("a signature without its context", {"text_of": lambda size, root: batch_text(size, root)[28:]}),
    ("a signature without the NUL of its context", {"text_of": lambda size, root: batch_text(size, root).replace(
        b"v1\0", b"v1", 1)}),
    ("a signature with the context of suite 2", {"text_of": lambda size, root: b"picklewall/ed25519/v1\0" + root}),
]


def trees_as_messages(row, trailers, messages):
    """Nodes given as leaves, and leaves as roots: shorter ways up than there are."""
    leaves = [leaf_of(signed_text(trailer[:40], "jobs", 0, frames)) for trailer, frames in zip(trailers, messages)]
    below = leaves[2] + leaves[3]
    head = put(trailers[2], 6, b"\0\1")[:104]
    above = trailers[2][136:-2]
    yield row("a node as the message, its children the frame", "sig.bad", head + above + bytes([1, 2]), [below])
    yield row("a node as the message, with the place of a leaf of 4", "sig.bad", head + above + bytes([2, 3]), [below])
    yield row("a node as the message, with its 1", "sig.bad", head + above + bytes([2, 3]), [b"\1" + below])
    top = root_of(leaves[:4]) + leaves[4]
    yield row("the root as the message, its children the frame", "sig.bad", head + bytes([0, 0]), [top])
    yield row("the root as the message, with its 1", "sig.bad", head + bytes([0, 0]), [b"\1" + top])
    yield row("a leaf as the root", "sig.bad", trailers[2][:104] + bytes([0, 0]))
    yield row("a leaf as the root of 256", "sig.format", trailers[2][:104] + bytes([0, 255]))


FIELDS = [  # of the head: name, first byte, bytes, reason
    ("magic", 0, 4, "sig.format"), ("frame count", 6, 2, "sig.frames"), ("key id", 8, 8, "sig.unknown_key"),
    ("epoch", 16, 8, "sig.bad"), ("seq", 24, 8, "sig.bad"), ("time", 32, 8, "sig.bad"),
]


def bad_trailers(key, trailer):
    """(name, trailer, reason) over the frames of MESSAGE."""
    longer = {32: 64, 64: 32, 66: 64}[len(trailer) - 40]
    signature = min(64, len(trailer) - 40)
    for name, at, size, reason in FIELDS:
        for bit in (8 * at, 8 * (at + size) - 1):
            yield f"{name}, bit {bit - 8 * at} changed", flip(trailer, bit), reason
    for bit in (0, 8 * signature - 1):
        yield f"tag, bit {bit} changed", flip(trailer, 320 + bit), "sig.bad"
    yield "tag of zeros", trailer[:40] + bytes(len(trailer) - 40), "sig.bad"
    yield "a later magic", put(trailer, 0, b"PWS2"), "sig.format"
    yield "an earlier magic", put(trailer, 0, b"PWS0"), "sig.format"
    yield "the magic in small letters", put(trailer, 0, b"pws1"), "sig.format"
    for suite in (0, 127, 255):
        yield f"suite {suite}, which is none", put(trailer, 4, bytes([suite])), "sig.format"
    for suite in sorted({1, 2, 3, 4} - {key.number}):
        fits = TAG_BYTES[suite] == TAG_BYTES[key.number]
        yield f"suite {suite} instead", put(trailer, 4, bytes([suite])), "sig.wrong_suite" if fits else "sig.format"
        tag = (trailer[40:] * 2)[:64] + b"\0\0" if suite == 4 else (trailer[40:] * 2)[:TAG_BYTES[suite]]
        yield f"suite {suite} instead, and its length", put(trailer, 4, bytes([suite]))[:40] + tag, "sig.wrong_suite"
    for bit in range(8):
        yield f"flag {1 << bit}", put(trailer, 5, bytes([1 << bit])), "sig.format"
    yield "a trailer a byte longer", trailer + b"\0", "sig.format"
    yield "a trailer a byte shorter", trailer[:-1], "sig.format"
    yield "a trailer of the other length", (trailer + bytes(32))[:40 + longer], "sig.format"
    yield "a trailer twice", trailer * 2, "sig.format"
    yield "a trailer without its tag", trailer[:40], "sig.format"
    yield "no byte of a trailer", b"", "sig.format"
    yield "count of 0", put(trailer, 6, b"\0\0"), "sig.frames"
    if key.suite in PAIRS:
        scalar = int.from_bytes(trailer[72:104], "little") + L
        other_form = put(trailer, 72, scalar.to_bytes(32, "little"))
        yield "the tag's other form, its scalar plus the group's order", other_form, "sig.bad"
        yield "the halves of the tag exchanged", put(trailer, 40, trailer[72:104] + trailer[40:72]), "sig.bad"
    # Two faults: the first question of the order answers.
    yield "a flag, and an unknown key", put(flip(trailer, 64), 5, b"\1"), "sig.format"
    yield "the wrong count, and an unknown key", put(flip(trailer, 64), 7, b"\4"), "sig.frames"
    yield "an unknown key, and a changed tag", flip(flip(trailer, 64), 320), "sig.unknown_key"


def bad_frames():
    """(name, frames, whether their number is that of MESSAGE)."""
    a, empty, z = MESSAGE
    for number, frame in ((0, a), (2, z)):
        for bit in (0, 8 * len(frame) - 1):
            yield f"frame {number}, bit {bit} changed", [*MESSAGE[:number], flip(frame, bit), *MESSAGE[number + 1:]]
    yield "a byte moved from frame 0 to frame 1", [a[:-1], a[-1:], z]
    yield "a byte moved from frame 2 to frame 1", [a, z[:1], z[1:]]
    yield "a byte moved from frame 0 to frame 2", [a[:-1], empty, a[-1:] + z]
    yield "all bytes in the first frame", [a + z, b"", b""]
    yield "all bytes in the last frame", [b"", b"", a + z]
    yield "frames 0 and 1 exchanged", [empty, a, z]
    yield "frames 0 and 2 exchanged", [z, empty, a]
    yield "frame 0 emptied", [b"", empty, z]
    yield "frame 2 emptied", [a, empty, b""]
    yield "frame 1 filled", [a, b"\0", z]
    yield "frame 0 a byte longer", [a + b"\0", empty, z]
    yield "frame 0 a byte shorter", [a[:-1], empty, z]
    yield "frame 0 twice, frame 1 gone", [a, a, z]
    yield "frame 0 dropped", [empty, z]
    yield "frame 1 dropped", [a, z]
    yield "frame 2 dropped", [a, empty]
    yield "all frames but one dropped", [a]
    yield "all frames joined", [a + z]
    yield "an empty frame added behind", [*MESSAGE, b""]
    yield "an empty frame added before", [b"", *MESSAGE]
    yield "frame 2 added again", [*MESSAGE, z]


def forged(key):
    """(name, trailer): tags that a careless reading of the specification would accept."""
    head = head_of(key, 3)
    text = signed_text(head, "jobs", 0, MESSAGE)
    without_lengths = text[:-9 - 24] + text[-9:]
    assert without_lengths == signed_text(head, "jobs", 0, []) + b"".join(MESSAGE)
    yield "signed without the lengths of the frames", head + key.tag(without_lengths, "jobs", 0)
    yield "signed without the context", head + key.tag(text[30:], "jobs", 0)
    yield "signed without the head", head + key.tag(text[:30] + text[70:], "jobs", 0)
    yield "signed without the NUL of the context", head + key.tag(text[:29] + text[30:], "jobs", 0)
    little = signed_text(head, "jobs", 0, []) + b"".join(struct.pack("<Q", len(frame)) for frame in MESSAGE)
    yield "signed with little-endian lengths", head + key.tag(little + b"".join(MESSAGE), "jobs", 0)
    if key.suite == "ed25519":
        yield "signed as plain Ed25519", head + key.ed25519(text)
        yield "signed without the context of Ed25519", head + key.ed25519(blake2b(text, size=64))
        yield "signed as a batch of one", head + batch_tags(key, [text])[0][:64]
        return
    if key.suite == "ed25519-batch":
        place = b"\0\0"
        yield "signed as plain Ed25519", head + key.ed25519(text) + place
        yield "signed as suite 2 does", head + key.ed25519(b"picklewall/ed25519/v1\0" + blake2b(text, size=64)) + place
        yield "the leaf signed as suite 2 does", head + key.ed25519(b"picklewall/ed25519/v1\0" + leaf_of(text)) + place
        yield "signed without the context of the batch", head + key.ed25519(b"\0" + leaf_of(text)) + place
        yield "signed without the size", head + key.ed25519(batch_text(1, leaf_of(text))[:-33] + leaf_of(text)) + place
        yield "a leaf without its 0", head + batch_tags(key, [text], leaf=blake2b)[0]
        yield "a leaf with the 1 of a node", head + batch_tags(key, [text], leaf=lambda text: blake2b(b"\1" + text))[0]
        return
    mac = {"blake2b": blake2b, "hmac-sha256": lambda data, key: hmac.new(key, data, hashlib.sha256).digest()}[key.suite]
    yield "signed with the secret itself", head + mac(text, key.material)
    yield "signed with the key of the other direction", head + mac(text, key.channel_key("jobs", 1))
    yield "signed with the key of another channel", head + mac(text, key.channel_key("mail", 0))
    other = "hmac-sha256" if key.suite == "blake2b" else "blake2b"
    twin = Key("k", other, key.material)
    yield f"signed with the key derived for {other}", head + mac(text, twin.channel_key("jobs", 0))
    yield "signed with the other algorithm", head + twin.tag(text, "jobs", 0)


def refused_row(name, reason, frames, trailer, key, **where):
    where = {"channel": "jobs", "direction": 0, "siblings": [], "keys": [key.name], **where}
    return {"name": name, "reason": reason, **where, "frames": [frame_row(frame) for frame in frames],
            "trailer": trailer.hex()}


def refused(key, others):
    """Messages that must be refused, each with its reason."""
    def row(name, reason, frames, trailer, **where):
        return refused_row(name, reason, frames, trailer, key, **where)

    trailer = sign(key, MESSAGE)
    for name, changed, reason in bad_trailers(key, trailer):
        yield row(name, reason, MESSAGE, changed)
    for name, frames in bad_frames():
        if len(frames) == 3:
            yield row(name, "sig.bad", frames, trailer)
        else:
            yield row(name, "sig.frames", frames, trailer)
            yield row(name + ", and counted so", "sig.bad", frames, put(trailer, 6, struct.pack(">H", len(frames))))
    yield row("no frame", "sig.frames", [], trailer)
    yield row("no frame, and counted so", "sig.frames", [], put(trailer, 6, b"\0\0"))
    many = [b""] * 1025
    yield row("1025 frames, one too many", "sig.frames", many, sign(key, many))
    for name, changed in forged(key):
        yield row(name, "sig.bad", MESSAGE, changed)

    yield row("another channel", "sig.bad", MESSAGE, trailer, channel="mail")
    yield row("another channel, the true one beside it", "sig.channel", MESSAGE, trailer, channel="mail",
              siblings=["jobs"])
    yield row("a longer channel", "sig.bad", MESSAGE, trailer, channel="jobs2")
    yield row("a shorter channel", "sig.bad", MESSAGE, trailer, channel="job")
    yield row("another direction", "sig.bad", MESSAGE, trailer, direction=1)
    yield row("signed for the way back", "sig.bad", MESSAGE, sign(key, MESSAGE, direction=1))
    yield row("no key", "sig.unknown_key", MESSAGE, trailer, keys=[])
    yield row("another key", "sig.unknown_key", MESSAGE, trailer, keys=["other"])
    yield row("another key's id", "sig.bad", MESSAGE, put(trailer, 8, others["other"].id), keys=["other"])
    yield row("another key's id, both known", "sig.bad", MESSAGE, put(trailer, 8, others["other"].id),
              keys=[key.name, "other"])
    yield row("a key for other channels", "sig.channel", MESSAGE, sign(others["narrow"], MESSAGE), keys=["narrow"])
    yield row("a key for other channels, and another suite", "sig.wrong_suite", MESSAGE,
              put(sign(others["narrow"], MESSAGE), 4, bytes([{1: 3, 2: 1, 3: 1, 4: 1}[key.number]]))[:72],
              keys=["narrow"])
    if key.suite in PAIRS:
        twin = others["twin"]
        yield row("a key of another suite with the same bytes", "sig.wrong_suite", MESSAGE,
                  put(trailer, 8, twin.id), keys=["twin"])
        yield row("a key of another suite with the same bytes, and both known", "sig.wrong_suite", MESSAGE,
                  put(trailer, 8, twin.id), keys=[key.name, "twin"])
        for suite in ("hmac-sha256", "blake2b"):
            mac = Key("k", suite, key.public)
            mac.id = key.id
            yield row(f"the public key as a key of {suite}", "sig.wrong_suite", MESSAGE, sign(mac, MESSAGE),
                      keys=["half"])


def tails():
    """Frames and how many bytes at their end are a trailer."""
    def mark(size, far=None, near=None):
        frame = bytes(size)
        frame = frame if far is None else put(frame, size - 104, head(far))
        return frame if near is None else put(frame, size - 72, head(near))

    def head(suite, flags=0, count=1):
        return b"PWS1" + struct.pack(">BBH", suite, flags, count)

    def batch(size, index, messages, steps, start=head(4), near=b"", far=b""):
        """A frame that ends in the place `index` of `messages`; `near` and `far` stand 72 and 104 before its end."""
        frame = put(bytes(size - 2) + bytes([index, messages - 1]), size - 106 - 32 * steps, start)
        return put(put(frame, size - 104, far), size - 72, near)

    yield "empty", b"", 0
    yield "a byte less than a trailer", mark(72, near=1)[1:], 0
    yield "no magic", mark(200), 0
    yield "a later magic", put(mark(200), 128, b"PWS2\1"), 0
    yield "a magic a byte too far", mark(201, near=1)[:-1], 0
    for suite, name in ((1, "HMAC-SHA-256"), (3, "BLAKE2b")):
        yield f"a trailer of {name} alone", mark(72, near=suite), 72
        yield f"a trailer of {name} behind a payload", mark(300, near=suite), 72
        yield f"a trailer of {name}, a long one before it", mark(300, far=2, near=suite), 72
    yield "a trailer of Ed25519 alone", mark(104, far=2), 104
    yield "a trailer of Ed25519 behind a payload", mark(105, far=2), 104
    yield "both, the far one fits", mark(300, far=2, near=2), 104
    yield "both, neither fits", mark(300, far=1, near=2), 72
    yield "an unknown suite, near", mark(300, near=255), 72
    yield "an unknown suite, far", mark(300, far=255), 104
    yield "the suite of the long one, near", mark(300, near=2), 72
    yield "the suite of the short one, far", mark(300, far=1), 104
    yield "the suite of a batch, near", mark(300, near=4), 72
    yield "the suite of a batch, far", mark(300, far=4), 104
    yield "both, the near one with a flag", put(mark(300, far=2), 228, head(1, flags=1)), 104
    yield "both, the near one without a frame", put(mark(300, far=2), 228, head(1, count=0)), 104
    yield "both, the near one with 1025 frames", put(mark(300, far=2), 228, head(1, count=1025)), 104
    yield "both with a flag", put(put(mark(300), 196, head(2, flags=1)), 228, head(1, flags=1)), 72
    yield "a batch of one alone", batch(106, 0, 1, 0), 106
    yield "a batch of one behind a payload", batch(107, 0, 1, 0), 106
    yield "a batch of one, a byte cut off", batch(106, 0, 1, 0)[1:], 0
    for index, messages, steps in ((0, 2, 1), (1, 2, 1), (2, 3, 1), (0, 3, 2), (4, 5, 1), (2, 5, 3), (7, 8, 3),
                                   (255, 256, 8), (0, 256, 8), (128, 129, 1), (0, 129, 8), (254, 255, 7)):
        name = f"place {index} of {messages}"
        yield name + ", alone", batch(106 + 32 * steps, index, messages, steps), 106 + 32 * steps
        yield name + ", behind a payload", batch(600, index, messages, steps), 106 + 32 * steps
        yield name + ", with a step more", batch(600, index, messages, steps + 1), 0
    yield "a place behind the last", batch(300, 5, 5, 3), 0
    yield "a place far behind the last", batch(300, 255, 1, 0), 0
    yield "a place, and a suite that has none", batch(300, 2, 5, 3, head(2)), 0
    yield "a place, and an unknown suite", batch(300, 2, 5, 3, head(9)), 0
    yield "a place, and a later magic", batch(300, 2, 5, 3, b"PWS2\4\0\0\1"), 0
    yield "a place, and a flag", batch(300, 2, 5, 3, head(4, flags=1)), 202
    yield "a place, and no frame", batch(300, 2, 5, 3, head(4, count=0)), 202
    yield "a trailer of HMAC-SHA-256, a batch in the payload", batch(300, 2, 5, 3, near=head(1)), 72
    yield "a trailer of Ed25519, a batch in the payload", batch(300, 2, 5, 3, far=head(2)), 104
    yield "a trailer of Ed25519, a batch of one in the payload", batch(300, 0, 2, 1, far=head(2)), 104
    yield "a batch, an unknown suite near", batch(300, 2, 5, 3, near=head(9)), 202
    yield "a batch, an unknown suite far", batch(300, 2, 5, 3, far=head(9)), 202
    yield "a batch, the suite of a long one near", batch(300, 2, 5, 3, near=head(2)), 202
    yield "a batch, a flag near", batch(300, 2, 5, 3, near=head(3, flags=128)), 202
    yield "a batch, too many frames far", batch(300, 2, 5, 3, far=head(2, count=1025)), 202
    yield "a batch with a flag, a good one near", batch(300, 2, 5, 3, head(4, flags=1), near=head(3)), 72
    yield "a batch with a flag, a malformed one near", batch(300, 2, 5, 3, head(4, flags=1), near=head(9)), 72


def suite_file(suite):
    key = Key("k", suite, COUNTING)
    others = {"other": Key("other", suite, COUNTING[::-1]),
              "narrow": Key("narrow", suite, COUNTING[1:] + b"!", "mail*")}
    if suite in PAIRS:
        others["half"] = key.half("half")
        others["twin"] = Key("twin", PAIRS[suite == PAIRS[0]], COUNTING)
    parts = {"keys": [each.row() for each in (key, *others.values())]}
    if suite not in PAIRS:
        parts["derived"] = list(derived(key))
    parts.update(signed=list(good(key)), refused=list(refused(key, others)))
    if suite == "ed25519-batch":
        parts["batches"] = list(batches(key))
        parts["refused"] += refused_in_batches(key)
    return parts


def write(path, parts):
    """One row a line."""
    sections = ["%s: [\n%s\n]" % (json.dumps(name), ",\n".join(json.dumps(row) for row in rows))
                for name, rows in parts.items()]
    path.write_text("{\n" + ",\n".join(sections) + "\n}\n")


def main(folder):
    for suite in SUITES:
        write(folder / f"{suite}.json", suite_file(suite))
    write(folder / "tails.json", {"tails": [{"name": name, "frame": frame.hex(), "trailer_bytes": size}
                                            for name, frame, size in tails()]})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "vectors")
