# Programs that must not compile, with an error of at most 15 lines that names what the
# file's first line expects.
file(GLOB failures CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/*.cpp)
get_target_property(eigen Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
foreach(failure IN LISTS failures)
  get_filename_component(name ${failure} NAME_WE)
  add_test(NAME ${prefix}/compile_fail/${name}
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/check ${failure} ${CMAKE_CXX_COMPILER} -std=c++20
            -fsyntax-only -I${PROJECT_SOURCE_DIR}/include -isystem ${eigen})
endforeach()
