/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/nearest.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = PW_NEAREST_MAX - 1 };

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
pw_nearest_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST) {
        return SIZE_MAX;
    }
    size_t rows[3][LONGEST + 1]; /* this row of the table, and the two above it */
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void
pw_nearest_offer(struct pw_nearest *nearest, const char *candidate)
{
    size_t distance = pw_nearest_distance(nearest->wanted, candidate);
    size_t tolerated = strlen(candidate) / 3 + 1;
    if (distance > tolerated || distance >= strlen(candidate)) {
        return;
    }
    if (nearest->best[0] == '\0' || distance < nearest->distance) {
        memcpy(nearest->best, candidate, strlen(candidate) + 1);
        nearest->distance = distance;
    }
}
