/* A task's row as MessagePack: one table of fields serves both ways, so the two cannot drift apart. What is not there (a time of
 * -1, an empty output, a flag that is false) is left out. */
#include <rw/task_row.h>

#include <stddef.h>
#include <string.h>

#include <rw/auto.h>

#include "msgpack_io.h"

enum kind { STATE, VERDICT, TEXT, BYTES, INT32, INT64, FLAG };

static const struct field {
    const char *key;
    enum kind kind;
    size_t offset;      /* in struct rw_task_row */
    size_t text_offset; /* TEXT: in struct rw_task_row_texts */
} fields[] = {
#define FIELD(key, kind, member)                                                                                                   \
    {                                                                                                                              \
        key, kind, offsetof(struct rw_task_row, member), 0                                                                         \
    }
#define TEXT_FIELD(key, member)                                                                                                    \
    {                                                                                                                              \
        key, TEXT, offsetof(struct rw_task_row, member), offsetof(struct rw_task_row_texts, member)                                \
    }
    FIELD("state", STATE, state),
    TEXT_FIELD("language", language),
    TEXT_FIELD("version", version),
    FIELD("attempt", INT32, attempt),
    FIELD("submitted", INT64, submitted_us),
    FIELD("claimed", INT64, claimed_us),
    FIELD("ended", INT64, ended_us),
    FIELD("has_result", FLAG, has_result),
    FIELD("verdict", VERDICT, verdict),
    FIELD("has_exit_code", FLAG, has_exit_code),
    FIELD("exit_code", INT32, exit_code),
    FIELD("signal", INT32, signal),
    FIELD("stdout", BYTES, stdout_bytes),
    FIELD("stderr", BYTES, stderr_bytes),
    FIELD("compile_output", BYTES, compile_output),
    FIELD("stdout_truncated", FLAG, stdout_truncated),
    FIELD("stderr_truncated", FLAG, stderr_truncated),
    FIELD("compile_truncated", FLAG, compile_truncated),
    TEXT_FIELD("reason", reason),
    FIELD("wall", INT64, wall_us),
    FIELD("cpu", INT64, cpu_us),
    FIELD("memory", INT64, memory_bytes),
    FIELD("compile_wall", INT64, compile_wall_us),
    FIELD("compile_cpu", INT64, compile_cpu_us),
    FIELD("compile_memory", INT64, compile_memory_bytes),
    FIELD("leased", INT64, leased_us),
    FIELD("job_sent", INT64, job_sent_us),
    FIELD("started", INT64, started_us),
    FIELD("finished", INT64, finished_us),
#undef FIELD
#undef TEXT_FIELD
};
enum { N_FIELDS = RW_ARRAY_SIZE(fields), VALUES_MAX = 256 };

static bool is_there(const struct field *field, const void *member)
{
    switch (field->kind) {
    case VERDICT:
        return *(const enum rw_verdict *)member != _RW_VERDICT_INVALID;
    case TEXT:
        return *(const char *const *)member != NULL;
    case BYTES:
        return ((const struct rw_bytes *)member)->len > 0;
    case INT32:
        return *(const int32_t *)member > 0;
    case INT64:
        return *(const int64_t *)member >= 0;
    case FLAG:
        return *(const bool *)member;
    case STATE:
    default:
        return true;
    }
}

static void pack(struct rw_packer *packer, const struct field *field, const void *member)
{
    const struct rw_bytes *bytes = member;
    rw_pack_text(packer, field->key);
    switch (field->kind) {
    case STATE:
        rw_pack_text(packer, rw_task_state_name(*(const enum rw_task_state *)member));
        break;
    case VERDICT:
        rw_pack_text(packer, rw_verdict_name(*(const enum rw_verdict *)member));
        break;
    case TEXT:
        rw_pack_text(packer, *(const char *const *)member);
        break;
    case BYTES:
        rw_pack_bin(packer, bytes->data, bytes->len);
        break;
    case INT32:
        rw_pack_uint(packer, (uint64_t)(*(const int32_t *)member));
        break;
    case INT64:
        rw_pack_uint(packer, (uint64_t)(*(const int64_t *)member));
        break;
    case FLAG:
    default:
        rw_pack_bool(packer, true);
        break;
    }
}

int rw_task_row_encode(const struct rw_task_row *row, struct rw_buffer *out, struct rw_error *err)
{
    struct rw_packer packer;
    size_t n = 0;
    rw_packer_init(&packer, out, err);
    for (size_t i = 0; i < N_FIELDS; i++) {
        n += is_there(&fields[i], (const char *)row + fields[i].offset);
    }
    rw_pack_map(&packer, n);
    for (size_t i = 0; i < N_FIELDS; i++) {
        const void *member = (const char *)row + fields[i].offset;
        if (is_there(&fields[i], member)) {
            pack(&packer, &fields[i], member);
        }
    }
    return packer.has_failed ? -1 : 0;
}

/* ---- decoding ---- */

static bool copy_text(const msgpack_object *value, char out[static RW_TASK_ROW_TEXT_BYTES])
{
    if (value->type != MSGPACK_OBJECT_STR || value->via.str.size >= RW_TASK_ROW_TEXT_BYTES ||
        memchr(value->via.str.ptr, '\0', value->via.str.size)) {
        return false;
    }
    memcpy(out, value->via.str.ptr, value->via.str.size);
    out[value->via.str.size] = '\0';
    return true;
}

static bool take_name(const struct field *field, const msgpack_object *value, void *member)
{
    char text[RW_TASK_ROW_TEXT_BYTES];
    if (!copy_text(value, text)) {
        return false;
    }
    int parsed = field->kind == STATE ? (int)rw_task_state_parse(text) : (int)rw_verdict_parse(text);
    memcpy(member, &parsed, sizeof(parsed)); /* both enums are as wide: see the assertions below */
    return parsed >= 0;
}
_Static_assert(sizeof(enum rw_task_state) == sizeof(int) && sizeof(enum rw_verdict) == sizeof(int), "enums are ints");

static bool take_number(const struct field *field, const msgpack_object *value, void *member)
{
    bool is_narrow = field->kind == INT32;
    if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER || value->via.u64 > (is_narrow ? INT32_MAX : INT64_MAX)) {
        return false;
    }
    if (is_narrow) {
        *(int32_t *)member = (int32_t)value->via.u64;
    } else {
        *(int64_t *)member = (int64_t)value->via.u64;
    }
    return true;
}

static bool take(const struct field *field, const msgpack_object *value, struct rw_task_row *row, struct rw_task_row_texts *texts)
{
    void *member = (char *)row + field->offset;
    char *text = (char *)texts + field->text_offset;
    switch (field->kind) {
    case STATE:
    case VERDICT:
        return take_name(field, value, member);
    case TEXT:
        *(const char **)member = text;
        return copy_text(value, text);
    case BYTES:
        *(struct rw_bytes *)member = rw_bytes_of(value->via.bin.ptr, value->via.bin.size);
        return value->type == MSGPACK_OBJECT_BIN;
    case INT32:
    case INT64:
        return take_number(field, value, member);
    case FLAG:
    default:
        *(bool *)member = value->type == MSGPACK_OBJECT_BOOLEAN && value->via.boolean;
        return value->type == MSGPACK_OBJECT_BOOLEAN;
    }
}

/* The field of a key, looked for from where the last one was found: they come in the table's order. */
static const struct field *find(const msgpack_object *key, size_t *at)
{
    for (size_t i = 0; i < N_FIELDS && key->type == MSGPACK_OBJECT_STR; i++) {
        const struct field *field = &fields[(*at + i) % N_FIELDS];
        if (key->via.str.size == strlen(field->key) && memcmp(key->via.str.ptr, field->key, key->via.str.size) == 0) {
            *at = (size_t)(field - fields) + 1;
            return field;
        }
    }
    return NULL;
}

int rw_task_row_decode(struct rw_bytes bytes, struct rw_task_row *ret_row, struct rw_task_row_texts *texts, struct rw_error *err)
{
    static const struct rw_unpack_limits limits = {.depth_max = 2, .values_max = VALUES_MAX};
    RW_AUTO_UNPACKED msgpack_unpacked unpacked = {0};
    struct rw_task_row row = {.state = _RW_TASK_INVALID, .verdict = _RW_VERDICT_INVALID};
    size_t at = 0;

    if (rw_unpack(bytes, &limits, &unpacked, err) < 0) {
        return -1;
    }
    if (unpacked.data.type != MSGPACK_OBJECT_MAP) {
        return rw_fail(err, PROTOCOL, "a task's row is a map");
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (fields[i].kind == INT64) {
            *(int64_t *)(void *)((char *)&row + fields[i].offset) = -1;
        }
    }
    for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
        const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
        const struct field *field = find(&pair->key, &at);
        if (field && !take(field, &pair->val, &row, texts)) {
            return rw_fail(err, PROTOCOL, "a task's row: %s", field->key);
        }
    }
    if (!rw_task_state_is_final(row.state) || !row.language || !row.version) {
        return rw_fail(err, PROTOCOL, "a task's row is not that of a final task");
    }
    *ret_row = row;
    return 0;
}
