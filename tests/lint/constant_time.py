#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A tag is never compared by a function that stops at the first difference.

Every such comparison in common/sign stands in PUBLIC, with what it compares; whoever adds one has to say
that it is no tag. A function called `fits` answers for a tag, and compares in constant time.
"""
import re

from house import functions
from sources import code_only, files, line_of, read, report

FOLDER = "common/sign"
HASTY = re.compile(r"\b(memcmp|bcmp|strcmp|strncmp|strcasecmp|strncasecmp|memmem|strstr|pw_span_equal)[ \t]*\(")
CONSTANT = re.compile(r"\b(sodium_memcmp|crypto_sign_verify_detached|crypto_verify_\d+|pw_batch_signed)[ \t]*\(")

PUBLIC = {
    "epochs.c:sum_fits": "the checksum of a file of our own",
    "epochs.c:pw_epochs_parse": "the magic of that file",
    "foreign.c:split_jupyter": "a delimiter",
    "key_file.c:open_mounted": "the target of a link",
    "key_file.c:ends_in_hex": "the end of a file's name",
    "key_text.c:find_line": "the name of a line",
    "key_text.c:read_words": "words of a key file",
    "key_text.c:decode": "the prefix in front of a key",
    "key_text.c:read_material": "check letters, which lie beside the secret in its file",
    "key_text.c:pw_key_status_parse": "a word of a key file",
    "keyring.c:pw_key_file_kind": "a file's name",
    "keyring.c:by_bytes": "names of files",
    "keyring.c:add_file": "names of keys",
    "keyring.c:pw_keyring_find": "names of keys",
    "keyring.c:pw_keyring_find_id": "a key id, which every trailer shows",
    "keyring_look.c:pw_keyring_changed": "fingerprints of a folder, which nobody sends",
    "keyring_revoked.c:is_version": "a word of the list of revoked keys",
    "keyring_revoked.c:pw_revoked_has": "a key id",
    "replay.c:is_key": "a key id",
    "roots.c:is_root": "a signature of Ed25519, which everybody may know and verify",
    "roots.c:rest_is_known": "nodes of a batch's tree, which its trailers show",
    "scheme.c:pw_suite_parse": "the name of a suite",
    "signer.c:pw_signer_continue": "a key id",
    "trailer.c:pw_trailer_parse": "the magic",
    "trailer.c:look": "the magic",
    "trailer.c:pw_trailer_remains": "the magic",
    "verifier.c:find_key": "a key id",
    "verifier.c:is_ours": "names of channels",
    "verifier.c:pw_sig_state_text": "the code of a reason",
}


def bodies(text):
    """Name, first line and text of each function."""
    lines = code_only(text).splitlines()
    for name, start, length in functions(text):
        yield name, start, "\n".join(lines[start - 1:start - 1 + length])


def comparisons(name, text):
    """FILE:FUNCTION of each hasty comparison, and its line."""
    for function, start, body in bodies(text):
        for match in HASTY.finditer(body):
            yield f"{name}:{function}", start + line_of(body, match.start()) - 1


def violations(path, text, public):
    name = path.rpartition("/")[2]
    for place, line in comparisons(name, text):
        if place not in public:
            yield (f"{path}:{line}: a comparison that ends early; use sodium_memcmp for a tag, or say in "
                   f"tests/lint/constant_time.py what {place} compares")
    for function, start, body in bodies(text):
        if function == "fits" and not CONSTANT.search(body):
            yield f"{path}:{start}: {function}() compares no tag in constant time; use sodium_memcmp"


def stale(texts, public):
    """Rows of `public` whose comparison is gone."""
    found = {place for name, text in texts.items() for place, _ in comparisons(name, text)}
    for place in sorted(set(public) - found):
        yield f"tests/lint/constant_time.py: {place} compares nothing any more; remove its row"


def main():
    texts = {path: read(path) for path in files(".c", ".h", under=FOLDER)}
    problems = [wrong for path, text in texts.items() for wrong in violations(path, text, PUBLIC)]
    problems += stale({path.rpartition("/")[2]: text for path, text in texts.items()}, PUBLIC)
    report(problems)


if __name__ == "__main__":
    main()
