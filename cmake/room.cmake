# SPDX-License-Identifier: Apache-2.0

# weir_room(<name> CALLS <rooms> THIRD_PARTY <targets>): src/<name>/*.c as the static library
# weir_<name>. A .proto file in the room becomes its nanopb library. src/app/main.c is the program's.
function(weir_room name)
    cmake_parse_arguments(ROOM "" "" "CALLS;THIRD_PARTY" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
    list(FILTER sources EXCLUDE REGEX "/app/main\\.c$")
    file(GLOB protos CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.proto)
    if(NOT sources)
        file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.c "typedef int weir_empty_${name};\n")
        set(sources ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.c)
    endif()
    add_library(weir_${name} STATIC ${sources})
    list(TRANSFORM ROOM_CALLS PREPEND weir_)
    target_link_libraries(weir_${name} PUBLIC weir_flags ${ROOM_CALLS} PRIVATE ${ROOM_THIRD_PARTY})
    foreach(proto ${protos})
        get_filename_component(stem ${proto} NAME_WE)
        weir_proto(weir_${name}_${stem}_pb ${proto})
        target_link_libraries(weir_${name} PRIVATE weir_${name}_${stem}_pb)
    endforeach()
    set_property(GLOBAL APPEND PROPERTY WEIR_ROOMS ${name})
endfunction()

function(weir_program name)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE weir_flags weir_app)
endfunction()
