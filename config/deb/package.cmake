# SPDX-License-Identifier: Apache-2.0
#
# The Debian package: what Debian's policy asks of files, and CPack.

# gzip_file(FROM TO): as the policy wants it, and the same bytes each time.
function(gzip_file from to)
  add_custom_command(
    OUTPUT ${to}
    COMMAND sh -c "gzip -9nc '${from}' > '${to}'"
    DEPENDS ${from}
    VERBATIM)
endfunction()
set(documents ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz ${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian.gz)
gzip_file(${PROJECT_SOURCE_DIR}/CHANGELOG.md ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz)
gzip_file(${CMAKE_CURRENT_LIST_DIR}/changelog ${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian.gz)
add_custom_target(deb_documents ALL DEPENDS ${documents})
install(FILES ${documents} deb/copyright DESTINATION ${PW_DOCDIR})
install(CODE [[
  foreach(page man1/picklewall.1 man5/picklewall.conf.5 man5/picklewall-policy.5)
    file(REMOVE "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/man/${page}.gz")
    execute_process(COMMAND gzip -9n "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/man/${page}" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
]])

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME picklewall)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_PACKAGE_CONTACT "picklewall maintainers <maintainers@picklewall.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON) # /etc is not below the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "logrotate, bash-completion")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "firewall for Python pickles on ZeroMQ")
set(CPACK_PACKAGE_DESCRIPTION
    "picklewall stands between a producer and a consumer of Python pickles and
answers one question about every message: what would pickle.loads do with
these bytes, and is all of it allowed here? What is allowed is forwarded, byte
for byte. The rest is held in quarantine or dropped, and the audit log says
why. Nothing is ever unpickled, and neither program changes.")
set(control ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${control}/postinst ${control}/prerm ${control}/postrm ${control}/conffiles)
include(CPack)
