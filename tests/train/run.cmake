# The example train: the same bytes on one thread and on two; wrong arguments are refused with
# a message.
set(options --made 300 --width 2 --latent 2 --quiet)
foreach(threads 1 2)
  execute_process(
    COMMAND ${TRAIN} ${options} --epochs 3 --threads ${threads} --out ${OUT}/${threads}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
foreach(file model.safetensors log.csv checkpoint.safetensors images.png)
  if(NOT EXISTS ${OUT}/1/${file})
    message(FATAL_ERROR "train wrote no ${file}")
  endif()
endforeach()
file(SHA256 ${OUT}/1/model.safetensors one)
file(SHA256 ${OUT}/2/model.safetensors two)
if(NOT one STREQUAL two)
  message(FATAL_ERROR "two runs of train gave different models")
endif()
foreach(wrong "--epochs;many" "--images;${OUT}/nothing" "--regularizer;magic=1" "--made;0" "--what")
  execute_process(COMMAND ${TRAIN} ${wrong} --out ${OUT}/wrong
                  RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE message)
  if(code EQUAL 0 OR NOT message MATCHES "^train: ")
    message(FATAL_ERROR "train ${wrong}: ${code} '${message}'")
  endif()
endforeach()
