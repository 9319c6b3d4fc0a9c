# One interface target with the language level, the warnings and the hardening every target gets, and the sanitizer option.
option(RUNWAVE_WERROR "Treat warnings as errors" OFF)
option(RUNWAVE_ANALYZER "Run gcc -fanalyzer" OFF)
option(RUNWAVE_FUZZ "Build the libFuzzer targets (clang)" OFF)
set(RUNWAVE_SANITIZE "" CACHE STRING "Sanitizers for everything: address,undefined or thread")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(runwave_options INTERFACE)
target_compile_definitions(runwave_options INTERFACE _GNU_SOURCE RUNWAVE_VERSION="${PROJECT_VERSION}")
target_compile_options(runwave_options INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wwrite-strings -Wpointer-arith -Wundef -Wvla
    -Wconversion -Wcast-qual -Wswitch-enum -fno-common
    -fstack-protector-strong -fstack-clash-protection)
target_link_options(runwave_options INTERFACE -Wl,-z,relro -Wl,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(runwave_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(RUNWAVE_WERROR)
    target_compile_options(runwave_options INTERFACE -Werror)
endif()
if(RUNWAVE_ANALYZER)
    target_compile_options(runwave_options INTERFACE -fanalyzer)
endif()
if(RUNWAVE_SANITIZE)
    target_compile_options(runwave_options INTERFACE -fsanitize=${RUNWAVE_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(runwave_options INTERFACE -fsanitize=${RUNWAVE_SANITIZE})
endif()
if(RUNWAVE_FUZZ)
    # Coverage for the fuzzer in every object, its main only in the fuzz targets.
    target_compile_options(runwave_options INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(runwave_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
