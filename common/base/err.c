/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

static const struct {
    const char *text;
    int sysexit;
} table[PW_E_COUNT] = {
#define PW_ERR(name, sysexit, text) [PW_E_##name] = {text, sysexit},
#include "common/base/err.def"
#undef PW_ERR
};

const char *
pw_err_text(enum pw_err err)
{
    return (unsigned)err < PW_E_COUNT ? table[err].text : "unknown error";
}

int
pw_err_exit(enum pw_err err)
{
    return (unsigned)err < PW_E_COUNT ? table[err].sysexit : EX_SOFTWARE;
}

enum pw_err
pw_fail(struct pw_why *why, enum pw_err err, const char *format, ...)
{
    if (why == NULL) {
        return err;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return err;
}
