include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/basin)
install(TARGETS ${basin_targets} EXPORT basin-targets)
install(DIRECTORY include/basin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT basin-targets NAMESPACE basin:: DESTINATION ${package_dir})
configure_package_config_file(cmake/basin-config.cmake.in basin-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(basin-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/basin-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/basin-config-version.cmake
              cmake/cuda.cmake
        DESTINATION ${package_dir})
