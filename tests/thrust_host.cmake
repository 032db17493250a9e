# The device code under a plain compiler, on Thrust's host systems: in sequence beside the
# sanitizers (the set unit), on OpenMP otherwise. Fibers of Boost.Context stand in for the threads of
# a block. BASIN_ON_THRUST_HOST says whether all that is there.
set(BASIN_ON_THRUST_HOST FALSE)
find_path(BASIN_THRUST_INCLUDE thrust/version.h
  HINTS ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES include/cccl include)
mark_as_advanced(BASIN_THRUST_INCLUDE)
if(NOT BASIN_THRUST_INCLUDE)
  message(STATUS "basin: skipped: the device code on Thrust's host systems (no Thrust)")
  return()
endif()

find_package(Boost QUIET OPTIONAL_COMPONENTS context)
if(NOT TARGET Boost::context)
  message(STATUS "basin: skipped: the device code on Thrust's host systems (no Boost.Context)")
  return()
endif()
set(BASIN_ON_THRUST_HOST TRUE)

# basin_on_thrust_host(target system): the target's device code runs on a host system.
function(basin_on_thrust_host target system)
  target_include_directories(${target} SYSTEM PRIVATE ${BASIN_THRUST_INCLUDE})
  target_compile_definitions(${target} PRIVATE THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_${system})
  target_link_libraries(${target} PRIVATE Boost::context)
endfunction()
# basin_thrust_test(name system sources...)
function(basin_thrust_test name system)
  basin_test(${name} ${ARGN})
  basin_on_thrust_host(test_${name} ${system})
endfunction()

if(BASIN_TEST_SET STREQUAL "unit")
  device_units(in_sequence ${device_sources})
  basin_thrust_test(device_sequential CPP ${in_sequence})
  # It takes longest, so that it is begun first.
  set_tests_properties(${prefix}/device_sequential PROPERTIES COST 1000)
  basin_thrust_test(emulation CPP ${emulation_sources})
  # Beside kernels the sanitizers leave the emulation itself alone, which takes most of the time that
  # nothing is optimised; its own tests have them.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(test_device_sequential PRIVATE
      -fsanitize-ignorelist=${CMAKE_CURRENT_SOURCE_DIR}/emulation.ignorelist)
  endif()
  return()
endif()
find_package(OpenMP QUIET COMPONENTS CXX)
if(OpenMP_CXX_FOUND)
  # Those of the backend, layers, solvers, flows and sparse codes. The others, which take long to
  # compile, run in sequence alone, under sanitizers.
  set(parallel_sources ${device_sources} ${emulation_sources})
  list(REMOVE_ITEM parallel_sources solver/device_accelerators.cpp attractor/device.cpp
       attractor/device_cluster.cpp ood/device.cpp spectral/device.cpp)
  device_units(in_parallel ${parallel_sources})
  basin_thrust_test(device_openmp OMP ${in_parallel})
  target_link_libraries(test_device_openmp PRIVATE OpenMP::OpenMP_CXX)
  target_compile_options(test_device_openmp PRIVATE ${basin_lightly_optimised})
  # Threads that spin between loops would hold the cores that other tests run on.
  set_property(TEST ${prefix}/device_openmp APPEND PROPERTY ENVIRONMENT OMP_WAIT_POLICY=passive)
else()
  message(STATUS "basin: skipped: the device code on OpenMP (no OpenMP)")
endif()
