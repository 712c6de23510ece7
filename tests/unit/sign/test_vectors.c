/* SPDX-License-Identifier: Apache-2.0
 *
 * The vectors of the specification, tests/data/vectors: each signature is made and
 * verified, each refusal has its reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/hex.h"
#include "common/sign/batch.h"
#include "common/sign/channel_key.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"

static const char *const suites[] = {"hmac-sha256", "ed25519", "blake2b", "ed25519-batch"};

enum { TRAILER_ROOM = 2 * PW_TRAILER_MAX, SIBLING_ROOM = 8 };

/* One row of a file, its hexadecimal read. */
struct message {
    const char *name;
    const char *channel;
    enum pw_direction direction;
    struct pw_span *frames;
    size_t count;
    uint8_t trailer_bytes[TRAILER_ROOM];
    struct pw_span trailer;
};

static json_t *
open_vectors(const char *name)
{
    const char *root = getenv("PW_SOURCE_DIR");
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/data/vectors/%s.json", root == NULL ? "." : root,
             name);
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (file == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    return file;
}

static void
close_vectors(json_t **file)
{
    json_decref(*file);
    *file = NULL;
}

/* A section that must not be empty. */
static json_t *
section(json_t *file, const char *name)
{
    json_t *rows = json_object_get(file, name);
    assert_true(json_array_size(rows) > 0);
    return rows;
}

static const char *
text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    assert_non_null(text);
    return text;
}

static uint64_t
number_of(const json_t *row, const char *name)
{
    char *end;
    uint64_t number = strtoull(text_of(row, name), &end, 10);
    assert_int_equal(*end, '\0');
    return number;
}

static size_t
read_hex(const char *text, uint8_t *out, size_t room)
{
    size_t len = strlen(text) / 2;
    assert_true(len <= room);
    assert_true(pw_hex_decode(pw_span_str(text), out, len));
    return len;
}

/* A frame is its bytes, or {"repeat": bytes, "times": n}. The caller frees it. */
static struct pw_span
read_frame(const json_t *row)
{
    const char *text =
        json_is_string(row) ? json_string_value(row) : text_of(row, "repeat");
    json_int_t times =
        json_is_string(row) ? 1 : json_integer_value(json_object_get(row, "times"));
    size_t len = strlen(text) / 2;
    assert_true(times > 0);
    uint8_t *bytes = malloc(len * (size_t)times + 1);
    assert_int_equal(read_hex(text, bytes, len), len);
    for (json_int_t i = 1; i < times; i++) {
        memcpy(bytes + len * (size_t)i, bytes, len);
    }
    return (struct pw_span){bytes, len * (size_t)times};
}

static void
read_message(const json_t *row, struct message *message)
{
    const json_t *frames = json_object_get(row, "frames");
    *message = (struct message){
        .name = text_of(row, "name"),
        .channel = text_of(row, "channel"),
        .direction =
            (enum pw_direction)json_integer_value(json_object_get(row, "direction")),
        .count = json_array_size(frames),
    };
    print_message("%s\n", message->name);
    message->frames = calloc(message->count + 1, sizeof *message->frames);
    for (size_t i = 0; i < message->count; i++) {
        message->frames[i] = read_frame(json_array_get(frames, i));
    }
    message->trailer = (struct pw_span){
        message->trailer_bytes,
        read_hex(text_of(row, "trailer"), message->trailer_bytes, TRAILER_ROOM)};
}

static void
free_message(struct message *message)
{
    for (size_t i = 0; i < message->count; i++) {
        free((void *)(uintptr_t)message->frames[i].ptr);
    }
    free(message->frames);
}

static struct pw_key *
read_key(const json_t *file, const char *name)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(file, "keys"), i, row)
    {
        if (strcmp(text_of(row, "name"), name) == 0) {
            struct pw_why why = {0};
            struct pw_key *key = pw_key_parse(pw_span_str(text_of(row, "file")), &why);
            assert_string_equal(why.text, "");
            assert_non_null(key);
            return key;
        }
    }
    fail_msg("no key %s", name);
    return NULL;
}

static struct pw_keyring *
ring_with(const json_t *file, const char *name)
{
    struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = read_key(file, name);
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    return ring;
}

static struct pw_keyring *
ring_of(const json_t *file, const json_t *names)
{
    struct pw_keyring *ring = pw_keyring_new();
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct pw_key *key = read_key(file, json_string_value(json_array_get(names, i)));
        assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    }
    return ring;
}

/* M, put together as the specification writes it. The caller frees it. */
static struct pw_span
signed_text(const struct message *message, struct pw_span head)
{
    static const char context[] = "picklewall/frame-signature/v1";
    size_t name = strlen(message->channel);
    size_t room = sizeof context + head.len + 2 + name + 1;
    for (size_t i = 0; i < message->count; i++) {
        room += 8 + message->frames[i].len;
    }
    uint8_t *text = malloc(room);
    uint8_t *at = mempcpy(text, context, sizeof context);
    at = mempcpy(at, head.ptr, head.len);
    *at++ = (uint8_t)(name >> 8);
    *at++ = (uint8_t)name;
    at = mempcpy(at, message->channel, name);
    *at++ = (uint8_t)message->direction;
    for (size_t i = 0; i < message->count; i++) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            *at++ = (uint8_t)((uint64_t)message->frames[i].len >> shift);
        }
    }
    for (size_t i = 0; i < message->count; i++) {
        at = mempcpy(at, message->frames[i].ptr, message->frames[i].len);
    }
    assert_int_equal(at - text, room);
    return (struct pw_span){text, room};
}

static void
free_span(struct pw_span *span)
{
    free((void *)(uintptr_t)span->ptr);
}

static void
each_suite(const char *section_name, void (*run)(json_t *file, json_t *row))
{
    for (size_t s = 0; s < PW_COUNT(suites); s++) {
        PW_CLEANUP(close_vectors) json_t *file = open_vectors(suites[s]);
        json_t *rows = section(file, section_name);
        print_message("-- %s, %s: %zu\n", suites[s], section_name, json_array_size(rows));
        for (size_t i = 0; i < json_array_size(rows); i++) {
            run(file, json_array_get(rows, i));
        }
    }
}

static void
key_has_its_id(json_t *file, json_t *row)
{
    char id[17];
    PW_CLEANUP(pw_key_free) struct pw_key *key = read_key(file, text_of(row, "name"));
    pw_hex_encode((struct pw_span){pw_key_id(key), 8}, id);
    assert_string_equal(id, text_of(row, "key_id"));
    assert_string_equal(pw_suite_text(pw_key_suite(key)), text_of(row, "suite"));
    assert_string_equal(pw_key_channel(key), text_of(row, "channel"));
    if (json_object_get(row, "public") != NULL) {
        uint8_t public_key[PW_KEY_BYTES];
        assert_int_equal(read_hex(text_of(row, "public"), public_key, sizeof public_key),
                         PW_KEY_BYTES);
        assert_memory_equal(key->public_key, public_key, sizeof public_key);
    }
    assert_int_equal(key->secret != NULL, json_object_get(row, "secret") != NULL);
    if (key->secret != NULL) {
        uint8_t secret[PW_KEY_BYTES];
        assert_int_equal(read_hex(text_of(row, "secret"), secret, sizeof secret),
                         PW_KEY_BYTES);
        assert_memory_equal(key->secret, secret, sizeof secret);
    }
}

static void
keys_have_their_ids(void **state)
{
    (void)state;
    each_suite("keys", key_has_its_id);
}

/* Two keys are the same when they give one tag. */
static void
derivation_fits(json_t *file, json_t *row)
{
    struct pw_scope scope;
    struct pw_channel_key ready;
    union pw_hash work;
    uint8_t derived[PW_KEY_BYTES];
    uint8_t tag[PW_TRAILER_MAX];
    struct message empty = {
        .channel = text_of(row, "channel"),
        .direction =
            (enum pw_direction)json_integer_value(json_object_get(row, "direction")),
    };
    PW_CLEANUP(pw_key_free) struct pw_key *key = read_key(file, text_of(row, "key"));
    PW_CLEANUP(free_span) struct pw_span text = signed_text(&empty, pw_span_str(""));
    assert_int_equal(read_hex(text_of(row, "channel_key"), derived, sizeof derived),
                     PW_KEY_BYTES);
    assert_true(pw_scope_fill(&scope, empty.channel, empty.direction));
    const struct pw_scheme *scheme = pw_scheme_of(pw_key_suite(key));
    scheme->start(&work, (struct pw_span){derived, sizeof derived});
    scheme->absorb(&work, text);
    scheme->sign(&work, key, tag);
    pw_channel_key_fill(&ready, key, &scope);
    struct pw_signed nothing = {.scope = &scope};
    assert_true(pw_channel_key_fits(&ready, &work, &nothing,
                                    (struct pw_span){tag, scheme->tag_len}));
}

static void
each_channel_and_direction_has_its_key(void **state)
{
    (void)state;
    static const char *const symmetric[] = {"hmac-sha256", "blake2b"};
    for (size_t s = 0; s < PW_COUNT(symmetric); s++) {
        PW_CLEANUP(close_vectors) json_t *file = open_vectors(symmetric[s]);
        json_t *rows = section(file, "derived");
        for (size_t i = 0; i < json_array_size(rows); i++) {
            derivation_fits(file, json_array_get(rows, i));
        }
    }
}

static void
text_has_its_digest(json_t *file, json_t *row)
{
    (void)file;
    uint8_t wanted[crypto_generichash_BYTES_MAX];
    uint8_t digest[crypto_generichash_BYTES_MAX];
    PW_CLEANUP(free_message) struct message message;
    read_message(row, &message);
    PW_CLEANUP(free_span)
    struct pw_span text =
        signed_text(&message, (struct pw_span){message.trailer.ptr, PW_TRAILER_HEAD});
    crypto_generichash(digest, sizeof digest, text.ptr, text.len, NULL, 0);
    assert_int_equal(read_hex(text_of(row, "digest"), wanted, sizeof wanted),
                     sizeof wanted);
    assert_memory_equal(digest, wanted, sizeof wanted);
}

static void
what_is_signed_is_what_the_specification_says(void **state)
{
    (void)state;
    each_suite("signed", text_has_its_digest);
}

static struct pw_sig_result
check(const struct pw_keyring *ring, const struct message *message, const json_t *siblings)
{
    const char *names[SIBLING_ROOM] = {NULL};
    assert_true(json_array_size(siblings) <= SIBLING_ROOM);
    for (size_t i = 0; i < json_array_size(siblings); i++) {
        names[i] = json_string_value(json_array_get(siblings, i));
    }
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier = pw_verifier_new(
        ring, message->channel, message->direction, names, json_array_size(siblings));
    struct pw_sig_result result;
    assert_non_null(verifier);
    pw_verifier_check(verifier, message->frames, message->count, message->trailer, &result);
    assert_int_equal(result.state, result.reason == PW_R_NONE ? PW_SIG_OK : PW_SIG_BAD);
    return result;
}

static void
signature_is_accepted(json_t *file, json_t *row)
{
    char id[17];
    PW_CLEANUP(free_message) struct message message;
    read_message(row, &message);
    PW_CLEANUP(pw_keyring_free)
    struct pw_keyring *ring = ring_with(file, text_of(row, "key"));
    struct pw_sig_result result = check(ring, &message, NULL);
    assert_string_equal(pw_reason_code(result.reason), pw_reason_code(PW_R_NONE));
    assert_int_equal(result.epoch, number_of(row, "epoch"));
    assert_int_equal(result.seq, number_of(row, "seq"));
    assert_int_equal(result.time_ns, number_of(row, "time"));
    pw_hex_encode((struct pw_span){result.key_id, sizeof result.key_id}, id);
    assert_memory_equal(text_of(row, "trailer") + 16, id, 16);
}

static void
every_signature_is_accepted(void **state)
{
    (void)state;
    each_suite("signed", signature_is_accepted);
}

/* Any number of a message: the trailer is packed here and not by a signer. */
static void
signature_is_made(json_t *file, json_t *row)
{
    struct pw_scope scope;
    struct pw_channel_key ready;
    union pw_hash work;
    uint8_t bytes[PW_TRAILER_MAX];
    char text[2 * PW_TRAILER_MAX + 1];
    PW_CLEANUP(free_message) struct message message;
    read_message(row, &message);
    PW_CLEANUP(pw_key_free) struct pw_key *key = read_key(file, text_of(row, "key"));
    struct pw_trailer trailer = {
        .suite = (uint8_t)pw_key_suite(key),
        .frames = (uint16_t)message.count,
        .epoch = number_of(row, "epoch"),
        .seq = number_of(row, "seq"),
        .time_ns = number_of(row, "time"),
    };
    memcpy(trailer.key_id, pw_key_id(key), sizeof trailer.key_id);
    pw_trailer_pack(&trailer, bytes);
    assert_true(pw_scope_fill(&scope, message.channel, message.direction));
    pw_channel_key_fill(&ready, key, &scope);
    struct pw_signed content = {
        {bytes, PW_TRAILER_HEAD}, &scope, message.frames, message.count};
    pw_channel_key_sign(&ready, &work, &content, bytes + PW_TRAILER_HEAD);
    pw_hex_encode((struct pw_span){bytes, PW_TRAILER_HEAD + ready.scheme->tag_len}, text);
    assert_string_equal(text, text_of(row, "trailer"));
}

static void
every_signature_is_made(void **state)
{
    (void)state;
    each_suite("signed", signature_is_made);
}

static void
signer_makes_it(json_t *file, json_t *row)
{
    if (number_of(row, "seq") > 2) { /* a signer begins with 1 */
        return;
    }
    struct pw_why why = {0};
    uint8_t bytes[PW_TRAILER_MAX];
    char text[2 * PW_TRAILER_MAX + 1];
    PW_CLEANUP(free_message) struct message message;
    read_message(row, &message);
    PW_CLEANUP(pw_keyring_free)
    struct pw_keyring *ring = ring_with(file, text_of(row, "key"));
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer =
        pw_signer_new(ring, text_of(row, "key"), message.channel, message.direction,
                      number_of(row, "epoch"), &why);
    assert_string_equal(why.text, "");
    for (uint64_t seq = 0; seq < number_of(row, "seq"); seq++) {
        assert_int_equal(pw_signer_sign(signer, message.frames, message.count,
                                        number_of(row, "time"), bytes),
                         PW_E_OK);
    }
    pw_hex_encode((struct pw_span){bytes, pw_signer_trailer_size(signer)}, text);
    assert_string_equal(text, text_of(row, "trailer"));
}

static void
a_signer_makes_those_it_can_get_to(void **state)
{
    (void)state;
    each_suite("signed", signer_makes_it);
}

/* A batch as it is signed: the trailers of all its messages. */
struct batch {
    json_t *row;
    struct pw_span messages[PW_SIGN_BATCH_MAX][2];
    size_t size;
    uint8_t trailers[PW_SIGN_BATCH_MAX][PW_TRAILER_MAX];
    size_t len[PW_SIGN_BATCH_MAX];
};

static void
read_batch(json_t *row, struct batch *batch)
{
    const json_t *messages = json_object_get(row, "messages");
    *batch = (struct batch){.row = row, .size = json_array_size(messages)};
    assert_in_range(batch->size, 1, PW_SIGN_BATCH_MAX);
    for (size_t i = 0; i < batch->size; i++) {
        const json_t *frames = json_array_get(messages, i);
        assert_int_equal(json_array_size(frames), 2);
        batch->messages[i][0] = read_frame(json_array_get(frames, 0));
        batch->messages[i][1] = read_frame(json_array_get(frames, 1));
    }
}

static void
free_batch(struct batch **batch)
{
    for (size_t i = 0; i < (*batch)->size; i++) {
        free_span(&(*batch)->messages[i][0]);
        free_span(&(*batch)->messages[i][1]);
    }
    free(*batch);
}

/* By a signer that has got to the first number of the batch. */
static void
sign_batch(const struct pw_keyring *ring, struct batch *batch)
{
    struct pw_why why = {0};
    uint8_t bytes[PW_TRAILER_MAX];
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer =
        pw_signer_new(ring, text_of(batch->row, "key"), text_of(batch->row, "channel"),
                      PW_DIR_FORWARD, number_of(batch->row, "epoch"), &why);
    assert_string_equal(why.text, "");
    for (uint64_t seq = 1; seq < number_of(batch->row, "seq"); seq++) {
        assert_int_equal(pw_signer_sign(signer, batch->messages[0], 2, 1, bytes), PW_E_OK);
    }
    for (size_t i = 0; i < batch->size; i++) {
        size_t slot = 0;
        uint64_t time_ns = number_of(batch->row, "time") + i;
        assert_int_equal(pw_signer_add(signer, batch->messages[i], 2, time_ns, &slot),
                         PW_E_OK);
        assert_int_equal(slot, i);
    }
    pw_signer_close(signer);
    for (size_t i = 0; i < batch->size; i++) {
        batch->len[i] = pw_signer_trailer(signer, i, batch->trailers[i]);
    }
}

static void
verify_batch(const struct pw_keyring *ring, const struct batch *batch, bool backwards)
{
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier =
        pw_verifier_new(ring, text_of(batch->row, "channel"), PW_DIR_FORWARD, NULL, 0);
    for (size_t i = 0; i < batch->size; i++) {
        size_t at = backwards ? batch->size - 1 - i : i;
        struct pw_sig_result result;
        struct pw_span trailer = {batch->trailers[at], batch->len[at]};
        pw_verifier_check(verifier, batch->messages[at], 2, trailer, &result);
        assert_int_equal(result.state, PW_SIG_OK);
        assert_int_equal(result.seq, number_of(batch->row, "seq") + at);
    }
}

/* The leaf of a message, and the root that the path of its trailer leads to. */
static void
leaf_and_root_are(const struct pw_key *key, const struct batch *batch, size_t index,
                  const json_t *member)
{
    struct pw_trailer trailer;
    struct pw_batch_tag tag;
    struct pw_channel_key ready;
    union pw_hash work;
    struct pw_scope scope;
    struct pw_node leaf;
    struct pw_ascent ascent;
    uint8_t wanted[PW_MERKLE_HASH];
    struct pw_span bytes = {batch->trailers[index], batch->len[index]};
    assert_true(pw_trailer_parse(bytes, &trailer));
    assert_true(pw_batch_tag_read(trailer.tag, &tag));
    assert_true(pw_scope_fill(&scope, text_of(batch->row, "channel"), PW_DIR_FORWARD));
    pw_channel_key_fill(&ready, key, &scope);
    struct pw_signed text = {trailer.head, &scope, batch->messages[index], 2};
    pw_channel_key_leaf(&ready, &work, &text, &leaf);
    assert_int_equal(read_hex(text_of(member, "leaf"), wanted, sizeof wanted),
                     sizeof wanted);
    assert_memory_equal(leaf.bytes, wanted, sizeof wanted);
    pw_merkle_ascend(&ascent, &leaf, tag.index, tag.size, tag.path, NULL);
    assert_int_equal(read_hex(text_of(batch->row, "root"), wanted, sizeof wanted),
                     sizeof wanted);
    assert_memory_equal(ascent.way[ascent.count].bytes, wanted, sizeof wanted);
}

static void
member_is_there(const struct pw_key *key, const struct batch *batch, const json_t *member)
{
    char text[2 * PW_TRAILER_MAX + 1];
    size_t index = (size_t)json_integer_value(json_object_get(member, "index"));
    assert_true(index < batch->size);
    pw_hex_encode((struct pw_span){batch->trailers[index], batch->len[index]}, text);
    assert_string_equal(text, text_of(member, "trailer"));
    leaf_and_root_are(key, batch, index, member);
}

static void
every_batch_is_made_and_accepted(void **state)
{
    (void)state;
    PW_CLEANUP(close_vectors) json_t *file = open_vectors("ed25519-batch");
    json_t *rows = section(file, "batches");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        PW_CLEANUP(free_batch) struct batch *batch = malloc(sizeof *batch);
        assert_non_null(batch);
        read_batch(row, batch);
        print_message("%s\n", text_of(row, "name"));
        PW_CLEANUP(pw_keyring_free)
        struct pw_keyring *ring = ring_with(file, text_of(row, "key"));
        sign_batch(ring, batch);
        json_t *members = section(row, "members");
        for (size_t m = 0; m < json_array_size(members); m++) {
            member_is_there(pw_keyring_at(ring, 0), batch, json_array_get(members, m));
        }
        verify_batch(ring, batch, false);
        verify_batch(ring, batch, true);
    }
}

static void
message_is_refused(json_t *file, json_t *row)
{
    PW_CLEANUP(free_message) struct message message;
    read_message(row, &message);
    PW_CLEANUP(pw_keyring_free)
    struct pw_keyring *ring = ring_of(file, json_object_get(row, "keys"));
    struct pw_sig_result result = check(ring, &message, json_object_get(row, "siblings"));
    assert_string_equal(pw_reason_code(result.reason), text_of(row, "reason"));
}

static void
every_refusal_has_its_reason(void **state)
{
    (void)state;
    each_suite("refused", message_is_refused);
}

static void
a_trailer_is_found_at_the_end_of_a_frame(void **state)
{
    (void)state;
    PW_CLEANUP(close_vectors) json_t *file = open_vectors("tails");
    json_t *rows = section(file, "tails");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        print_message("%s\n", text_of(row, "name"));
        PW_CLEANUP(free_span)
        struct pw_span frame = read_frame(json_object_get(row, "frame"));
        assert_int_equal(pw_trailer_at_end(frame),
                         json_integer_value(json_object_get(row, "trailer_bytes")));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_their_ids),
        cmocka_unit_test(each_channel_and_direction_has_its_key),
        cmocka_unit_test(what_is_signed_is_what_the_specification_says),
        cmocka_unit_test(every_signature_is_accepted),
        cmocka_unit_test(every_signature_is_made),
        cmocka_unit_test(a_signer_makes_those_it_can_get_to),
        cmocka_unit_test(every_batch_is_made_and_accepted),
        cmocka_unit_test(every_refusal_has_its_reason),
        cmocka_unit_test(a_trailer_is_found_at_the_end_of_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
