# SPDX-License-Identifier: Apache-2.0
#
# pw_flags: what every picklewall object is compiled and linked with.
add_library(pw_flags INTERFACE)
target_include_directories(pw_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(pw_flags INTERFACE _GNU_SOURCE PW_VERSION="${PROJECT_VERSION}")
target_compile_options(
  pw_flags
  INTERFACE -Wall
            -Wextra
            -Wshadow
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wpointer-arith
            -Wcast-qual
            -Wwrite-strings
            -Wformat=2
            -Wundef
            -Wvla
            -Werror
            -fno-strict-aliasing
            -fstack-protector-strong
            -fPIE)
target_link_options(pw_flags INTERFACE -pie -Wl,-z,relro,-z,now)

if(PW_SANITIZE)
  target_compile_options(pw_flags INTERFACE -fsanitize=${PW_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(pw_flags INTERFACE -fsanitize=${PW_SANITIZE})
  if(PW_SANITIZE MATCHES "undefined")
    target_compile_options(pw_flags INTERFACE -fno-sanitize-recover=undefined)
  endif()
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_definitions(pw_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release") # the same program wherever it is built
  target_compile_options(
    pw_flags INTERFACE -ffile-prefix-map=${PROJECT_BINARY_DIR}=build -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
endif()
if(PW_FUZZ)
  target_compile_options(pw_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(PW_COVERAGE)
  target_compile_options(pw_flags INTERFACE --coverage)
  target_link_options(pw_flags INTERFACE --coverage)
endif()

# pw_library(name SOURCES … LINK …): one floor of the house.
function(pw_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC pw_flags ${ARG_LINK})
endfunction()
