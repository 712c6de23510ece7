/* SPDX-License-Identifier: Apache-2.0
 *
 * How large the terminal is, and numbers as people read them.
 */
#ifndef PW_PROXY_CLI_SCREEN_H
#define PW_PROXY_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Columns of standard output; else COLUMNS of the environment; 0: no terminal, any width.
 */
size_t pw_screen_width(void);

/* Lines of standard output, 24 when nobody tells. */
size_t pw_screen_height(void);

/* Standard output is a terminal that can move its cursor. */
bool pw_screen_moves(void);

enum { PW_QUANTITY_TEXT = 32 };

/* "412 B", "1.4 KiB", "3.0 GiB". */
void pw_quantity_size(double bytes, char out[static PW_QUANTITY_TEXT]);

/* "7", "1,234,567". */
void pw_quantity_count(uint64_t count, char out[static PW_QUANTITY_TEXT]);

#endif
