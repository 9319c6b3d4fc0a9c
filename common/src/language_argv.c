/* From an argv template of language.yaml to the argv of a job. No shell is ever involved: an element stays one element. A file
 * whose name begins with '-' or '@' would be read as an option or a list of options, so it gets "./" in front. */
#include <rw/language.h>

#include <inttypes.h>
#include <string.h>

/* The argv that is being made, with its bound. */
struct builder {
    char **argv;
    size_t count;
    struct rw_error *err;
};

static int push(struct builder *builder, const char *element)
{
    if (builder->count >= RW_JOB_ARGS_MAX) {
        return rw_fail(builder->err, TOO_LARGE, "more than %d arguments", RW_JOB_ARGS_MAX);
    }
    if (strlen(element) > RW_JOB_ARG_BYTES_MAX) {
        return rw_fail(builder->err, TOO_LARGE, "an argument of more than %d bytes", RW_JOB_ARG_BYTES_MAX);
    }
    builder->argv[builder->count++] = rw_xstrdup(element);
    return 0;
}

static int push_all(struct builder *builder, const char *const *elements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (push(builder, elements[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static const char *guard_of(const char *name)
{
    return name[0] == '-' || name[0] == '@' ? "./" : "";
}

static int push_sources(struct builder *builder, const struct rw_argv_inputs *inputs)
{
    for (size_t i = 0; i < inputs->n_sources; i++) {
        RW_AUTO_FREE char *name = rw_xasprintf("%s%s", guard_of(inputs->sources[i]), inputs->sources[i]);
        if (push(builder, name) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Bytes of a file's name before its extension: "src/Main.java" is "src/Main", ".profile" is itself. */
static size_t stem_len(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? (size_t)(dot - name) : strlen(name);
}

/* An element with what stands in braces replaced; what was put in is never looked at again. Owned by the caller. */
static char *replace_marks(const char *element, const struct rw_argv_inputs *inputs)
{
    const char *entry = inputs->entry ? inputs->entry : "";
    RW_AUTO_FREE char *stem = rw_xstrndup(entry, stem_len(entry));
    RW_AUTO_FREE char *memory = rw_xasprintf("%" PRIu64, inputs->memory_bytes);
    const struct {
        const char *mark;
        const char *value;
    } marks[] = {{"{entry}", entry}, {"{entry_stem}", stem}, {"{memory_bytes}", memory}};
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, SIZE_MAX / 2); /* pieces of bounded texts */
    for (const char *rest = element; *rest;) {
        size_t i = 0;
        while (i < RW_ARRAY_SIZE(marks) && strncmp(rest, marks[i].mark, strlen(marks[i].mark)) != 0) {
            i++;
        }
        if (i == RW_ARRAY_SIZE(marks)) {
            (void)rw_buffer_append_some(&out, rest++, 1);
            continue;
        }
        const char *guard = rest == element ? guard_of(marks[i].value) : "";
        (void)rw_buffer_append_some(&out, guard, strlen(guard));
        (void)rw_buffer_append_some(&out, marks[i].value, strlen(marks[i].value));
        rest += strlen(marks[i].mark);
    }
    (void)rw_buffer_append_some(&out, "", 1);
    return (char *)rw_take(out.data);
}

static int push_element(struct builder *builder, const char *element, const struct rw_argv_inputs *inputs)
{
    if (strcmp(element, "{sources}") == 0) {
        return push_sources(builder, inputs);
    }
    if (strcmp(element, "{options}") == 0) {
        return push_all(builder, inputs->options, inputs->n_options);
    }
    if (strcmp(element, "{args}") == 0) {
        return push_all(builder, inputs->args, inputs->n_args);
    }
    RW_AUTO_FREE char *replaced = replace_marks(element, inputs);
    return push(builder, replaced);
}

int rw_argv_expand(char *const *template_argv, size_t n_template, const struct rw_argv_inputs *inputs, char ***ret_argv,
                   size_t *ret_n, struct rw_error *err)
{
    RW_AUTO(rw_strv_free) char **argv = rw_xcalloc(RW_JOB_ARGS_MAX + 1, sizeof(*argv));
    struct builder builder = {.argv = argv, .err = err};
    for (size_t i = 0; i < n_template; i++) {
        if (push_element(&builder, template_argv[i], inputs) < 0) {
            return -1;
        }
    }
    *ret_argv = rw_take(argv);
    *ret_n = builder.count;
    return 0;
}

void rw_strv_free(char **strv)
{
    for (char **element = strv; element && *element; element++) {
        free(*element);
    }
    free(strv);
}
