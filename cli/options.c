/* The command line: getopt_long driven by one table of options. A row says which commands take the option, what kind of value it
 * has, and where in struct cli_options the value goes; an option that its command does not take is unknown to it. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SUBMIT_WAIT_S = 60, LONG_OPTION_BASE = 256 };
#define DEFAULT_SERVER "http://127.0.0.1:8080"

struct command_row {
    const char *name;
    const char *operands;
    size_t operands_min;
    size_t operands_max;
    uint32_t wait_s; /* when --wait is not given */
    const char *help;
};

static const struct command_row command_rows[_CLI_COMMAND_MAX] = {
    [CLI_SUBMIT] = {"submit", "FILE...", 1, RW_JOB_FILES_MAX, DEFAULT_SUBMIT_WAIT_S, "run the files; the first one is the entry"},
    [CLI_RESULT] = {"result", "ID", 1, 1, 0, "print the result of a task"},
    [CLI_LANGUAGES] = {"languages", "", 0, 0, 0, "list the languages the server offers"},
    [CLI_HEALTH] = {"health", "", 0, 0, 0, "ask the server whether it can do its work"},
};

enum option_kind { OPTION_TEXT, OPTION_LIST, OPTION_SECONDS, OPTION_FLAG };

enum {
    FOR_SUBMIT = 1 << CLI_SUBMIT,
    FOR_RESULT = 1 << CLI_RESULT,
    FOR_ALL = (1 << _CLI_COMMAND_MAX) - 1,
};

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    size_t offset;
    int commands; /* FOR_ bits */
    const char *value;
    const char *help;
};

#define AT(field) offsetof(struct cli_options, field)

static const struct option_row option_rows[] = {
    {"language", 'l', OPTION_TEXT, AT(language), FOR_SUBMIT, "L", "language or alias (default: by the entry's extension)"},
    {"version", 0, OPTION_TEXT, AT(version), FOR_SUBMIT, "V", "version of the language: 3, 3.11, 3.11.2"},
    {"isolation", 0, OPTION_TEXT, AT(isolation), FOR_SUBMIT, "LEVEL", "pod or sandbox (default: the server's)"},
    {"stdin", 'i', OPTION_TEXT, AT(stdin_path), FOR_SUBMIT, "FILE", "what the program reads; - is this command's own input"},
    {"arg", 'a', OPTION_LIST, AT(args), FOR_SUBMIT, "A", "argument of the program; may be repeated"},
    {"env", 'e', OPTION_LIST, AT(env), FOR_SUBMIT, "K=V", "environment variable of the program; may be repeated"},
    {"option", 'o', OPTION_LIST, AT(compile_options), FOR_SUBMIT, "O", "option of the compiler; may be repeated"},
    {"limit", 0, OPTION_LIST, AT(limits), FOR_SUBMIT, "NAME=N", "wall_ms=2000, memory_bytes=67108864, ...; may be repeated"},
    {"wait", 'w', OPTION_SECONDS, AT(wait_s), FOR_SUBMIT | FOR_RESULT, "S",
     "seconds to wait for the result (submit: 60, result: 0)"},
    {"json", 'j', OPTION_FLAG, AT(is_json), FOR_ALL, NULL, "print the server's JSON as it came"},
    {"server", 's', OPTION_TEXT, AT(server), FOR_ALL, "URL",
     "http://HOST:PORT or unix:PATH (default: $RUNWAVE_SERVER, " DEFAULT_SERVER ")"},
    {"help", 'h', OPTION_FLAG, AT(is_help), FOR_ALL, NULL, "print this help"},
};

static bool takes_value(const struct option_row *row)
{
    return row->kind != OPTION_FLAG;
}

static int parse_seconds(const struct option_row *row, const char *text, uint32_t *ret_seconds, struct rw_error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long seconds = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || seconds > CLI_WAIT_S_MAX) {
        return rw_fail(err, INVALID, "--%s wants whole seconds from 0 to %d, not '%s'", row->name, CLI_WAIT_S_MAX, text);
    }
    *ret_seconds = (uint32_t)seconds;
    return 0;
}

static int list_add(struct cli_list *list, const char *name, const char *item, struct rw_error *err)
{
    if (list->count == RW_ARRAY_SIZE(list->items)) {
        return rw_fail(err, INVALID, "%s: more than %zu of them", name, list->count);
    }
    list->items[list->count++] = item;
    return 0;
}

static int take_option(const struct option_row *row, const char *value, struct cli_options *options, struct rw_error *err)
{
    void *field = (char *)options + row->offset;
    switch (row->kind) {
    case OPTION_TEXT:
        *(const char **)field = value;
        return 0;
    case OPTION_LIST:
        return list_add(field, row->name, value, err);
    case OPTION_SECONDS:
        return parse_seconds(row, value, field, err);
    case OPTION_FLAG:
        *(bool *)field = true;
        return 0;
    }
    return rw_fail(err, INTERNAL, "option --%s has no kind", row->name);
}

/* The two forms in which getopt_long wants the rows that a command takes. */
struct getopt_tables {
    struct option longs[RW_ARRAY_SIZE(option_rows) + 1];
    char letters[2 * RW_ARRAY_SIZE(option_rows) + 2];
};

static void make_tables(enum cli_command command, struct getopt_tables *tables)
{
    memset(tables, 0, sizeof(*tables));
    size_t n_longs = 0;
    char *letter = tables->letters;
    *letter++ = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < RW_ARRAY_SIZE(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        if ((row->commands & (1 << command)) == 0) {
            continue;
        }
        tables->longs[n_longs++] = (struct option){row->name, takes_value(row) ? required_argument : no_argument, NULL,
                                                   LONG_OPTION_BASE + (int)i};
        if (row->letter != 0) {
            *letter++ = row->letter;
            if (takes_value(row)) {
                *letter++ = ':';
            }
        }
    }
}

/* What getopt_long returned, as a row; NULL when it is none. */
static const struct option_row *find_row(int code)
{
    if (code >= LONG_OPTION_BASE) {
        return &option_rows[code - LONG_OPTION_BASE];
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(option_rows); i++) {
        if (code != 0 && option_rows[i].letter == code) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static int parse_arguments(int argc, char **argv, struct cli_options *options, struct rw_error *err)
{
    const struct command_row *command = &command_rows[options->command];
    struct getopt_tables tables;
    make_tables(options->command, &tables);
    opterr = 0;
    optind = 0; /* GNU: start afresh */
    for (;;) {
        int code = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
        if (code == -1) {
            break;
        }
        if (code == ':' || code == '?') {
            return rw_fail(err, INVALID, "%s: %s '%s'", command->name, code == ':' ? "a value is missing after" : "no such option",
                           argv[optind - 1]);
        }
        const struct option_row *row = find_row(code);
        if (!row) {
            return rw_fail(err, INTERNAL, "option %d has no row", code);
        }
        if (take_option(row, optarg, options, err) < 0) {
            return -1;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (list_add(&options->operands, command->name, argv[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int find_command(const char *name, enum cli_command *ret_command, struct rw_error *err)
{
    for (size_t i = 0; i < _CLI_COMMAND_MAX; i++) {
        if (strcmp(command_rows[i].name, name) == 0) {
            *ret_command = (enum cli_command)i;
            return 0;
        }
    }
    return rw_fail(err, INVALID, "no such command '%s'; `runwave help` lists them", name);
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && value[0] != '\0' ? value : otherwise;
}

int options_parse(int argc, char **argv, struct cli_options *ret_options, struct rw_error *err)
{
    memset(ret_options, 0, sizeof(*ret_options));
    ret_options->server = from_environment("RUNWAVE_SERVER", DEFAULT_SERVER);
    ret_options->token = from_environment("RUNWAVE_TOKEN", NULL);
    if (argc < 2) {
        return rw_fail(err, INVALID, "a command is missing; `runwave help` lists them");
    }
    const char *first = argv[1];
    ret_options->is_help = strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0;
    ret_options->is_version = strcmp(first, "--version") == 0;
    if (ret_options->is_help || ret_options->is_version) {
        return 0;
    }
    if (find_command(first, &ret_options->command, err) < 0) {
        return -1;
    }
    const struct command_row *command = &command_rows[ret_options->command];
    ret_options->wait_s = command->wait_s;
    if (parse_arguments(argc - 1, argv + 1, ret_options, err) < 0) {
        return -1;
    }
    if (ret_options->is_help) {
        return 0;
    }
    if (ret_options->operands.count < command->operands_min || ret_options->operands.count > command->operands_max) {
        return rw_fail(err, INVALID, "usage: runwave %s %s", command->name, command->operands);
    }
    return 0;
}

static void print_row(FILE *out, const struct option_row *row)
{
    (void)fprintf(out, "  %c%c --%-8s %-7s %s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ', row->name,
                  row->value ? row->value : "", row->help);
    const char *separator = "  [";
    for (size_t i = 0; row->commands != FOR_ALL && i < _CLI_COMMAND_MAX; i++) {
        if ((row->commands & (1 << i)) != 0) {
            (void)fprintf(out, "%s%s", separator, command_rows[i].name);
            separator = ", ";
        }
    }
    (void)fprintf(out, "%s\n", row->commands != FOR_ALL ? "]" : "");
}

void options_help(FILE *out)
{
    (void)fprintf(out, "runwave: submit code to a RunWave server and read the results\n\n");
    for (size_t i = 0; i < _CLI_COMMAND_MAX; i++) {
        (void)fprintf(out, "  runwave %-9s %-8s %s\n", command_rows[i].name, command_rows[i].operands, command_rows[i].help);
    }
    (void)fprintf(out, "\nOptions, and the commands that take them when not all do:\n");
    for (size_t i = 0; i < RW_ARRAY_SIZE(option_rows); i++) {
        print_row(out, &option_rows[i]);
    }
    (void)fprintf(out, "\nA server that asks for a token gets the one in $RUNWAVE_TOKEN.\n");
    (void)fprintf(out, "The exit status tells the verdict; docs/cli.md has the table.\n");
}
