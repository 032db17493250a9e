# basin_compiled_networks: the layers of networks of float and double, compiled once for those
# targets of this build that link it. Their files see compiled_networks.hpp first.
add_library(basin_compiled_networks STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/compiled_networks.cpp)
target_link_libraries(basin_compiled_networks PUBLIC basin)
target_compile_options(basin_compiled_networks
  INTERFACE -include ${CMAKE_CURRENT_LIST_DIR}/compiled_networks.hpp)
