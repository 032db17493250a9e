# Every header compiles alone: a unit that includes nothing else.
file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR}/include CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/include/basin/*.hpp)
add_library(basin_headers OBJECT)
target_link_libraries(basin_headers PRIVATE basin::io ${basin_flow})
basin_warnings(basin_headers)
foreach(header IN LISTS headers)
  if(header MATCHES "backend/cuda|(sparse|nn)/cuda/")
    continue()  # compiled with Thrust, in device_sequential
  endif()
  get_filename_component(file ${header} NAME)
  if(header MATCHES "/io/" AND file IN_LIST basin_io_missing)
    continue()  # needs a library that is not here, as CMake has said
  endif()
  if("safetensors.hpp" IN_LIST basin_io_missing AND
     header MATCHES "model/model_file|model/taef2|training/checkpoint|training/trainer|attractor/atlas_file|attractor/atlas_text|ood/detector")
    continue()
  endif()
  if(NOT basin_flow AND header MATCHES "dynamics/(adams|dopri5|odeint|rkf78|runge_kutta4)")
    continue()
  endif()
  string(MAKE_C_IDENTIFIER ${header} name)
  set(unit ${CMAKE_CURRENT_BINARY_DIR}/headers/${name}.cpp)
  file(CONFIGURE OUTPUT ${unit} CONTENT "#include <${header}>\n#include <${header}>\n")
  target_sources(basin_headers PRIVATE ${unit})
endforeach()
