# Every program in the README, the docs and the headers' comments is compiled and run, once: in the
# set unit, without optimisation, and without sanitizers where they link no compiled networks, for they
# are many and each compiles all that it uses.
file(GLOB_RECURSE documents CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/docs/*.md ${PROJECT_SOURCE_DIR}/include/basin/*.hpp)
list(PREPEND documents ${PROJECT_SOURCE_DIR}/README.md)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${documents})
set(snippet_dir ${CMAKE_CURRENT_BINARY_DIR}/snippets)
file(REMOVE_RECURSE ${snippet_dir})
file(MAKE_DIRECTORY ${snippet_dir})
execute_process(
  COMMAND awk -v out=${snippet_dir} -f ${CMAKE_CURRENT_SOURCE_DIR}/snippets/extract.awk ${documents}
  OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" found "${found}")
foreach(snippet IN LISTS found)
  if(snippet MATCHES "^FRAGMENT")
    message(FATAL_ERROR "a documented snippet is not a whole program: ${snippet}")
  endif()
endforeach()

if(BASIN_TEST_SET STREQUAL "full")
  # The first program of the README within its compile budget, at -O2.
  list(FILTER found INCLUDE REGEX "README_md_")
  list(GET found 0 readme_program)
  get_target_property(eigen Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  add_test(NAME ${prefix}/compile_budget
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/snippets/compile_budget 8 ${CMAKE_CXX_COMPILER} -std=c++20 -O2
            -I${PROJECT_SOURCE_DIR}/include -I${eigen} -c ${readme_program} -o /dev/null)
  set_tests_properties(${prefix}/compile_budget PROPERTIES RUN_SERIAL TRUE)  # it is timed
  return()
endif()

set(no_sanitizer)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(no_sanitizer -fno-sanitize=all)
endif()
# Eigen, which nearly all read, is read once for those that are built alike.
set(first)
foreach(snippet IN LISTS found)
  get_filename_component(name ${snippet} NAME_WE)
  # Programs of the device backend run on a host system of Thrust's.
  file(STRINGS ${snippet} on_device REGEX "#include <basin/.*cuda")
  if(on_device AND NOT BASIN_ON_THRUST_HOST)
    message(STATUS "basin: skipped: the documented program ${name} (no Thrust or no Boost.Context)")
    continue()
  endif()
  add_executable(snippet_${name} ${snippet})
  if(on_device)
    basin_on_thrust_host(snippet_${name} CPP)
  endif()
  target_link_libraries(snippet_${name} PRIVATE basin::io ${basin_flow})
  basin_warnings(snippet_${name})
  file(READ ${snippet} program)
  if(program MATCHES "load_model|table3|fully_connected|make_model")
    target_link_libraries(snippet_${name} PRIVATE basin_compiled_networks)
  else()
    target_compile_options(snippet_${name} PRIVATE ${no_sanitizer})
    target_link_options(snippet_${name} PRIVATE ${no_sanitizer})
    file(STRINGS ${snippet} on_eigen REGEX "#include <(basin|Eigen)/")
    if(on_eigen AND NOT on_device)
      if(first)
        target_precompile_headers(snippet_${name} REUSE_FROM ${first})
      else()
        set(first snippet_${name})
        target_precompile_headers(snippet_${name} PRIVATE <Eigen/Core>)
      endif()
    endif()
  endif()
  file(MAKE_DIRECTORY ${snippet_dir}/run/${name})
  add_test(NAME ${prefix}/snippet/${name} COMMAND snippet_${name}
    WORKING_DIRECTORY ${snippet_dir}/run/${name})
endforeach()
