/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/clients.h"
#include "proxy/peers.h"
#include "proxy/zap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

#define PUBLIC "D<:!CB.qCq:gep7B21B[FCrC)4l^/XGrNlwiJ^:l"
#define SECRET "N.18%D>pXSe]!QOkepJ1fN+<EG3VtQO2&<dh)$bQ"
#define OTHER "EsP.8a5lZcI-cC3/]K9BG5)vhuV].eN7bI%Gt@EC"

static char folder[64];

/* --- certificates ------------------------------------------------------------------- */

struct cert_case {
    const char *name;
    const char *text;
    bool good;
    bool has_secret;
    const char *words; /* of a refusal */
};

/* clang-format off */
static const struct cert_case cert_cases[] = {
    {"pyzmq's secret file", "#   made by pyzmq\n\nmetadata\ncurve\n    public-key = \"" PUBLIC "\"\n    secret-key = \"" SECRET "\"\n",
     true, true, NULL},
    {"a public one", "metadata\ncurve\n    public-key = \"" PUBLIC "\"\n", true, false, NULL},
    {"metadata of czmq", "metadata\n    name = \"x\"\ncurve\n    public-key = \"" PUBLIC "\"\n", true, false, NULL},
    {"no end of the last line", "curve\n    public-key = '" PUBLIC "'", true, false, NULL},
    {"lines of Windows", "curve\r\n    public-key = \"" PUBLIC "\"\r\n", true, false, NULL},
    {"nothing", "", false, false, "no public-key"},
    {"a key elsewhere", "metadata\n    public-key = \"" PUBLIC "\"\n", false, false, "no public-key"},
    {"only a secret", "curve\n    secret-key = \"" SECRET "\"\n", false, false, "no public-key"},
    {"a short key", "curve\n    public-key = \"D<:!C\"\n", false, false, "2: the key is no 40 letters"},
    {"a letter that is not Z85", "curve\n    public-key = \"D<:!CB.qCq:gep7B21B[FCrC)4l^/XGrNlwiJ^:~\"\n", false, false, "no 40 letters"},
    {"a number past 2^32", "curve\n    public-key = \"#####B.qCq:gep7B21B[FCrC)4l^/XGrNlwiJ^:l\"\n", false, false, "no 40 letters"},
    {"no quotes", "curve\n    public-key = " PUBLIC "\n", false, false, "is no NAME"},
    {"two keys", "curve\n    public-key = \"" PUBLIC "\"\n    public-key = \"" PUBLIC "\"\n", false, false, "3: gives the key a second time"},
};
/* clang-format on */

static void
a_certificate_is_read_or_refused_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(cert_cases); i++) {
        const struct cert_case *c = &cert_cases[i];
        struct pw_cert cert;
        struct pw_why why = {0};
        enum pw_err err = pw_cert_parse(pw_span_str(c->text), &cert, &why);
        check_case(c->name, (err == PW_E_OK) == c->good);
        check_case(c->name, cert.has_secret == c->has_secret);
        check_case(c->name, c->good || strstr(why.text, c->words) != NULL);
        check_case(c->name, strstr(why.text, SECRET) == NULL);
        char text[PW_CERT_TEXT];
        pw_cert_text(cert.public_key, text);
        check_case(c->name, !c->good || strcmp(text, PUBLIC) == 0);
    }
}

/* --- who may connect ---------------------------------------------------------------- */

static void
write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(pw_file_replace(path, pw_span_str(text), 0600), PW_E_OK);
}

static void
remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static int
make_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/pw-curve-XXXXXX", sizeof "/tmp/pw-curve-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    write_file("friend.key", "curve\n    public-key = \"" PUBLIC "\"\n");
    write_file("friend.key_secret", "not looked at");
    write_file(".hidden", "nor this");
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"friend.key", "friend.key_secret", ".hidden",
                                        "other.key"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void
key_of(const char *text, uint8_t out[static PW_CERT_BYTES])
{
    char file[128];
    struct pw_cert cert;
    struct pw_why why = {0};
    snprintf(file, sizeof file, "curve\n    public-key = \"%s\"\n", text);
    assert_int_equal(pw_cert_parse(pw_span_str(file), &cert, &why), PW_E_OK);
    memcpy(out, cert.public_key, PW_CERT_BYTES);
}

static void
the_folder_says_who_may_connect(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t friend[PW_CERT_BYTES], other[PW_CERT_BYTES];
    key_of(PUBLIC, friend);
    key_of(OTHER, other);
    PW_CLEANUP(pw_clients_close) struct pw_clients *clients = pw_clients_open(folder, &why);
    assert_non_null(clients);
    assert_int_equal(pw_clients_count(clients), 1);
    assert_string_equal(pw_clients_admit(clients, friend, "10.0.0.7"), "friend");
    assert_null(pw_clients_admit(clients, other, "10.0.0.8"));
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_SAME);
    write_file("other.key", "curve\n    public-key = \"" OTHER "\"\n");
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_NEW);
    assert_string_equal(pw_clients_admit(clients, other, "10.0.0.8"), "other");
    remove_file("friend.key");
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_FEWER);
    assert_null(pw_clients_admit(clients, friend, "10.0.0.7"));
    assert_true(pw_clients_was_dropped(clients, "10.0.0.7"));
    assert_false(pw_clients_was_dropped(clients, "10.0.0.8"));
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_SAME);
}

static void
a_list_that_is_not_in_order_changes_nothing(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t friend[PW_CERT_BYTES];
    key_of(PUBLIC, friend);
    PW_CLEANUP(pw_clients_close) struct pw_clients *clients = pw_clients_open(folder, &why);
    assert_non_null(clients);
    write_file("other.key",
               "curve\n    public-key = \"" OTHER "\"\n    secret-key = \"" SECRET "\"\n");
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_REFUSED);
    assert_non_null(strstr(why.text, "belongs to the client alone"));
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_SAME); /* said once */
    assert_string_equal(pw_clients_admit(clients, friend, "::1"), "friend");
    struct pw_clients *refused = pw_clients_open(folder, &why);
    assert_null(refused);
}

static void
a_star_is_everybody(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t key[PW_CERT_BYTES] = {0};
    PW_CLEANUP(pw_clients_close) struct pw_clients *clients = pw_clients_open("*", &why);
    assert_non_null(pw_clients_admit(clients, key, ""));
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_SAME);
}

static void
who_comes_from_everywhere_is_dropped_everywhere(void **state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t friend[PW_CERT_BYTES];
    key_of(PUBLIC, friend);
    PW_CLEANUP(pw_clients_close) struct pw_clients *clients = pw_clients_open(folder, &why);
    for (int i = 0; i < 9; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.0.0.%d", i);
        assert_non_null(pw_clients_admit(clients, friend, address));
    }
    remove_file("friend.key");
    assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_FEWER);
    assert_true(pw_clients_was_dropped(clients, "192.0.2.1"));
}

static bool complete;

static void
use_clients(void *state)
{
    (void)state;
    struct pw_why why = {0};
    uint8_t other[PW_CERT_BYTES];
    key_of(OTHER, other);
    write_file("friend.key", "curve\n    public-key = \"" PUBLIC "\"\n");
    PW_CLEANUP(pw_clients_close) struct pw_clients *clients = pw_clients_open(folder, &why);
    complete = clients != NULL;
    if (!complete) {
        assert_non_null(strstr(why.text, "memory"));
        return;
    }
    remove_file("friend.key");
    write_file("other.key", "curve\n    public-key = \"" OTHER "\"\n");
    enum pw_clients_news news = pw_clients_look(clients, &why);
    complete = news == PW_CLIENTS_FEWER;
    if (!complete) { /* tried again, and then it works */
        assert_int_equal(news, PW_CLIENTS_REFUSED);
        assert_int_equal(pw_clients_look(clients, &why), PW_CLIENTS_FEWER);
    }
    assert_non_null(pw_clients_admit(clients, other, "::1"));
    remove_file("other.key");
}

static void
every_allocation_of_a_list_may_fail(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, use_clients, NULL)) {
        assert_false(complete);
        n++;
    }
    assert_true(complete && n > 3);
}

/* --- libzmq's question -------------------------------------------------------------- */

static const uint8_t some_key[PW_CERT_BYTES] = {1, 2, 3};

#define KEY_FRAME                                                                          \
    {                                                                                      \
        some_key, sizeof some_key                                                          \
    }

struct zap_case {
    const char *name;
    struct pw_span frames[8];
    size_t count;
    bool understood;
    bool curve;
    const char *address;
};

/* clang-format off */
static const struct zap_case zap_cases[] = {
    {"a client", {BYTES("1.0"), BYTES("7"), BYTES("in"), BYTES("10.0.0.7"), BYTES(""), BYTES("CURVE"), KEY_FRAME}, 7, true, true, "10.0.0.7"},
    {"another mechanism", {BYTES("1.0"), BYTES("7"), BYTES("in"), BYTES("::1"), BYTES(""), BYTES("NULL")}, 6, true, false, "::1"},
    {"a short key", {BYTES("1.0"), BYTES("7"), BYTES("in"), BYTES("::1"), BYTES(""), BYTES("CURVE"), BYTES("key")}, 7, true, false, "::1"},
    {"a frame too many", {BYTES("1.0"), BYTES("7"), BYTES("in"), BYTES("::1"), BYTES(""), BYTES("CURVE"), KEY_FRAME, BYTES("x")}, 8, true, false, "::1"},
    {"an address that is no text", {BYTES("1.0"), BYTES("7"), BYTES("in"), BYTES("a\n\x1b b"), BYTES(""), BYTES("NULL")}, 6, true, false, "a???b"},
    {"another version", {BYTES("2.0"), BYTES("7"), BYTES("in"), BYTES("::1"), BYTES(""), BYTES("CURVE"), KEY_FRAME}, 7, false, false, ""},
    {"too few frames", {BYTES("1.0"), BYTES("7"), BYTES("in"), BYTES("::1"), BYTES("")}, 5, false, false, ""},
    {"nothing", {{0}}, 0, false, false, ""},
};
/* clang-format on */

static void
a_request_is_understood_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(zap_cases); i++) {
        const struct zap_case *c = &zap_cases[i];
        struct pw_zap_request request;
        check_case(c->name, pw_zap_parse(c->frames, c->count, &request) == c->understood);
        check_case(c->name, request.curve == c->curve);
        check_case(c->name, strcmp(request.address, c->address) == 0);
        struct pw_span reply[PW_ZAP_REPLY_FRAMES];
        pw_zap_reply(&request, NULL, reply);
        check_case(c->name, pw_span_equal(reply[2], pw_span_str("300")));
        check_case(c->name, !c->understood || pw_span_equal(reply[1], c->frames[1]));
        pw_zap_reply(&request, "friend", reply);
        check_case(c->name, pw_span_equal(reply[2], pw_span_str("200")));
        check_case(c->name, pw_span_equal(reply[4], pw_span_str("friend")));
    }
}

/* --- what is counted ---------------------------------------------------------------- */

static void
each_event_is_counted_on_its_side(void **state)
{
    (void)state;
    struct pw_peers peers = {0};
    for (int what = 0; what < PW_PEER_WHATS; what++) {
        for (int i = 0; i <= what; i++) {
            pw_peers_tell(&peers, &(struct pw_peer_event){.what = (enum pw_peer_what)what,
                                                          .out = what % 2 == 1});
        }
        assert_int_equal(atomic_load(&peers.counts[what % 2].whats[what]), what + 1);
        assert_int_equal(atomic_load(&peers.counts[1 - what % 2].whats[what]), 0);
        assert_non_null(pw_peer_what_text((enum pw_peer_what)what));
    }
    pw_peers_connections(&peers, true, 7);
    assert_int_equal(atomic_load(&peers.counts[1].connections), 7);
    assert_false(pw_peers_tick(&peers)); /* without a log there is nothing to say */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_read_or_refused_with_its_line),
        cmocka_unit_test_setup_teardown(the_folder_says_who_may_connect, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_list_that_is_not_in_order_changes_nothing,
                                        make_folder, remove_folder),
        cmocka_unit_test(a_star_is_everybody),
        cmocka_unit_test_setup_teardown(who_comes_from_everywhere_is_dropped_everywhere,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_allocation_of_a_list_may_fail, make_folder,
                                        remove_folder),
        cmocka_unit_test(a_request_is_understood_or_refused),
        cmocka_unit_test(each_event_is_counted_on_its_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
