# What many targets of this build use, compiled once for those that link it: their files see the
# header of that name first. Experiments that cluster then compile in a third to a half of the time.
#   basin_compiled_decompositions  Eigen's, of matrices of double
#   basin_compiled_networks        the layers of networks of float and double
#   basin_compiled_dynamics        spectra and clusters of the latent maps of such networks
function(basin_compiled name)
  add_library(basin_compiled_${name} STATIC EXCLUDE_FROM_ALL
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/compiled_${name}.cpp)
  target_link_libraries(basin_compiled_${name} PUBLIC basin ${ARGN})
  target_compile_options(basin_compiled_${name}
    INTERFACE "SHELL:-include ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/compiled_${name}.hpp")
endfunction()

# Decompositions take minutes to compile at -O3. Where tests run them, on few columns, even -O2 costs
# more than it saves. At -O1 g++ takes what Eigen copies for uninitialised, and what it frees for used.
set(basin_lightly_optimised
  $<$<CONFIG:Release>:$<IF:$<BOOL:${BASIN_TESTS}>,-O1,-O2>>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized$<SEMICOLON>-Wno-use-after-free>)

basin_compiled(decompositions)
basin_compiled(networks)
basin_compiled(dynamics basin_compiled_decompositions basin_compiled_networks)
target_compile_options(basin_compiled_decompositions PRIVATE ${basin_lightly_optimised})
target_compile_options(basin_compiled_dynamics PRIVATE ${basin_lightly_optimised})
