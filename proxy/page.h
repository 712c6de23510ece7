/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the status page (the folder `page`), as they are built into the program.
 */
#ifndef PW_PROXY_PAGE_H
#define PW_PROXY_PAGE_H

#include <stddef.h>

struct pw_page_file {
    const char *type; /* of its content */
    const unsigned char *bytes;
    size_t len;
};

extern const struct pw_page_file pw_page_html;
extern const struct pw_page_file pw_page_css;
extern const struct pw_page_file pw_page_js;
extern const struct pw_page_file pw_page_svg;

#endif
