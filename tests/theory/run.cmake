# The example theory: every check once on small numbers, the same on one thread and on two; the
# linear case is exact; wrong arguments are refused with a message.
foreach(threads 1 2)
  execute_process(COMMAND ${THEORY} --quick --threads ${threads} --out ${OUT}/${threads}
                  OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
endforeach()
foreach(file noise.csv models.csv attractors.csv theory.svg)
  if(NOT EXISTS ${OUT}/1/${file})
    message(FATAL_ERROR "theory wrote no ${file}")
  endif()
  file(SHA256 ${OUT}/1/${file} one)
  file(SHA256 ${OUT}/2/${file} two)
  if(NOT one STREQUAL two)
    message(FATAL_ERROR "two runs of theory gave different ${file}")
  endif()
endforeach()
# Four rows: n, noise, |cosine - 1| and |scale - variance|, both below 1e-12.
set(tiny "[0-9.]+e-(1[3-9]|[2-9][0-9])|0\\.0e\\+00")
string(REGEX MATCHALL "\n +[0-9]+ +[0-9.]+ +(${tiny}) +(${tiny})" exact "${printed}")
list(LENGTH exact rows)
if(NOT rows EQUAL 4)
  message(FATAL_ERROR "the linear denoiser is not exact: ${printed}")
endif()
foreach(what "Theorem 1" "Proposition 3.1" "conservative" "log q by integrals" "Lemma A.5"
             "Theorem A.6")
  string(FIND "${printed}" "${what}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "theory says nothing of ${what}")
  endif()
endforeach()
foreach(wrong "--epochs;many" "--seeds;1" "--images;${OUT}/nothing" "--quick;${OUT}/nothing"
              "--what" "--count")
  execute_process(COMMAND ${THEORY} --quick ${wrong} --out ${OUT}/wrong
                  RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE message)
  if(code EQUAL 0 OR NOT message MATCHES "^theory: error: ")
    message(FATAL_ERROR "theory ${wrong}: ${code} '${message}'")
  endif()
endforeach()
