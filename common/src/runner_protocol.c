/* The messages between scheduler and runner. One table of fields a message serves encoding and decoding alike, so the two
 * cannot drift apart. docs/runner-protocol.md describes the bytes. */
#include <rw/runner_protocol.h>

#include <sodium.h>
#include <stddef.h>
#include <string.h>

#include <rw/frame.h>

#include "msgpack_io.h"
#include "utf8.h"

enum { EXIT_CODE_MAX = 255, SIGNAL_MAX = 64, VALUES_MAX = 64, DEPTH_MAX = 2 };

enum kind { FIXED, DATA, UUID, UINT, FLAG, NAME, TEXT, TRACE, USAGE };

static const msgpack_object_type kind_types[] = {
    [FIXED] = MSGPACK_OBJECT_BIN,    [DATA] = MSGPACK_OBJECT_BIN,  [UUID] = MSGPACK_OBJECT_BIN,
    [FLAG] = MSGPACK_OBJECT_BOOLEAN, [NAME] = MSGPACK_OBJECT_STR,  [UINT] = MSGPACK_OBJECT_POSITIVE_INTEGER,
    [TEXT] = MSGPACK_OBJECT_STR,     [TRACE] = MSGPACK_OBJECT_STR, [USAGE] = MSGPACK_OBJECT_MAP,
};

struct field {
    const char *key;
    enum kind kind;
    size_t offset;            /* in struct rw_message, or in struct rw_usage */
    size_t size;              /* of the member */
    uint64_t max;             /* FIXED: exactly so many bytes; DATA: at most so many; UINT: at most so much; NAME: count of names */
    const char *const *names; /* NAME: by value */
    size_t offset_present;    /* of the bool that says whether an optional field is there; 0: always there */
};

static const char *const stage_names[] = {[RW_STAGE_COMPILE] = "compile", [RW_STAGE_RUN] = "run"};
static const char *const stream_names[] = {
    [RW_STREAM_STDOUT] = "stdout", [RW_STREAM_STDERR] = "stderr", [RW_STREAM_COMPILE] = "compile"};
static const char *const verdict_names[] = {
#define RW_VERDICT(verdict, text) [RW_VERDICT_##verdict] = (text),
#include <rw/verdict.def>
#undef RW_VERDICT
};

#define AT(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define IN(member)       AT(struct rw_message, member)
#define ONE_OF(names)    RW_ARRAY_SIZE(names), names
#define PRESENCE(member) offsetof(struct rw_message, member)

static const struct field usage_fields[] = {
    {"wall_us", UINT, AT(struct rw_usage, wall_us), INT64_MAX, NULL, 0},
    {"cpu_user_us", UINT, AT(struct rw_usage, cpu_user_us), INT64_MAX, NULL, 0},
    {"cpu_system_us", UINT, AT(struct rw_usage, cpu_system_us), INT64_MAX, NULL, 0},
    {"memory_bytes", UINT, AT(struct rw_usage, memory_bytes), INT64_MAX, NULL, 0},
    {"processes", UINT, AT(struct rw_usage, processes), INT64_MAX, NULL, 0},
};
static const struct field scheduler_hello_fields[] = {
    {"nonce", FIXED, IN(nonce), RW_NONCE_BYTES, NULL, 0},
    {"lease_id", UUID, IN(lease_id), 0, NULL, 0},
};
static const struct field runner_hello_fields[] = {
    {"nonce", FIXED, IN(nonce), RW_NONCE_BYTES, NULL, 0},
    {"proof", FIXED, IN(proof), RW_PROOF_BYTES, NULL, 0},
};
static const struct field job_fields[] = {
    {"proof", FIXED, IN(proof), RW_PROOF_BYTES, NULL, 0}, {"task_id", UUID, IN(task_id), 0, NULL, 0},
    {"attempt", UINT, IN(attempt), INT32_MAX, NULL, 0},   {"trace", TRACE, IN(trace), 0, NULL, 0},
    {"job", DATA, IN(job), RW_JOB_BYTES_MAX, NULL, 0},
};
static const struct field stdin_fields[] = {
    {"data", DATA, IN(data), RW_OUTPUT_CHUNK_BYTES_MAX, NULL, 0},
    {"eof", FLAG, IN(is_eof), 0, NULL, 0},
};
static const struct field started_fields[] = {
    {"stage", NAME, IN(stage), ONE_OF(stage_names), 0},
};
static const struct field output_fields[] = {
    {"stream", NAME, IN(stream), ONE_OF(stream_names), 0},
    {"data", DATA, IN(data), RW_OUTPUT_CHUNK_BYTES_MAX, NULL, 0},
};
static const struct field result_fields[] = {
    {"verdict", NAME, IN(result.verdict), ONE_OF(verdict_names), 0},
    {"exit_code", UINT, IN(result.exit_code), EXIT_CODE_MAX, NULL, PRESENCE(result.has_exit_code)},
    {"signal", UINT, IN(result.signal), SIGNAL_MAX, NULL, 0},
    {"stdout_truncated", FLAG, IN(result.truncated[RW_STREAM_STDOUT]), 0, NULL, 0},
    {"stderr_truncated", FLAG, IN(result.truncated[RW_STREAM_STDERR]), 0, NULL, 0},
    {"compile_truncated", FLAG, IN(result.truncated[RW_STREAM_COMPILE]), 0, NULL, 0},
    {"run", USAGE, IN(result.run), 0, NULL, 0},
    {"compile", USAGE, IN(result.compile), 0, NULL, PRESENCE(result.has_compile)},
    {"run_started_after_us", UINT, IN(result.run_started_after_us), INT64_MAX, NULL, 0},
    {"reason", TEXT, IN(result.reason), 0, NULL, 0},
};
static const struct field refused_fields[] = {
    {"reason", TEXT, IN(reason), 0, NULL, 0},
};

/* Two shapes share the type hello: the scheduler's names a lease, the runner's brings a proof. */
#define SHAPE(type, name, fields)                                                                                                  \
    {                                                                                                                              \
        type, name, fields, RW_ARRAY_SIZE(fields)                                                                                  \
    }
static const struct shape {
    enum rw_message_type type;
    const char *name;
    const struct field *fields;
    size_t n_fields;
} shapes[] = {
    SHAPE(RW_MESSAGE_HELLO, "hello", scheduler_hello_fields),
    SHAPE(RW_MESSAGE_HELLO, "hello", runner_hello_fields),
    SHAPE(RW_MESSAGE_JOB, "job", job_fields),
    SHAPE(RW_MESSAGE_STDIN, "stdin", stdin_fields),
    {RW_MESSAGE_CANCEL, "cancel", NULL, 0},
    SHAPE(RW_MESSAGE_STARTED, "started", started_fields),
    SHAPE(RW_MESSAGE_OUTPUT, "output", output_fields),
    SHAPE(RW_MESSAGE_RESULT, "result", result_fields),
    SHAPE(RW_MESSAGE_REFUSED, "refused", refused_fields),
};

static bool is_there(const struct field *field, const void *base)
{
    return field->offset_present == 0 || *(const bool *)((const char *)base + field->offset_present);
}

/* Whole numbers are uint32_t, int or enums (4 bytes; never negative once within max), or uint64_t. */
static uint64_t get_uint(const void *member, size_t size)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (size == sizeof(narrow)) {
        memcpy(&narrow, member, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, member, sizeof(wide));
    return wide;
}

static void set_uint(void *member, size_t size, uint64_t value)
{
    uint32_t narrow = (uint32_t)value;
    memcpy(member, size == sizeof(narrow) ? (const void *)&narrow : (const void *)&value, size);
}

static int write_fields(struct rw_packer *packer, const struct field *fields, size_t n_fields, const void *base,
                        struct rw_error *err);

/* What the reader at the other end would refuse is refused here, as a fault of this program. */
static int write_field(struct rw_packer *packer, const struct field *field, const void *member, struct rw_error *err)
{
    const struct rw_bytes *bytes = member;
    const char *text = member;
    bool is_right = true;
    switch (field->kind) {
    case DATA:
        if (bytes->len > field->max) {
            return rw_fail(err, TOO_LARGE, "%s of more than %llu bytes", field->key, (unsigned long long)field->max);
        }
        rw_pack_bin(packer, bytes->data, bytes->len);
        break;
    case FIXED:
        is_right = bytes->len == field->max;
        rw_pack_bin(packer, bytes->data, is_right ? bytes->len : 0);
        break;
    case UUID:
        rw_pack_bin(packer, member, sizeof(struct rw_uuid));
        break;
    case FLAG:
        rw_pack_bool(packer, *(const bool *)member);
        break;
    case UINT:
        is_right = get_uint(member, field->size) <= field->max;
        rw_pack_uint(packer, get_uint(member, field->size));
        break;
    case NAME:
        is_right = get_uint(member, field->size) < field->max;
        rw_pack_text(packer, is_right ? field->names[get_uint(member, field->size)] : "");
        break;
    case TEXT:
    case TRACE:
        is_right = strnlen(text, field->size) < field->size && rw_utf8_is_all(text, strlen(text));
        rw_pack_text(packer, is_right ? text : "");
        break;
    case USAGE:
        rw_pack_map(packer, RW_ARRAY_SIZE(usage_fields));
        return write_fields(packer, usage_fields, RW_ARRAY_SIZE(usage_fields), member, err);
    }
    return is_right ? 0 : rw_fail(err, INTERNAL, "%s is out of range", field->key);
}

static int write_fields(struct rw_packer *packer, const struct field *fields, size_t n_fields, const void *base,
                        struct rw_error *err)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (!is_there(&fields[i], base)) {
            continue;
        }
        rw_pack_text(packer, fields[i].key);
        if (write_field(packer, &fields[i], (const char *)base + fields[i].offset, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static const struct shape *shape_of(const struct rw_message *message)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(shapes); i++) {
        bool is_other_hello = message->type == RW_MESSAGE_HELLO && message->proof.len != 0 &&
                              shapes[i].fields == scheduler_hello_fields;
        if (shapes[i].type == message->type && !is_other_hello) {
            return &shapes[i];
        }
    }
    return NULL;
}

static int write_message(const struct rw_message *message, struct rw_buffer *out, struct rw_error *err)
{
    const struct shape *shape = shape_of(message);
    if (!shape) {
        return rw_fail(err, INTERNAL, "a message of unknown type");
    }
    size_t start = out->len;
    uint8_t header[RW_FRAME_HEADER_BYTES] = {0};
    if (rw_buffer_append(out, header, sizeof(header), err) < 0) {
        return -1;
    }
    size_t n_pairs = 1;
    for (size_t i = 0; i < shape->n_fields; i++) {
        n_pairs += is_there(&shape->fields[i], message);
    }
    struct rw_packer packer;
    rw_packer_init(&packer, out, err);
    rw_pack_map(&packer, n_pairs);
    rw_pack_text(&packer, "type");
    rw_pack_text(&packer, shape->name);
    if (write_fields(&packer, shape->fields, shape->n_fields, message, err) < 0 || packer.has_failed) {
        return -1;
    }
    rw_frame_header(out->len - start - sizeof(header), header);
    memcpy(out->data + start, header, sizeof(header));
    return 0;
}

int rw_message_encode(const struct rw_message *message, struct rw_buffer *out, struct rw_error *err)
{
    size_t start = out->len;
    if (write_message(message, out, err) < 0) {
        out->len = start; /* no half message is ever sent */
        return -1;
    }
    return 0;
}

static int read_map(const msgpack_object *object, const struct shape *shape, void *base, struct rw_error *err);

static bool is_name(const msgpack_object *object, const char *name)
{
    return strlen(name) == object->via.str.size && memcmp(object->via.str.ptr, name, object->via.str.size) == 0;
}

static bool read_name(const msgpack_object *object, const struct field *field, void *member)
{
    for (size_t i = 0; i < field->max; i++) {
        if (is_name(object, field->names[i])) {
            set_uint(member, field->size, i);
            return true;
        }
    }
    return false;
}

static bool read_text(const msgpack_object *object, const struct field *field, char *member)
{
    size_t len = object->via.str.size;
    struct rw_trace trace;
    if (len >= field->size || !rw_utf8_is_all(object->via.str.ptr, len)) {
        return false;
    }
    memcpy(member, object->via.str.ptr, len);
    member[len] = '\0';
    return field->kind != TRACE || len == 0 || rw_trace_parse(member, &trace, NULL) == 0;
}

/* The object is of the kind's MessagePack type. */
static int read_field(const msgpack_object *object, const struct field *field, void *member, struct rw_error *err)
{
    static const struct shape usage = SHAPE(RW_MESSAGE_RESULT, NULL, usage_fields);
    bool is_right = true;
    switch (field->kind) {
    case FIXED:
    case DATA:
        is_right = field->kind == FIXED ? object->via.bin.size == field->max : object->via.bin.size <= field->max;
        *(struct rw_bytes *)member = rw_bytes_of(object->via.bin.ptr, object->via.bin.size);
        break;
    case UUID:
        is_right = object->via.bin.size == sizeof(struct rw_uuid);
        if (is_right) {
            memcpy(member, object->via.bin.ptr, sizeof(struct rw_uuid));
        }
        break;
    case FLAG:
        *(bool *)member = object->via.boolean;
        break;
    case UINT:
        is_right = object->via.u64 <= field->max;
        set_uint(member, field->size, object->via.u64);
        break;
    case NAME:
        is_right = read_name(object, field, member);
        break;
    case TEXT:
    case TRACE:
        is_right = read_text(object, field, member);
        break;
    case USAGE:
        return read_map(object, &usage, member, err);
    }
    return is_right ? 0 : rw_fail(err, PROTOCOL, "%s is not permitted", field->key);
}

/* Every key of a map but no other; a message's map has "type" besides. */
static int read_map(const msgpack_object *object, const struct shape *shape, void *base, struct rw_error *err)
{
    struct rw_unpack_key keys[RW_UNPACK_KEYS_MAX];
    const msgpack_object *values[RW_UNPACK_KEYS_MAX];
    size_t n_keys = 0;
    for (; n_keys < shape->n_fields; n_keys++) {
        const struct field *field = &shape->fields[n_keys];
        keys[n_keys] = (struct rw_unpack_key){field->key, kind_types[field->kind], field->offset_present != 0};
    }
    if (shape->name) {
        keys[n_keys++] = (struct rw_unpack_key){"type", MSGPACK_OBJECT_STR, false};
    }
    if (rw_unpack_map(object, keys, n_keys, values, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        if (field->offset_present) {
            *(bool *)((char *)base + field->offset_present) = values[i] != NULL;
        }
        if (values[i] && read_field(values[i], field, (char *)base + field->offset, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The shape that a map's "type" names; of the two hellos the runner's when there is a proof. NULL: none. */
static const struct shape *shape_of_map(const msgpack_object *object)
{
    const msgpack_object *type = rw_unpack_find(object, "type");
    if (!type || type->type != MSGPACK_OBJECT_STR) {
        return NULL;
    }
    bool has_proof = rw_unpack_find(object, "proof") != NULL;
    for (size_t i = 0; i < RW_ARRAY_SIZE(shapes); i++) {
        if (is_name(type, shapes[i].name) && !(has_proof && shapes[i].fields == scheduler_hello_fields)) {
            return &shapes[i];
        }
    }
    return NULL;
}

int rw_message_decode(struct rw_bytes payload, struct rw_message *ret_message, struct rw_error *err)
{
    static const struct rw_unpack_limits limits = {.depth_max = DEPTH_MAX, .values_max = VALUES_MAX};
    RW_AUTO_UNPACKED msgpack_unpacked unpacked = {0};
    if (rw_unpack(payload, &limits, &unpacked, err) < 0) {
        return rw_error_wrap(err, "message");
    }
    const struct shape *shape = shape_of_map(&unpacked.data);
    if (!shape) {
        return rw_fail(err, PROTOCOL, "a message of unknown type");
    }
    struct rw_message message = {.type = shape->type};
    if (read_map(&unpacked.data, shape, &message, err) < 0) {
        return rw_error_wrap(err, "message %s", shape->name);
    }
    *ret_message = message;
    return 0;
}

/* What a proof is a keyed hash of. */
struct proof_text {
    uint8_t data[sizeof("scheduler") + 2 * RW_NONCE_BYTES + sizeof(struct rw_uuid)];
    size_t len;
};

static void add(struct proof_text *text, const void *data, size_t len)
{
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

void rw_proof_make(const uint8_t secret[static RW_POD_SECRET_BYTES], enum rw_role role,
                   const uint8_t scheduler_nonce[static RW_NONCE_BYTES], const uint8_t runner_nonce[static RW_NONCE_BYTES],
                   const struct rw_uuid *lease_id, uint8_t out[static RW_PROOF_BYTES])
{
    _Static_assert(crypto_auth_BYTES == RW_PROOF_BYTES && crypto_auth_KEYBYTES == RW_POD_SECRET_BYTES, "libsodium's sizes");
    const char *name = role == RW_ROLE_RUNNER ? "runner" : "scheduler";
    struct proof_text text = {.len = 0};
    add(&text, name, strlen(name) + 1); /* its NUL ends the role */
    add(&text, scheduler_nonce, RW_NONCE_BYTES);
    add(&text, runner_nonce, RW_NONCE_BYTES);
    add(&text, lease_id->bytes, sizeof(lease_id->bytes));
    (void)crypto_auth(out, text.data, text.len, secret); /* plain HMAC-SHA-512: needs no sodium_init, cannot fail */
}

bool rw_proof_check(const uint8_t secret[static RW_POD_SECRET_BYTES], enum rw_role role,
                    const uint8_t scheduler_nonce[static RW_NONCE_BYTES], const uint8_t runner_nonce[static RW_NONCE_BYTES],
                    const struct rw_uuid *lease_id, struct rw_bytes proof)
{
    uint8_t expected[RW_PROOF_BYTES];
    rw_proof_make(secret, role, scheduler_nonce, runner_nonce, lease_id, expected);
    return proof.len == RW_PROOF_BYTES && sodium_memcmp(expected, proof.data, RW_PROOF_BYTES) == 0;
}
