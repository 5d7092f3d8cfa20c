# What the program reads besides its plugins and the source tree, laid out in the build folder as an installation has it, so that
# one rule finds it in both: share/palimpsest/ beside bin/. The tiny world is a model of random weights with facts and texts, for
# `check-plugin`, palimpsest::testing and the experiment of a new plugin.
set(_tiny "${CMAKE_BINARY_DIR}/share/palimpsest/tiny")
foreach(_file config.json model.safetensors tokenizer.json)
  configure_file("${PROJECT_SOURCE_DIR}/tests/golden/rome/model/${_file}" "${_tiny}/model/${_file}" COPYONLY)
endforeach()
foreach(_file facts.jsonl text.jsonl)
  configure_file("${PROJECT_SOURCE_DIR}/tests/end_to_end/tiny/${_file}" "${_tiny}/${_file}" COPYONLY)
endforeach()
configure_file("${PROJECT_SOURCE_DIR}/tests/conformance/data/text.txt" "${_tiny}/text.txt" COPYONLY)
foreach(_folder configs cmake/prepare plugins/template tests/benchmarks)
  get_filename_component(_parent "${CMAKE_BINARY_DIR}/share/palimpsest/${_folder}" DIRECTORY)
  file(MAKE_DIRECTORY "${_parent}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${_folder}" "${CMAKE_BINARY_DIR}/share/palimpsest/${_folder}" SYMBOLIC)
endforeach()
