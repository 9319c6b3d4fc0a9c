/* The command line of `runwave`: a table of commands and a table of options; the help text comes from the same tables. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

#include <rw/error.h>
#include <rw/job.h>

enum cli_command { CLI_SUBMIT, CLI_RESULT, CLI_LANGUAGES, CLI_HEALTH, _CLI_COMMAND_MAX };

enum { CLI_WAIT_S_MAX = 24 * 3600 };

struct cli_list {
    const char *items[RW_JOB_ARGS_MAX]; /* borrowed from argv */
    size_t count;
};

struct cli_options { /* texts are borrowed from argv and the environment */
    enum cli_command command;
    bool is_help;    /* the help text was asked for */
    bool is_version; /* the program's own version was asked for */
    bool is_json;
    const char *server;
    const char *token; /* NULL: none */
    uint32_t wait_s;
    const char *language;
    const char *version;
    const char *isolation;
    const char *stdin_path;
    struct cli_list operands;
    struct cli_list args;
    struct cli_list env;
    struct cli_list compile_options;
    struct cli_list limits;
};

/* INVALID names the option at fault. Reorders argv as getopt_long does. */
RW_NODISCARD int options_parse(int argc, char **argv, struct cli_options *ret_options, struct rw_error *err);
void options_help(FILE *out);

#endif
