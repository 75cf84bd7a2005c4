# SPDX-License-Identifier: Apache-2.0
# Warnings, hardening and instrumentation, for every target of ours.
set(WEIR_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wundef -Wvla -Wimplicit-fallthrough -Wcast-align -Wcast-qual
    -Wwrite-strings -Wpointer-arith -Wformat=2 -Wdouble-promotion -Wnull-dereference
    -Wswitch-enum -Werror)
add_library(weir_flags INTERFACE)
target_compile_options(weir_flags INTERFACE ${WEIR_WARNINGS}
    -fno-common -fno-omit-frame-pointer -fstack-protector-strong -fvisibility=hidden)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_include_directories(weir_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)

if(WEIR_DCHECKS)
    target_compile_definitions(weir_flags INTERFACE WEIR_DCHECKS=1)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT WEIR_SANITIZE)
    target_compile_options(weir_flags INTERFACE -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fPIE)
    target_link_options(weir_flags INTERFACE -pie -Wl,-z,relro,-z,now)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
        target_compile_options(weir_flags INTERFACE -fcf-protection)
    endif()
endif()
if(WEIR_SANITIZE)
    target_compile_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
    if(WEIR_SANITIZE MATCHES "thread")
        target_compile_definitions(weir_flags INTERFACE WEIR_TSAN=1)
    endif()
    if(WEIR_SANITIZE MATCHES "address")
        target_compile_definitions(weir_flags INTERFACE WEIR_ASAN=1)
    endif()
endif()
if(WEIR_FUZZ)
    target_compile_options(weir_flags INTERFACE -fsanitize=fuzzer-no-link)
    if(NOT WEIR_SANITIZE) # a campaign: rigs and guard pages are kept from one input to the next
        target_compile_definitions(weir_flags INTERFACE WEIR_FUZZ_FAST=1)
        # half of the time went here; what needs it, the preset with sanitizers finds
        target_compile_options(weir_flags INTERFACE -fno-sanitize-coverage=trace-cmp)
    endif()
endif()
if(WEIR_COVERAGE)
    target_compile_definitions(weir_flags INTERFACE WEIR_COVERAGE=1)
    target_compile_options(weir_flags INTERFACE --coverage)
    target_link_options(weir_flags INTERFACE --coverage)
endif()
