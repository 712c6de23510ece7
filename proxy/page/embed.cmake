# SPDX-License-Identifier: Apache-2.0
#
# cmake -D FOLDER=… -D OUT=… -P embed.cmake: the files of the page as arrays of a C file.
set(text "/* Made by proxy/page/embed.cmake of the files beside it. */\n#include \"proxy/page.h\"\n")
foreach(row "html;text/html" "css;text/css" "js;text/javascript" "svg;image/svg+xml")
  list(GET row 0 kind)
  list(GET row 1 type)
  file(READ "${FOLDER}/page.${kind}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "\nstatic const unsigned char ${kind}[] = {${bytes}};\n"
         "const struct pw_page_file pw_page_${kind} = {\"${type}\\073 charset=utf-8\", ${kind}, sizeof ${kind}};\n")
endforeach()
file(WRITE "${OUT}" "${text}")
