# SPDX-License-Identifier: Apache-2.0
"""Every line that a wall under test has written, held against the schema.

Lines are many and alike, and the validator is slow: what is well formed and differs in every line (ids,
hashes, numbers) is made the same first, and each line that is left is validated once.
"""

import gzip
import json
import pathlib
import re

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "common/audit/audit.schema.json").read_text()))

HASHES = re.compile(rb'"(id|entry|object|sha256|prev)":"(?:[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{64})"')
KEY_ID = re.compile(rb'"kid":"[0-9a-f]{16}"')
NUMBER = re.compile(rb'":(-?)[1-9][0-9]{0,14}(?:\.[0-9]{1,3})?(?=[,}])')
PORT = re.compile(rb"(tcp://127\.0\.0\.1:)[0-9]+")
TIME = re.compile(rb'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"')
PLACES = ((HASHES, rb'"\1":""'), (KEY_ID, b'"kid":""'), (NUMBER, rb'":\g<1>1'), (PORT, rb"\1"), (TIME, b'""'))

seen = set()


def kind_of(line):
    """The line without what changes from one to the next and is well formed."""
    for pattern, same in PLACES:
        line = pattern.sub(same, line)
    return line


def check_lines(path, torn=0):
    """AssertionError at the first line that does not fit; `torn` of them may be cut short by a kill."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, line in enumerate(text.splitlines(), 1):
        kind = kind_of(line)
        if kind in seen:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            torn -= 1
            assert torn >= 0, f"{path}:{number}: no JSON: {line[:200]}"
            continue
        wrong = next(SCHEMA.iter_errors(event), None)
        assert wrong is None, f"{path}:{number}: {wrong.message} in {line[:2000]}"
        seen.add(kind)
