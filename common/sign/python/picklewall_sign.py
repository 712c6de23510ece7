# SPDX-License-Identifier: Apache-2.0
"""Sign and verify messages as picklewall does, in the programs on either side of it.

    key = Key.load("/etc/picklewall/keys/prod.pwkey")
    socket.send_multipart(Signer(key, "jobs").sign_tail([pickle.dumps(job)]))
    frames = Verifier([key], "jobs").verify(socket.recv_multipart()).frames

One file for Python 3.6 and later, the standard library, and PyNaCl for Ed25519 alone. The bytes are
specified in common/sign/README.md of picklewall; README.md beside this file shows how to use it.
"""

import calendar
import collections
import datetime
import hashlib
import hmac
import os
import pickle
import re
import stat
import struct
import threading
import time
from base64 import urlsafe_b64decode
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

try:
    import nacl.bindings as _nacl
    import nacl.exceptions as _nacl_exceptions
except ImportError:
    _nacl = None

__all__ = [
    "FORWARD", "BACK", "SUITES", "BATCH_MAX", "Key", "KeyFileError", "load_keys", "Signer", "Verifier", "Verified",
    "trailer_at_end", "SignatureError", "MissingSignature", "BadFormat", "BadFrames", "UnknownKey", "RevokedKey",
    "RetiredKey", "KeyNotYetValid", "ExpiredKey", "WrongSuite", "WrongChannel", "BadSignature", "TooOld",
    "FromTheFuture", "Replayed", "send_pyobj", "recv_pyobj", "send_multipart", "recv_multipart",
]

_Path = Union[str, "os.PathLike[str]"]
Frame = Union[bytes, bytearray, memoryview]  # or whatever else shows its bytes, as zmq.Frame does

FORWARD = 0  # toward the consumer
BACK = 1  # from the consumer back

# The names of key files, the numbers of the wire.
SUITES = {"hmac-sha256": 1, "ed25519": 2, "blake2b": 3, "ed25519-batch": 4}
BATCH_MAX = 256  # messages under one signature of ed25519-batch

_MAGIC = b"PWS1"
_HEAD = struct.Struct(">4sBBH8sQQQ")
_PAIRS = ("ed25519", "ed25519-batch")  # suites with a half that only verifies
_BATCH = SUITES["ed25519-batch"]
_TAG_BYTES = {1: 32, 2: 64, 3: 32}
_SHORT, _LONG = 72, 104
_ROOTS_MAX = 64
_FRAMES_MAX = 1024
_CHANNEL_MAX = 255
_KEY_FILE_MAX = 4096
_REVOKED_FILE_MAX = 64 * 1024
_EPOCHS_MAX = 64
_WINDOW = 8128  # how far behind the highest number of an epoch a message may come
_WINDOW_MASK = (1 << (_WINDOW + 1)) - 1


class SignatureError(Exception):
    """A message that is refused. `code` is the word of picklewall's log for it."""

    code = "sig.bad"
    text = "the signature does not fit the message"

    def __str__(self) -> str:
        return "{}: {}".format(self.code, self.text)


class MissingSignature(SignatureError):
    """The message ends in no trailer."""

    code = "sig.missing"
    text = "no signature where one is required"


class BadFormat(SignatureError):
    """The trailer is malformed, or of a version that this module does not know."""

    code = "sig.format"
    text = "a trailer of a wrong length, flag or version"


class BadFrames(SignatureError):
    """The message has no frame, too many, or not as many as its trailer says."""

    code = "sig.frames"
    text = "the trailer counts other frames than there are"


class UnknownKey(SignatureError):
    """None of the verifier's keys has the id that the trailer names."""

    code = "sig.unknown_key"
    text = "signed with a key that is not among ours"


class RevokedKey(SignatureError):
    """The key is revoked, by its file or by the list of the folder."""

    code = "sig.revoked"
    text = "signed with a key that is revoked"


class RetiredKey(SignatureError):
    """The key's file says `retired`; or `verify_only`, where it was to sign."""

    code = "sig.retired"
    text = "signed with a key that is retired"


class KeyNotYetValid(SignatureError):
    """It is not yet the key's `not_before`."""

    code = "sig.not_yet"
    text = "the key's not_before is still to come"


class ExpiredKey(SignatureError):
    """The key's `not_after` has passed."""

    code = "sig.key_expired"
    text = "the key's not_after has passed"


class WrongSuite(SignatureError):
    """The trailer names another algorithm than its key is for."""

    code = "sig.wrong_suite"
    text = "the trailer names another algorithm than its key"


class WrongChannel(SignatureError):
    """The key is not for this channel, or the message was signed for a sibling of it."""

    code = "sig.channel"
    text = "signed for another channel, or by a key that may not sign here"


class BadSignature(SignatureError):
    """The tag does not fit: another key, another channel, or a changed message."""


class TooOld(SignatureError):
    """A true signature, made longer than `max_age` ago."""

    code = "sig.expired"
    text = "signed longer ago than max_age"


class FromTheFuture(SignatureError):
    """A true signature, by a clock that is more than `max_future` ahead of ours."""

    code = "sig.future"
    text = "signed later than now and max_future"


class Replayed(SignatureError):
    """A true signature of a message that was accepted before, or is too far behind to tell."""

    code = "sig.replay"
    text = "accepted before, or so long ago that nobody can tell"


class KeyFileError(ValueError):
    """A key file that is not taken. The sentence names the file, the line and the remedy."""


def _now_ns() -> int:
    return int(time.time() * 10**9)  # time_ns is younger than Python 3.6


def _blake2b(data: bytes, key: bytes = b"", size: int = 32) -> bytes:
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


# ---- keys ----------------------------------------------------------------------------------------

_PATTERN_PIECE = re.compile(rb"\\(?P<plain>.)|(?P<wild>[*?])|\[(?P<not>[!^]|(?![!^]))(?P<set>[^][\\]+)\]"
                            rb"|(?P<one>[^][*?\\]|\])")


def _one_of(letters: bytes) -> bytes:
    """The inside of a set, ranges and all, for `re`."""
    parts = []
    for match in re.finditer(rb"(.)-(.)|(.)", letters):
        first, last, one = match.groups()
        if first is not None and first > last:
            raise ValueError
        parts.append(re.escape(one) if first is None else re.escape(first) + b"-" + re.escape(last))
    return b"".join(parts)


def _compile_pattern(pattern: str) -> "Optional[re.Pattern]":
    """What fnmatch(3) makes of a channel pattern; None takes every channel.

    Raises ValueError for what shells disagree about: classes, an open bracket, a reversed range.
    """
    if not pattern:
        return None
    text, at, out = pattern.encode("ascii"), 0, b""
    while at < len(text):
        match = _PATTERN_PIECE.match(text, at)
        if match is None:
            raise ValueError
        at = match.end()
        if match.group("wild"):
            out += b".*" if match.group("wild") == b"*" else b"."
        elif match.group("set"):
            out += (b"[^" if match.group("not") else b"[") + _one_of(match.group("set")) + b"]"
        else:
            out += re.escape(match.group("plain") or match.group("one"))
    return re.compile(out, re.S)


class Key:
    """One key: a shared secret, a pair for Ed25519, or the public half of one.

    `suite` is a name of SUITES, `name` what configurations call the key (`id:` in its file), `id` the
    8 bytes that a trailer names it by, `channel` the pattern of the channels it is for (empty: any),
    `role` what its file lets it do, `status` and the two times (ns since 1970) whether it may now.
    Python can neither lock nor wipe memory: whoever can read this process has its keys.
    """

    status = "active"
    not_before = 0
    not_after = None  # type: Optional[int]

    def __init__(self, suite: str, material: bytes, name: str = "key", role: str = "sign", channel: str = "",
                 public: bool = False) -> None:
        """`material` is 32 bytes: the secret, or for Ed25519 the seed, or with `public` the public key."""
        if suite not in SUITES:
            raise ValueError("no such suite; use ed25519, ed25519-batch, hmac-sha256 or blake2b")
        if not re.match(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z", name):
            raise ValueError("a key's name is 1 to 64 of A-Z a-z 0-9 . _ - and begins with no dot")
        if not re.match(r"[ -~]{0,255}\Z", channel):
            raise ValueError("a channel pattern is at most 255 characters of printable ASCII")
        if role not in ("sign", "verify"):
            raise ValueError("role: write sign or verify")
        if len(material) != 32 or not any(material):
            raise ValueError("a key is 32 bytes, not all of them zero; make one with picklewall key new")
        if public and (suite not in _PAIRS or role == "sign"):
            raise ValueError('a public key is for "suite: ed25519" or "ed25519-batch" with "role: verify"')
        if suite in _PAIRS and role == "verify" and not public:
            raise ValueError("a verifying {} key holds no secret; export its public half with picklewall "
                             "key public".format(suite))
        try:
            self._pattern = _compile_pattern(channel)
        except ValueError:
            raise ValueError("a channel pattern has * ? [a-z] [!a-z] and no other wildcard here") from None
        self.suite, self.name, self.role, self.channel = suite, name, role, channel
        self._number = SUITES[suite]
        self._secret = None if public else bytes(material)
        self._public = self._find_public(bytes(material), public) if suite in _PAIRS else None
        text = b"picklewall/keyid/v1\0" + bytes([self._number])
        self.id = (_blake2b(text, self._secret or b"") if self._public is None else _blake2b(text + self._public))[:8]

    def _find_public(self, material: bytes, public: bool) -> bytes:
        if _nacl is None:
            raise ImportError("Ed25519 needs PyNaCl: apt-get install python3-nacl, or pip install pynacl; "
                              "hmac-sha256 and blake2b do without")
        if not public:
            half, self._secret = _nacl.crypto_sign_seed_keypair(material)
            return half
        if not _nacl.crypto_core_ed25519_is_valid_point(material):
            raise ValueError("not the public key of any ed25519 key; export it again with picklewall key public")
        return material

    def __repr__(self) -> str:
        return "<Key {} {} {}>".format(self.name, self.suite, self.id.hex())

    def takes(self, channel: str) -> bool:
        """Whether the key's pattern lets it sign for this channel."""
        return self._pattern is None or self._pattern.fullmatch(channel.encode()) is not None

    def check_usable(self, now_ns: Optional[int] = None, to_sign: bool = False) -> None:
        """Raises the SignatureError for which the key can verify (or sign) nothing at this time."""
        now = _now_ns() if now_ns is None else now_ns
        if self.status == "revoked":
            raise RevokedKey
        if self.status == "retired" or (to_sign and self.status == "verify_only"):
            raise RetiredKey
        if now < self.not_before:
            raise KeyNotYetValid
        if self.not_after is not None and now >= self.not_after:
            raise ExpiredKey

    @classmethod
    def parse(cls, text: bytes) -> "Key":
        """The key in the text of a file. Raises KeyFileError with the number of the line."""
        return _parse(text)

    @classmethod
    def load(cls, path: _Path) -> "Key":
        """Read a .pwkey file.

        Raises OSError, and KeyFileError for a file that is broken, that others may write, or that
        holds a secret which others may read. The rules are those of picklewall, but for the folders
        above the file, which are not judged here.
        """
        text, info = _read_file(path, _KEY_FILE_MAX)
        try:
            key = _parse(text)
        except KeyFileError as error:
            raise KeyFileError("{}:{}".format(path, error)) from None
        if key._secret is not None and _others_may(info, _readers(info)):
            raise KeyFileError("{0}: others may read it; run chmod 600 {0}".format(path))
        return key


def _read_file(path: _Path, limit: int) -> "Tuple[bytes, os.stat_result]":
    """A file that nobody else may have written; a byte more than `limit` at most."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO must not hang us
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise KeyFileError("{}: not a file; put a file there".format(path))
        if _others_may(info, stat.S_IWGRP | stat.S_IWOTH):
            raise KeyFileError("{0}: others may write it; make a new one unless you trust it, and run chmod 600 {0}"
                               .format(path))
        return file.read(limit + 1), info


def _others_may(info: os.stat_result, bits: int) -> bool:
    return os.name == "posix" and info.st_mode & bits != 0


def _readers(info: os.stat_result) -> int:
    """The permissions that a secret must not have.

    Kubernetes mounts a secret as root's, readable by a group of ours; systemd's access control list for a
    unit's user looks as if root's own group might read it.
    """
    if info.st_uid == 0 and os.name == "posix" and info.st_gid in {0, os.getegid(), *os.getgroups()}:
        return stat.S_IROTH
    return stat.S_IRGRP | stat.S_IROTH


_LINES = ("picklewall-key", "suite", "id", "role", "channel", "status", "not_before", "not_after", "secret", "public")
_STATUSES = ("active", "verify_only", "retired", "revoked")
_Lines = Dict[str, Tuple[int, str]]  # by name: the number of the line, and its value


def _complaint(lines: _Lines, name: str, sentence: str) -> KeyFileError:
    return KeyFileError("{}: {}: {}".format(lines[name][0], name, sentence))


def _read_lines(text: bytes) -> _Lines:
    """No sentence quotes a line: a misspelt name may stand before a secret."""
    lines = {}  # type: _Lines
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip(b" ") or line.startswith(b"#"):
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or name not in _LINES:
            raise KeyFileError("{}: not a line of a key file; it knows {}, each with \": \" behind it"
                               .format(number, ", ".join(_LINES)))
        if not lines and name != "picklewall-key":
            raise KeyFileError("{}: a key file begins with \"picklewall-key: 1\"".format(number))
        if name in lines:
            raise KeyFileError("{}: {}: was said on line {}; remove one".format(number, name, lines[name][0]))
        lines[name] = number, value.strip(" ")
    last = max(1, len(text.splitlines()))
    for name in ("picklewall-key", "suite", "id", "role"):
        if name not in lines:
            raise KeyFileError("{}: the file ends without a line \"{}: \"".format(last, name))
    if ("secret" in lines) == ("public" in lines):
        raise KeyFileError("{}: a key file holds a secret or a public key, and never both; write one of them"
                           .format(last))
    return lines


def _read_material(lines: _Lines, kind: str) -> bytes:
    prefix, letter = {"secret": ("PWSK1", b"S"), "public": ("PWPK1", b"P")}[kind]
    text = lines[kind][1]
    if not re.match(prefix + r"[A-Za-z0-9_-]{48}\Z", text):
        raise _complaint(lines, kind, "not {} and 48 letters of base64url; was it cut?".format(prefix))
    material = urlsafe_b64decode(text[len(prefix):])
    suite = bytes([SUITES[lines["suite"][1]]])
    if _blake2b(b"picklewall/key-text/v1\0" + letter + suite + material[:32])[:4] != material[32:]:
        raise _complaint(lines, kind, "its check letters do not fit; a letter or the suite was changed, copy the "
                                      "file again")
    return material[:32]


def _read_time(lines: _Lines, name: str) -> int:
    """ns since 1970, from the one spelling of RFC 3339 that key files use."""
    try:
        if not re.match(r"[0-9-]{10}T[0-9:]{8}Z\Z", lines[name][1]):
            raise ValueError
        moment = datetime.datetime.strptime(lines[name][1], "%Y-%m-%dT%H:%M:%SZ")
        if not 1970 <= moment.year <= 2553:
            raise ValueError
    except ValueError:
        raise _complaint(lines, name, "not a time between 1970 and 2553; write it as 2027-01-31T12:00:00Z, in "
                                      "UTC") from None
    return calendar.timegm(moment.timetuple()) * 10**9


def _read_standing(lines: _Lines, key: Key) -> None:
    """What may be left out: a key without these lines is active, and for ever."""
    if "status" in lines:
        key.status = lines["status"][1]
        if key.status not in _STATUSES:
            raise _complaint(lines, "status", "write active, verify_only, retired or revoked")
    if "not_before" in lines:
        key.not_before = _read_time(lines, "not_before")
    if "not_after" in lines:
        key.not_after = _read_time(lines, "not_after")
        if key.not_after <= key.not_before:
            raise _complaint(lines, "not_after", "is not later than not_before; correct one of them")


def _parse(text: bytes) -> Key:
    if len(text) > _KEY_FILE_MAX:
        raise KeyFileError("1: a key file is at most {} bytes".format(_KEY_FILE_MAX))
    lines = _read_lines(text)
    if lines["picklewall-key"][1] != "1":
        raise _complaint(lines, "picklewall-key", "this module reads version 1 and no other")
    if lines["suite"][1] not in SUITES:
        raise _complaint(lines, "suite", "no such suite; write ed25519, ed25519-batch, hmac-sha256 or blake2b")
    kind = "secret" if "secret" in lines else "public"
    material = _read_material(lines, kind)
    channel = lines.get("channel", (0, ""))[1]
    try:
        key = Key(lines["suite"][1], material, lines["id"][1], lines["role"][1], channel, kind == "public")
    except ValueError as error:
        raise KeyFileError("{}: {}".format(lines[kind][0], error)) from None
    _read_standing(lines, key)
    return key


def _read_revoked(path: _Path) -> Set[bytes]:
    """The ids of the list of revoked keys; a folder need not have one."""
    try:
        text, _ = _read_file(path, _REVOKED_FILE_MAX)
    except FileNotFoundError:
        return set()
    words = [line.partition(b"#")[0].strip(b" ").decode("latin-1") for line in text.split(b"\n")]
    words = [word for word in words if word]
    if len(text) > _REVOKED_FILE_MAX or not words or not re.match(r"version: *[1-9][0-9]{0,15}\Z", words[0]):
        raise KeyFileError("{}: a list of revoked keys begins with \"version: N\" and is at most {} bytes"
                           .format(path, _REVOKED_FILE_MAX))
    for word in words[1:]:
        if not re.match(r"[0-9A-Fa-f]{16}\Z", word):
            raise KeyFileError("{}: not a key id; write the 16 hexadecimal digits that picklewall key list shows, one "
                               "key a line".format(path))
    return {bytes.fromhex(word) for word in words[1:]}


def load_keys(folder: _Path) -> List[Key]:
    """Every *.pwkey file of a folder but the hidden ones, by name of file; those of its list are revoked."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".pwkey") and not name.startswith("."))
    keys = [Key.load(os.path.join(folder, name)) for name in names]
    revoked = _read_revoked(os.path.join(folder, "revoked"))
    for key in keys:
        key.status = "revoked" if key.id in revoked else key.status
    return keys


# ---- the trailer ---------------------------------------------------------------------------------

def _views(frames: Iterable[Frame]) -> List[memoryview]:
    return [memoryview(frame).cast("B") for frame in frames]


def _channel_bytes(channel: str) -> bytes:
    """The channel as it is signed; never sent."""
    name = channel.encode()
    if not 1 <= len(name) <= _CHANNEL_MAX or b"\0" in name:
        raise ValueError("a signed channel has a name of 1 to {} bytes".format(_CHANNEL_MAX))
    return struct.pack(">H", len(name)) + name


_Claim = Tuple[bytes, bytes, bytes]  # key id, tag or signature, what it is over


class _ChannelKey:
    """A key made ready for one channel and direction: a message starts from a copied hash state."""

    def __init__(self, key: Key, channel: str, direction: int) -> None:
        if direction not in (FORWARD, BACK):
            raise ValueError("a direction is FORWARD or BACK")
        name, way = _channel_bytes(channel), bytes([direction])
        self.key = key
        self._scope = name + way
        context = b"picklewall/frame-signature/v1\0"
        if key.suite in _PAIRS:
            is_batch = key.suite == "ed25519-batch"
            self._start = hashlib.blake2b(b"\0" * is_batch + context, digest_size=32 if is_batch else 64)  # type: Any
            return
        derived = _blake2b(b"picklewall/kdf/v1\0" + bytes([key._number]) + way + name, key._secret or b"")
        if key.suite == "blake2b":
            self._start = hashlib.blake2b(context, key=derived, digest_size=32)
        else:
            self._start = hmac.new(derived, context, hashlib.sha256)

    def digest(self, head: bytes, frames: Sequence[memoryview]) -> bytes:
        """The tag of a symmetric key; for Ed25519 the digest of a message, in a batch its leaf."""
        state = self._start.copy()
        lengths = struct.pack(">{}Q".format(len(frames)), *[frame.nbytes for frame in frames])
        state.update(head + self._scope + lengths)
        for frame in frames:
            state.update(frame)
        return state.digest()

    def sign(self, head: bytes, frames: Sequence[memoryview]) -> bytes:
        """The tag of a message that is alone."""
        digest = self.digest(head, frames)
        if self.key._public is None:
            return digest
        if self.key.suite == "ed25519-batch":
            return self.sign_batch([digest])[0]
        return self._ed25519(b"picklewall/ed25519/v1\0" + digest)

    def sign_batch(self, leaves: List[bytes]) -> List[bytes]:
        """The tags of the messages that have these leaves."""
        tree = _tree(leaves)
        signature = self._ed25519(_batch_text(len(leaves), tree[-1][0]))
        return [signature + b"".join(_path(tree, index)) + bytes([index, len(leaves) - 1])
                for index in range(len(leaves))]

    def _ed25519(self, text: bytes) -> bytes:
        return _nacl.crypto_sign(text, self.key._secret)[:64]

    def claim(self, head: bytes, frames: Sequence[memoryview], tag: bytes) -> _Claim:
        """What the tag, which has its length, says of this message."""
        digest = self.digest(head, frames)
        if self.key._public is None:
            return self.key.id, tag, digest
        if self.key.suite == "ed25519":
            return self.key.id, tag, b"picklewall/ed25519/v1\0" + digest
        return self.key.id, tag[:64], _batch_text(tag[-1] + 1, _climb(digest, tag))

    def holds(self, claim: _Claim) -> bool:
        _, tag, text = claim
        if self.key._public is None:
            return hmac.compare_digest(text, tag)  # in constant time
        try:
            _nacl.crypto_sign_open(tag + text, self.key._public)
        except _nacl_exceptions.BadSignatureError:
            return False
        return True


def _node(left: bytes, right: bytes) -> bytes:
    return _blake2b(b"\1" + left + right)


def _tree(leaves: List[bytes]) -> List[List[bytes]]:
    """Level by level, the root last. The last one of a level that has no neighbour goes up as it is."""
    tree = [leaves]
    while len(tree[-1]) > 1:
        below = tree[-1]
        tree.append([_node(*below[i:i + 2]) if i + 1 < len(below) else below[i] for i in range(0, len(below), 2)])
    return tree


def _path(tree: List[List[bytes]], index: int) -> List[bytes]:
    """The neighbours on the way from a leaf to the root."""
    path = []
    for level in tree[:-1]:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        index //= 2
    return path


def _way(index: int, size: int) -> List[int]:
    """For each neighbour on the way up whether it stands left, 1, or right, 0."""
    way = []
    while size > 1:
        if index ^ 1 < size:
            way.append(index & 1)
        index, size = index // 2, (size + 1) // 2
    return way


def _climb(leaf: bytes, tag: bytes) -> bytes:
    """The root, as the path of this tag has it."""
    node = leaf
    for number, is_left in enumerate(_way(tag[-2], tag[-1] + 1)):
        beside = tag[64 + 32 * number:][:32]
        node = _node(beside, node) if is_left else _node(node, beside)
    return node


def _batch_text(size: int, root: bytes) -> bytes:
    return b"picklewall/ed25519-batch/v1\0" + bytes([size - 1]) + root


def _tag_bytes(suite: int, place: bytes) -> Optional[int]:
    """How long a tag of this suite is whose last two bytes are `place`; None when there is none."""
    if suite != _BATCH:
        return _TAG_BYTES.get(suite)
    index, size = place[0], place[1] + 1
    return 66 + 32 * len(_way(index, size)) if index < size else None


def _head_fits(head: bytes, size: int, place: bytes) -> bool:
    magic, suite, flags, count = struct.unpack(">4sBBH", head[:8])
    tag = _tag_bytes(suite, place)
    return magic == _MAGIC and tag == size - _HEAD.size and flags == 0 and 1 <= count <= _FRAMES_MAX


def trailer_at_end(frame: Frame) -> int:
    """How many bytes at the end of a frame are a trailer: 72, 104, 106 to 362 for ed25519-batch, or 0 for none.

    Several places can hold the magic. A far one may be payload, which a stranger may have written; a near
    one lies in a true longer trailer, where nobody can choose what stands. So the nearest that fits is
    believed. A magic before an unknown suite, or a flag, is a trailer too, a malformed one.
    """
    view = memoryview(frame).cast("B")
    place = bytes(view[-2:])
    batch = _tag_bytes(_BATCH, place) if len(place) == 2 else None
    sizes = [_SHORT, _LONG] + ([_HEAD.size + batch] if batch is not None else [])
    heads = [(size, bytes(view[-size:][:8])) for size in sizes if size <= len(view)]
    heads = [(size, head) for size, head in heads
             if head[:4] == _MAGIC and (size in (_SHORT, _LONG) or head[4] == _BATCH)]
    fitting = [size for size, head in heads if _head_fits(head, size, place)]
    return min(fitting or [size for size, _ in heads] or [0])


def _absence(frame: Frame) -> "SignatureError":
    """What to raise when no trailer is found: one of another version, or length, may have been one."""
    return BadFormat() if re.search(rb"PWS[1-9]", memoryview(frame).cast("B")[-512:]) else MissingSignature()


class Signer:
    """Signs what one sender sends on one channel. Threads may share it; forked processes may not."""

    def __init__(self, key: Key, channel: str, direction: int = FORWARD, epoch: Optional[int] = None,
                 seq: int = 1) -> None:
        """`epoch` is when the sender started, in ms since 1970 (now); `seq` the number of the next message.

        Epochs of a key must grow from start to start, and two senders must not share one: a receiver
        takes what is behind for a replay. Raises ValueError when the key may not sign here, and a
        SignatureError, as `sign` does, when it may not sign now.
        """
        if key.role != "sign":
            raise ValueError("{}: this key only verifies; sign with a \"role: sign\" key".format(key.name))
        if not key.takes(channel):
            raise ValueError("{}: this key is for channels \"{}\", not for \"{}\"; use another key or change its "
                             "channel: line".format(key.name, key.channel, channel))
        key.check_usable(to_sign=True)
        self.key = key
        self.channel = channel
        self.epoch = int(time.time() * 1000) if epoch is None else epoch
        self._seq = seq
        self._ready = _ChannelKey(key, channel, direction)
        self._lock = threading.Lock()
        self._process = os.getpid()

    def sign(self, frames: Iterable[Frame], time_ns: Optional[int] = None) -> bytes:
        """The trailer of these frames as the next message; 1 to 1024 of them."""
        views = _views(frames)
        (head,) = self._heads([views], time_ns)
        return head + self._ready.sign(head, views)

    def sign_batch(self, messages: Iterable[Iterable[Frame]], time_ns: Optional[int] = None) -> List[bytes]:
        """The trailer of each of these messages, which are the next ones, signed at one time.

        With a key of ed25519-batch they share a signature and are BATCH_MAX at most. Any other key signs each.
        """
        batch = [_views(frames) for frames in messages]
        if self.key._number == _BATCH and len(batch) > BATCH_MAX:
            raise ValueError("a batch has at most {} messages; sign the others after them".format(BATCH_MAX))
        heads = self._heads(batch, time_ns)
        if self.key._number != _BATCH or not batch:
            return [head + self._ready.sign(head, views) for head, views in zip(heads, batch)]
        tags = self._ready.sign_batch([self._ready.digest(head, views) for head, views in zip(heads, batch)])
        return [head + tag for head, tag in zip(heads, tags)]

    def _heads(self, batch: Sequence[Sequence[memoryview]], time_ns: Optional[int]) -> List[bytes]:
        """The heads of the next messages; nothing is counted when one of them cannot be signed."""
        if not all(1 <= len(views) <= _FRAMES_MAX for views in batch):
            raise ValueError("a signed message has 1 to {} frames".format(_FRAMES_MAX))
        if os.getpid() != self._process:
            raise RuntimeError("this Signer was made before a fork; its numbers would be used twice, make a new one")
        now = _now_ns() if time_ns is None else time_ns
        self.key.check_usable(now, to_sign=True)
        with self._lock:
            seq, self._seq = self._seq, self._seq + len(batch)
        return [_HEAD.pack(_MAGIC, self.key._number, 0, len(views), self.key.id, self.epoch, seq + i, now)
                for i, views in enumerate(batch)]

    def sign_tail(self, frames: Sequence[Frame], carrier: int = -1) -> List[Frame]:
        """The frames with the trailer behind frame `carrier`, as `envelope = "tail"` has it.

        That is the last frame which the channel's frame rules call a pickle. Whoever unpickles it does
        not look behind its end.
        """
        signed = list(frames)
        trailer = self.sign(signed)
        signed[carrier] = bytes(signed[carrier]) + trailer
        return signed

    def sign_frame(self, frames: Sequence[Frame]) -> List[Frame]:
        """The frames and the trailer as one more, as `envelope = "frame"` has it."""
        return [*frames, self.sign(frames)]


class Verified(NamedTuple):
    """A message that its signature fits: its frames without the trailer, and what was signed with them."""

    frames: List[bytes]
    key: Key
    epoch: int
    seq: int
    time_ns: int


class _Memory:
    """What was accepted: for each epoch of a key its highest number, and a bit for each of those before."""

    def __init__(self) -> None:
        self._epochs = {}  # type: Dict[bytes, Dict[int, Tuple[int, int]]]

    def take(self, key_id: bytes, epoch: int, seq: int) -> None:
        """Raises Replayed for what is not new."""
        epochs = self._epochs.setdefault(key_id, {})
        if epoch not in epochs and epoch < max(epochs, default=1):
            raise Replayed  # a sender that started before one that is known; there is no epoch 0
        top, seen = epochs.get(epoch, (0, 0))
        if seq == 0 or top - seq > _WINDOW or (seq <= top and (seen >> (top - seq)) & 1):
            raise Replayed
        if seq > top:
            top, seen = seq, (seen << min(seq - top, _WINDOW + 1) | 1) & _WINDOW_MASK
        else:
            seen |= 1 << (top - seq)
        epochs[epoch] = top, seen
        if len(epochs) > _EPOCHS_MAX:
            del epochs[min(epochs)]


class Verifier:
    """Tells whether messages on one channel were signed with one of some keys, not long ago, and are new.

    What was accepted is remembered in this process only: after a restart a message that is younger than
    `max_age` can come again. A wall remembers it on disk.
    """

    def __init__(self, keys: Iterable[Key], channel: str, direction: int = FORWARD, siblings: Iterable[str] = (),
                 max_age: Optional[float] = 300, max_future: Optional[float] = 60, replay: bool = True) -> None:
        """`siblings` are other channels, asked only to tell "sig.channel" from "sig.bad"; eight at most.

        `max_age` and `max_future` are seconds; None is any. `replay` is whether a message is accepted only
        once. What lies in files wants None, None and False.
        """
        self.channel = channel
        self._direction = direction
        self._siblings = list(siblings)[:8]
        self._past = None if max_age is None else int(max_age * 10**9)
        self._future = None if max_future is None else int(max_future * 10**9)
        self._memory = _Memory() if replay else None
        self._lock = threading.Lock()
        self._roots = collections.OrderedDict()  # type: collections.OrderedDict[_Claim, None]
        self._ready = {}  # type: Dict[bytes, _ChannelKey]
        names = set()  # type: Set[str]
        for key in keys:
            if key.id in self._ready or key.name in names:
                raise ValueError("{}: this name or key is there already; keep one of them".format(key.name))
            names.add(key.name)
            self._ready[key.id] = _ChannelKey(key, channel, direction)

    def check(self, frames: Iterable[Frame], trailer: Frame) -> Verified:
        """Verify frames whose trailer travels apart. Raises a SignatureError."""
        views, signature, now = _views(frames), bytes(trailer), _now_ns()
        if not 1 <= len(views) <= _FRAMES_MAX:
            raise BadFrames
        if len(signature) < _SHORT:
            raise BadFormat
        head, tag = signature[:_HEAD.size], signature[_HEAD.size:]
        magic, suite, flags, count, key_id, epoch, seq, time_ns = _HEAD.unpack(head)
        if magic != _MAGIC or flags != 0 or _tag_bytes(suite, tag[-2:]) != len(tag):
            raise BadFormat
        if count != len(views):
            raise BadFrames
        ready = self._ready.get(key_id)
        if ready is None:
            raise UnknownKey
        ready.key.check_usable(now)
        if suite != ready.key._number:
            raise WrongSuite
        if not ready.key.takes(self.channel):
            raise WrongChannel
        claim = ready.claim(head, views, tag)
        if not self._has_root(claim) and not ready.holds(claim):
            raise self._why_not(ready.key, head, views, tag)
        self._admit(now, key_id, epoch, seq, time_ns)
        if suite == _BATCH and tag[-1] > 0:
            self._remember_root(claim)
        return Verified([bytes(view) for view in views], ready.key, epoch, seq, time_ns)

    def _why_not(self, key: Key, head: bytes, views: Sequence[memoryview], tag: bytes) -> SignatureError:
        """A true signature on the wrong channel is a wiring mistake or a replay, not a forgery."""
        for sibling in self._siblings:
            other = _ChannelKey(key, sibling, self._direction)
            if other.holds(other.claim(head, views, tag)):
                return WrongChannel()
        return BadSignature()

    def _has_root(self, claim: _Claim) -> bool:
        with self._lock:
            return claim in self._roots

    def _remember_root(self, claim: _Claim) -> None:
        """The messages of its batch that are still to come need no verification of their signature."""
        with self._lock:
            self._roots[claim] = None
            self._roots.move_to_end(claim)
            if len(self._roots) > _ROOTS_MAX:
                self._roots.popitem(last=False)

    def _admit(self, now: int, key_id: bytes, epoch: int, seq: int, time_ns: int) -> None:
        """What comes behind the tag; nothing is remembered of a message that is refused."""
        latest = None if self._future is None else now + self._future
        if latest is not None and (time_ns > latest or epoch > latest // 10**6):
            raise FromTheFuture  # an epoch, too: each honest start after it would look old
        if self._past is not None and time_ns < now - self._past:
            raise TooOld
        if self._memory is not None:
            with self._lock:
                self._memory.take(key_id, epoch, seq)

    def verify(self, frames: Sequence[Frame], carrier: int = -1) -> Verified:
        """Verify a message whose trailer stands behind frame `carrier`, as sign_tail puts it."""
        views = _views(frames)
        if not views:
            raise BadFrames
        size = trailer_at_end(views[carrier])
        if size == 0:
            raise _absence(views[carrier])
        whole = views[carrier]
        views[carrier] = whole[:len(whole) - size]
        return self.check(views, whole[len(whole) - size:])

    def verify_frame(self, frames: Sequence[Frame]) -> Verified:
        """Verify a message whose last frame is the trailer, as sign_frame puts it."""
        views = _views(frames)
        if not views:
            raise MissingSignature
        if len(views) < 2 or trailer_at_end(views[-1]) != len(views[-1]):
            raise _absence(views[-1])
        return self.check(views[:-1], views[-1])


# ---- pyzmq ---------------------------------------------------------------------------------------
# The socket does the work; this module never imports zmq.

def send_multipart(socket: Any, frames: Sequence[Frame], signer: Signer, flags: int = 0) -> Any:
    """Send frames, signed in the last one."""
    return socket.send_multipart(signer.sign_tail(frames), flags)


def recv_multipart(socket: Any, verifier: Verifier, flags: int = 0) -> List[bytes]:
    """The frames of the next message, without their trailer. Raises a SignatureError."""
    return verifier.verify(socket.recv_multipart(flags)).frames


def send_pyobj(socket: Any, obj: Any, signer: Signer, flags: int = 0,
               protocol: int = pickle.DEFAULT_PROTOCOL) -> Any:
    """socket.send_pyobj, signed. A consumer that knows nothing of it takes it with recv_pyobj."""
    return send_multipart(socket, [pickle.dumps(obj, protocol)], signer, flags)


def recv_pyobj(socket: Any, verifier: Verifier, flags: int = 0, loads: Callable[[bytes], Any] = pickle.loads) -> Any:
    """socket.recv_pyobj, which unpickles nothing but what a holder of the key has signed.

    Raises a SignatureError; the message is gone then, and the next call takes the next one. Do not unpickle
    it all the same.
    """
    frames = recv_multipart(socket, verifier, flags)
    if len(frames) != 1:
        raise BadFrames
    return loads(frames[0])
