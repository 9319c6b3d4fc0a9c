/* What the server says about a task, for people: the program's bytes, a line with the verdict, and an exit status. */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include <stdio.h>

#include <rw/json.h>
#include <rw/task.h>

/* Exit statuses; those of errors come from common/include/rw/error.def and begin at 64. docs/cli.md has the whole table. */
enum {
    CLI_EXIT_OK = 0,
    CLI_EXIT_CANCELLED = 9,
    CLI_EXIT_DEAD = 10,
    CLI_EXIT_USAGE = 64,
    CLI_EXIT_NOT_FINAL = 75,
};

/* _RW_TASK_INVALID when the answer names no state. */
enum rw_task_state result_state(const cJSON *result);
int result_exit_status(const cJSON *result);

/* A result's stream ("stdout", "stderr", "compile_output") as bytes, appended to *out. PROTOCOL, TOO_LARGE. */
RW_NODISCARD int result_stream(const cJSON *result, const char *key, struct rw_buffer *out, struct rw_error *err);

/* The program's stdout to out; its compiler's output and its stderr, then one line with the verdict, to log. PROTOCOL,
 * TOO_LARGE. */
RW_NODISCARD int result_print(const cJSON *result, FILE *out, FILE *log, struct rw_error *err);

#endif
