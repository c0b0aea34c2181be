# hadal_embed(layer symbol file): the text of a file as `extern const std::string_view hadal::symbol`, which the layer
# declares itself. The text must not hold )EMBED". Run as a script, this file writes the source file of one symbol.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} text)
  file(WRITE ${OUTPUT} "#include <string_view>

namespace hadal {

extern const std::string_view ${SYMBOL};
const std::string_view ${SYMBOL} = R\"EMBED(${text})EMBED\";

}  // namespace hadal
")
  return()
endif()

set(HADAL_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(hadal_embed layer symbol file)
  set(output ${CMAKE_BINARY_DIR}/generated/${symbol}.cc)
  add_custom_command(OUTPUT ${output} DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${HADAL_EMBED_SCRIPT} COMMENT ""
    COMMAND ${CMAKE_COMMAND} -D INPUT=${CMAKE_SOURCE_DIR}/${file} -D OUTPUT=${output} -D SYMBOL=${symbol}
            -P ${HADAL_EMBED_SCRIPT})
  target_sources(hadal_${layer} PRIVATE ${output})
endfunction()
