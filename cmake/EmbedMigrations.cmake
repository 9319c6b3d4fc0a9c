# Turns numbered migrations (NNNN_name.sql) into a C table, so that the program needs no path at run time.
# cmake -DOUTPUT=FILE.c -DMIGRATIONS=a.sql|b.sql -P EmbedMigrations.cmake
string(REPLACE "|" ";" MIGRATIONS "${MIGRATIONS}")
set(arrays "")
set(rows "")
set(expected 1)
foreach(file IN LISTS MIGRATIONS)
    get_filename_component(stem "${file}" NAME_WE)
    if(NOT stem MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
        message(FATAL_ERROR "${file}: a migration is named NNNN_name.sql")
    endif()
    set(number "${CMAKE_MATCH_1}")
    set(name "${CMAKE_MATCH_2}")
    string(REGEX REPLACE "^0+" "" version "${number}")
    if(NOT version EQUAL expected)
        message(FATAL_ERROR "${file}: migrations are numbered without gaps, expected ${expected}")
    endif()
    math(EXPR expected "${expected} + 1")
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const char sql_${number}[] = {${bytes}0};\n")
    string(APPEND rows "    {${version}, \"${name}\", sql_${number}},\n")
endforeach()
math(EXPR count "${expected} - 1")
file(WRITE "${OUTPUT}" "/* Made from common/migrations by cmake/EmbedMigrations.cmake. */
#include \"pg_migrations.h\"

${arrays}
const struct pg_migration pg_migrations[] = {
${rows}};
const size_t pg_n_migrations = ${count};
")
