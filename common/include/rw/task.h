/* Task states, transitions and verdicts, from task_state.def and verdict.def. The same guard stands in every SQL WHERE. */
#ifndef RW_TASK_H
#define RW_TASK_H

#include <stdbool.h>

#include <rw/error.h>

enum rw_task_state {
#define RW_TASK_STATE(name, text, is_final) RW_TASK_##name,
#include <rw/task_state.def>
#undef RW_TASK_STATE
    _RW_TASK_MAX,
    _RW_TASK_INVALID = -1
};

enum rw_verdict {
#define RW_VERDICT(name, text) RW_VERDICT_##name,
#include <rw/verdict.def>
#undef RW_VERDICT
    _RW_VERDICT_MAX,
    _RW_VERDICT_INVALID = -1
};

enum { RW_TASK_ATTEMPTS_MAX = 3 }; /* attempts lost to infrastructure before a task is dead */

const char *rw_task_state_name(enum rw_task_state state);
enum rw_task_state rw_task_state_parse(const char *text); /* _RW_TASK_INVALID when unknown */
bool rw_task_state_is_final(enum rw_task_state state);
bool rw_task_transition_is_permitted(enum rw_task_state from, enum rw_task_state to);
const char *rw_verdict_name(enum rw_verdict verdict);
enum rw_verdict rw_verdict_parse(const char *text);

#endif
