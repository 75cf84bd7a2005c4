# SPDX-License-Identifier: Apache-2.0
# Every third-party library, as one interface target each, headers SYSTEM. A room that does not name
# a target here cannot see its headers' flags, and tests/tidy keeps it from including them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(weir_jemalloc INTERFACE)
if(WEIR_JEMALLOC)
    pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
    target_link_libraries(weir_jemalloc INTERFACE PkgConfig::JEMALLOC)
    target_compile_definitions(weir_jemalloc INTERFACE WEIR_JEMALLOC=1)
endif()
target_link_libraries(weir_jemalloc INTERFACE Threads::Threads m)

pkg_check_modules(URCU REQUIRED IMPORTED_TARGET liburcu-memb liburcu-cds)
add_library(weir_urcu INTERFACE)
target_link_libraries(weir_urcu INTERFACE PkgConfig::URCU)

pkg_check_modules(DEFLATE REQUIRED IMPORTED_TARGET libdeflate)
add_library(weir_deflate INTERFACE)
target_link_libraries(weir_deflate INTERFACE PkgConfig::DEFLATE)

pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)
add_library(weir_isal INTERFACE)
target_link_libraries(weir_isal INTERFACE PkgConfig::ISAL)

pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
add_library(weir_zstd INTERFACE)
target_link_libraries(weir_zstd INTERFACE PkgConfig::ZSTD)

pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

if(NOT WEIR_ROOMS_ONLY)
    pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
    add_library(weir_crypto INTERFACE)
    target_link_libraries(weir_crypto INTERFACE PkgConfig::OPENSSL)

    # Without H2O_USE_LIBUV=0 the headers want uv.h; libh2o-evloop's own Libs lack OpenSSL.
    pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o-evloop)
    add_library(weir_h2o INTERFACE)
    target_link_libraries(weir_h2o INTERFACE PkgConfig::H2O PkgConfig::OPENSSL)
    target_compile_definitions(weir_h2o INTERFACE H2O_USE_LIBUV=0 H2O_USE_EPOLL=1)

    pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
    add_library(weir_curl INTERFACE)
    target_link_libraries(weir_curl INTERFACE PkgConfig::CURL)

    pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
    add_library(weir_yaml INTERFACE)
    target_link_libraries(weir_yaml INTERFACE PkgConfig::YAML)

    pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
    add_library(weir_seccomp INTERFACE)
    target_link_libraries(weir_seccomp INTERFACE PkgConfig::SECCOMP)

    find_package(nanopb REQUIRED)
    find_program(WEIR_PROTOC protoc REQUIRED)
    find_program(WEIR_NANOPB_PLUGIN protoc-gen-nanopb REQUIRED)
    add_library(weir_nanopb INTERFACE)
    target_link_libraries(weir_nanopb INTERFACE nanopb::protobuf-nanopb-static)
endif()

# weir_proto(<library> <file.proto>): nanopb's structs and codec for one .proto file, built as a
# library of its own so that generated code is not held to our warnings.
function(weir_proto library proto)
    get_filename_component(stem ${proto} NAME_WE)
    get_filename_component(dir ${proto} DIRECTORY)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${library})
    file(MAKE_DIRECTORY ${out})
    file(GLOB options CONFIGURE_DEPENDS ${dir}/${stem}.options)
    add_custom_command(
        OUTPUT ${out}/${stem}.pb.c ${out}/${stem}.pb.h
        COMMAND ${WEIR_PROTOC} --plugin=protoc-gen-nanopb=${WEIR_NANOPB_PLUGIN}
                --proto_path=${dir} --nanopb_opt=-I${dir} --nanopb_out=${out} ${proto}
        DEPENDS ${proto} ${options} VERBATIM)
    add_library(${library} STATIC ${out}/${stem}.pb.c)
    target_include_directories(${library} SYSTEM PUBLIC ${out})
    target_link_libraries(${library} PUBLIC weir_nanopb)
endfunction()
