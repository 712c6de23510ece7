/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall, with an audit log that takes every record and forgets it: what is left is what
 * relaying costs. For bench_relay; nothing else may have such a program.
 */
#include "common/audit/audit.h"

#include <stdlib.h>

#include "proxy/cli/command.h"

static struct pw_audit {
    int channels;
} nothing;

struct pw_audit *
pw_audit_open(const struct pw_audit_options *options, struct pw_why *why)
{
    (void)options, (void)why;
    return &nothing;
}

int
pw_audit_channel(struct pw_audit *audit, const char *chan, const char *in, const char *out)
{
    (void)chan, (void)in, (void)out;
    return audit->channels++;
}

enum pw_err
pw_audit_push(struct pw_audit *audit, struct pw_audit_record *records, size_t count)
{
    (void)audit;
    for (size_t i = 0; i < count; i++) {
        free(records[i].detail);
        records[i].detail = NULL;
    }
    return PW_E_OK;
}

enum pw_err
pw_audit_flush(struct pw_audit *audit, uint64_t until)
{
    (void)audit, (void)until;
    return PW_E_OK;
}

const char *
pw_audit_chain_news(const struct pw_audit *audit)
{
    (void)audit;
    return "\"chain\":{}";
}

const char *
pw_audit_chain_alarm(const struct pw_audit *audit)
{
    (void)audit;
    return NULL;
}

bool
pw_audit_ready(struct pw_audit *audit)
{
    (void)audit;
    return true;
}

void
pw_audit_reopen(struct pw_audit *audit)
{
    (void)audit;
}

void
pw_audit_abort(struct pw_audit *audit)
{
    (void)audit;
}

struct pw_audit_counts
pw_audit_counts(struct pw_audit *audit)
{
    (void)audit;
    return (struct pw_audit_counts){0};
}

void
pw_audit_close(struct pw_audit **audit)
{
    *audit = NULL;
}

int
main(int argc, char **argv)
{
    return pw_command_main(argc, argv);
}

void
pw_audit_change(struct pw_audit *audit, const struct pw_audit_options *options)
{
    (void)audit, (void)options;
}

void
pw_audit_rotate(struct pw_audit *audit)
{
    (void)audit;
}
