/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_verify_print.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "common/base/json.h"
#include "proxy/cli/command.h"

enum { SHOWN_CHAINS = 64 };

static const char *const verdicts[] = {
    [PW_VERIFY_BROKEN] = "broken",
    [PW_VERIFY_OPEN] = "open",
    [PW_VERIFY_COMPLETE] = "complete",
};

static size_t
shown(uint64_t count, size_t most)
{
    return count < most ? (size_t)count : most;
}

static const char *
name_of(const struct pw_verify_names *names, const struct pw_place *place)
{
    return place->file < names->count ? names->path(names->arg, place->file) : "";
}

static void
print_fault(const struct pw_verify_names *names, const struct pw_found *found)
{
    pw_command_print_plain(stdout, name_of(names, &found->at));
    printf(":%" PRIu64 ": ", found->at.line);
    if (found->seq > 0 && found->last > found->seq) {
        printf("seq %" PRIu64 " to %" PRIu64 ": ", found->seq, found->last);
    } else if (found->seq > 0) {
        printf("seq %" PRIu64 ": ", found->seq);
    }
    printf("%s; %s\n", pw_chain_fault_words(found->fault),
           pw_chain_fault_remedy(found->fault));
}

static void
print_chain(const struct pw_verify_chain *chain)
{
    printf("chain %s: ", chain->id);
    if (chain->first > 1) {
        printf("begins at seq %" PRIu64 ", the lines before are in no file given; ",
               chain->first);
    }
    printf("verified up to seq %" PRIu64 " by %" PRIu64 " checkpoints", chain->sealed,
           chain->seals);
    if (chain->unsealed > 0) {
        printf("; %" PRIu64 " lines behind that are not sealed", chain->unsealed);
    }
    if (chain->closed) {
        printf("; closed at seq %" PRIu64 "\n", chain->last);
    } else {
        printf("; not closed by a stop: lines after seq %" PRIu64
               ", if there were any, cannot be excluded without --checkpoint or the state "
               "file\n",
               chain->last);
    }
}

static void
print_missing(const struct pw_verify *verify)
{
    for (size_t i = 0; i < shown(verify->missing_count, PW_VERIFY_MISSING); i++) {
        const struct pw_verify_missing *missing = &verify->missing[i];
        printf("chain %s: is known to go up to seq %" PRIu64
               ", and no file given has a line of it; if these are all, it was removed\n",
               missing->id, missing->seq);
    }
    if (verify->missing_count > PW_VERIFY_MISSING) {
        printf("and %zu more chains that are in no file\n",
               verify->missing_count - PW_VERIFY_MISSING);
    }
}

void
pw_verify_print_words(const struct pw_verify *verify, const struct pw_verify_names *names)
{
    for (size_t i = 0; i < shown(verify->fault_count, PW_VERIFY_FAULTS); i++) {
        print_fault(names, &verify->faults[i]);
    }
    if (verify->fault_count > PW_VERIFY_FAULTS) {
        printf("and %" PRIu64 " more\n", verify->fault_count - PW_VERIFY_FAULTS);
    }
    for (size_t i = 0; i < shown(verify->chain_count, SHOWN_CHAINS); i++) {
        print_chain(&verify->chains[i]);
    }
    if (verify->chain_count > SHOWN_CHAINS) {
        printf("and %zu more chains\n", verify->chain_count - SHOWN_CHAINS);
    }
    print_missing(verify);
    if (verify->unfinished) {
        pw_command_print_plain(stdout, name_of(names, &verify->rest_at));
        printf(":%" PRIu64 ": the last line is cut short\n", verify->rest_at.line);
    }
    if (verify->follow.mended > 0) {
        printf("%" PRIu64 " lines were torn by crashes, as the next start told\n",
               verify->follow.mended);
    }
    printf("%s: %" PRIu64 " lines, %" PRIu64 " faults\n", verdicts[verify->verdict],
           verify->lines, verify->fault_count);
}

static void
json_fault(const struct pw_verify_names *names, struct pw_json *json,
           const struct pw_found *found)
{
    pw_json_object(json, NULL);
    pw_json_str(json, "code", pw_chain_fault_code(found->fault));
    pw_json_bytes(json, "file", pw_span_str(name_of(names, &found->at)), PATH_MAX);
    pw_json_uint(json, "line", found->at.line);
    if (found->seq > 0) {
        pw_json_uint(json, "seq", found->seq);
        pw_json_uint(json, "last", found->last);
    }
    pw_json_str(json, "text", pw_chain_fault_words(found->fault));
    pw_json_str(json, "remedy", pw_chain_fault_remedy(found->fault));
    pw_json_end_object(json);
}

static void
json_chain(struct pw_json *json, const struct pw_verify_chain *chain)
{
    pw_json_object(json, NULL);
    pw_json_str(json, "chain", chain->id);
    pw_json_uint(json, "first", chain->first);
    pw_json_uint(json, "last", chain->last);
    pw_json_uint(json, "sealed", chain->sealed);
    pw_json_uint(json, "checkpoints", chain->seals);
    pw_json_uint(json, "unsealed", chain->unsealed);
    pw_json_bool(json, "closed", chain->closed);
    pw_json_end_object(json);
}

enum pw_err
pw_verify_print_json(const struct pw_verify *verify, const struct pw_verify_names *names)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 1 << 22};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "verdict", verdicts[verify->verdict]);
    pw_json_uint(&json, "files", names->count);
    pw_json_uint(&json, "lines", verify->lines);
    pw_json_uint(&json, "torn", verify->follow.mended);
    pw_json_bool(&json, "unfinished", verify->unfinished);
    pw_json_array(&json, "chains");
    for (size_t i = 0; i < shown(verify->chain_count, SHOWN_CHAINS); i++) {
        json_chain(&json, &verify->chains[i]);
    }
    pw_json_end_array(&json);
    pw_json_uint(&json, "chains_total", verify->chain_count);
    pw_json_array(&json, "missing");
    for (size_t i = 0; i < shown(verify->missing_count, PW_VERIFY_MISSING); i++) {
        pw_json_object(&json, NULL);
        pw_json_str(&json, "chain", verify->missing[i].id);
        pw_json_uint(&json, "seq", verify->missing[i].seq);
        pw_json_end_object(&json);
    }
    pw_json_end_array(&json);
    pw_json_uint(&json, "missing_total", verify->missing_count);
    pw_json_uint(&json, "faults_total", verify->fault_count);
    pw_json_array(&json, "faults");
    for (size_t i = 0; i < shown(verify->fault_count, PW_VERIFY_FAULTS); i++) {
        json_fault(names, &json, &verify->faults[i]);
    }
    pw_json_end_array(&json);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(text.bytes, 1, text.len, stdout);
    }
    return json.err;
}
