# Installs basin, then configures, builds and runs the consumer against the package and
# against the source tree. Variables: SOURCE, BUILD, GENERATOR, COMPILER.
set(work ${BUILD}/consumer)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix)
foreach(way package subdirectory)
  if(way STREQUAL "package")
    set(where -DCMAKE_PREFIX_PATH=${work}/prefix)
  else()
    set(where -DBASIN_SOURCE=${SOURCE})
  endif()
  run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE}/tests/consumer -B ${work}/${way}
      -DCMAKE_CXX_COMPILER=${COMPILER} ${where})
  run(${CMAKE_COMMAND} --build ${work}/${way})
  run(${work}/${way}/consumer)
  if(EXISTS ${work}/${way}/consumer_flow)
    run(${work}/${way}/consumer_flow)
  endif()
endforeach()
