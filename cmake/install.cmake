include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS basin EXPORT basin-targets)
install(DIRECTORY include/basin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT basin-targets NAMESPACE basin:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/basin)
configure_package_config_file(cmake/basin-config.cmake.in basin-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/basin)
write_basic_package_version_file(basin-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/basin-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/basin-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/basin)
