/* Task states, transitions and verdicts as tables. */
#include <rw/task.h>

#include <string.h>

#include <rw/auto.h>

static const struct {
    const char *name;
    bool is_final;
} states[_RW_TASK_MAX] = {
#define RW_TASK_STATE(state, text, final) [RW_TASK_##state] = {text, final},
#include <rw/task_state.def>
#undef RW_TASK_STATE
};

static const struct {
    enum rw_task_state from;
    enum rw_task_state to;
} transitions[] = {
#define RW_TASK_TRANSITION(before, after) {RW_TASK_##before, RW_TASK_##after},
#include <rw/task_state.def>
#undef RW_TASK_TRANSITION
};

static const char *const verdicts[_RW_VERDICT_MAX] = {
#define RW_VERDICT(verdict, text) [RW_VERDICT_##verdict] = (text),
#include <rw/verdict.def>
#undef RW_VERDICT
};

const char *rw_task_state_name(enum rw_task_state state)
{
    return (unsigned)state < _RW_TASK_MAX ? states[state].name : "invalid";
}

enum rw_task_state rw_task_state_parse(const char *text)
{
    for (int i = 0; i < _RW_TASK_MAX; i++) {
        if (strcmp(text, states[i].name) == 0) {
            return (enum rw_task_state)i;
        }
    }
    return _RW_TASK_INVALID;
}

bool rw_task_state_is_final(enum rw_task_state state)
{
    return (unsigned)state < _RW_TASK_MAX && states[state].is_final;
}

bool rw_task_transition_is_permitted(enum rw_task_state from, enum rw_task_state to)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(transitions); i++) {
        if (transitions[i].from == from && transitions[i].to == to) {
            return true;
        }
    }
    return false;
}

const char *rw_verdict_name(enum rw_verdict verdict)
{
    return (unsigned)verdict < _RW_VERDICT_MAX ? verdicts[verdict] : "invalid";
}

enum rw_verdict rw_verdict_parse(const char *text)
{
    for (int i = 0; i < _RW_VERDICT_MAX; i++) {
        if (strcmp(text, verdicts[i]) == 0) {
            return (enum rw_verdict)i;
        }
    }
    return _RW_VERDICT_INVALID;
}
