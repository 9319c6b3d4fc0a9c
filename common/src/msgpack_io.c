/* MessagePack on top of msgpack-c. That library takes memory for as many elements as an array announces, before it has seen
 * one, so a document is walked first: the walk counts every value and checks every length against the bytes that are there.
 * Nil, floats and extensions are refused in the walk; no message or job uses them. */
#include "msgpack_io.h"

#include <string.h>

enum { DEPTH_MAX = 8 };

static int write_to_buffer(void *context, const char *data, size_t len)
{
    struct rw_packer *packer = context;
    if (packer->has_failed || rw_buffer_append(packer->out, data, len, packer->err) < 0) {
        packer->has_failed = true;
        return -1;
    }
    return 0;
}

void rw_packer_init(struct rw_packer *packer, struct rw_buffer *out, struct rw_error *err)
{
    packer->out = out;
    packer->err = err;
    packer->has_failed = false;
    msgpack_packer_init(&packer->packer, packer, write_to_buffer);
}

void rw_pack_map(struct rw_packer *packer, size_t n_pairs)
{
    (void)msgpack_pack_map(&packer->packer, n_pairs);
}

void rw_pack_array(struct rw_packer *packer, size_t n_elements)
{
    (void)msgpack_pack_array(&packer->packer, n_elements);
}

void rw_pack_text(struct rw_packer *packer, const char *text)
{
    size_t len = strlen(text);
    (void)msgpack_pack_str(&packer->packer, len);
    (void)msgpack_pack_str_body(&packer->packer, text, len);
}

void rw_pack_bin(struct rw_packer *packer, const void *data, size_t len)
{
    (void)msgpack_pack_bin(&packer->packer, len);
    if (len) {
        (void)msgpack_pack_bin_body(&packer->packer, data, len);
    }
}

void rw_pack_uint(struct rw_packer *packer, uint64_t value)
{
    (void)msgpack_pack_uint64(&packer->packer, value);
}

void rw_pack_bool(struct rw_packer *packer, bool value)
{
    (void)(value ? msgpack_pack_true(&packer->packer) : msgpack_pack_false(&packer->packer));
}

/* The head of one value: what follows it. */
struct head {
    size_t n_bytes;    /* of the value itself, to be skipped */
    uint64_t n_values; /* values inside it */
};

/* Formats 0xC0 to 0xDF by the specification. */
enum shape { REFUSED, PLAIN, BYTES, ARRAY, MAP };
static const struct {
    enum shape shape;
    uint8_t n_bytes; /* PLAIN: of the value; else: of the length that follows */
} formats[32] = {
    [0x02] = {PLAIN, 0}, [0x03] = {PLAIN, 0},                                           /* false, true */
    [0x04] = {BYTES, 1}, [0x05] = {BYTES, 2}, [0x06] = {BYTES, 4},                      /* bin */
    [0x0C] = {PLAIN, 1}, [0x0D] = {PLAIN, 2}, [0x0E] = {PLAIN, 4}, [0x0F] = {PLAIN, 8}, /* uint */
    [0x10] = {PLAIN, 1}, [0x11] = {PLAIN, 2}, [0x12] = {PLAIN, 4}, [0x13] = {PLAIN, 8}, /* int */
    [0x19] = {BYTES, 1}, [0x1A] = {BYTES, 2}, [0x1B] = {BYTES, 4},                      /* str */
    [0x1C] = {ARRAY, 2}, [0x1D] = {ARRAY, 4},                                           /* array */
    [0x1E] = {MAP, 2},   [0x1F] = {MAP, 4},                                             /* map */
};

/* Read the head at the front; returns its bytes, 0 when it is cut off or of a refused format. */
static size_t read_head(const uint8_t *data, size_t len, struct head *ret_head)
{
    uint8_t first = data[0];
    *ret_head = (struct head){0};
    if (first < 0x80 || first >= 0xE0) { /* small integers */
        return 1;
    }
    if (first < 0xA0) {
        ret_head->n_values = (uint64_t)(first & 0x0F) * (first < 0x90 ? 2 : 1);
        return 1;
    }
    if (first < 0xC0) {
        ret_head->n_bytes = first & 0x1F;
        return 1;
    }
    enum shape shape = formats[first - 0xC0].shape;
    size_t n_bytes = formats[first - 0xC0].n_bytes;
    if (shape == REFUSED || len - 1 < n_bytes) {
        return 0;
    }
    if (shape == PLAIN) {
        ret_head->n_bytes = n_bytes;
        return 1;
    }
    uint64_t announced = 0;
    for (size_t i = 1; i <= n_bytes; i++) {
        announced = announced << 8 | data[i];
    }
    if (shape == BYTES) {
        ret_head->n_bytes = announced;
    } else {
        ret_head->n_values = announced * (shape == MAP ? 2 : 1);
    }
    return 1 + n_bytes;
}

static int walk(struct rw_bytes bytes, const struct rw_unpack_limits *limits, struct rw_error *err)
{
    uint64_t open[DEPTH_MAX + 1] = {1}; /* values still to come at each depth */
    size_t depth = 0;
    size_t place = 0;
    uint64_t n_values = 1;
    while (depth || open[0]) {
        if (open[depth] == 0) {
            depth--;
            continue;
        }
        open[depth]--;
        struct head head;
        size_t head_len = place < bytes.len ? read_head(bytes.data + place, bytes.len - place, &head) : 0;
        if (head_len == 0 || head.n_bytes > bytes.len - place - head_len) {
            return rw_fail(err, PROTOCOL, "MessagePack cut off or of a refused format at byte %zu", place);
        }
        place += head_len + head.n_bytes;
        n_values += head.n_values;
        if (n_values > limits->values_max) {
            return rw_fail(err, PROTOCOL, "more than %u MessagePack values", limits->values_max);
        }
        if (head.n_values) {
            if (depth >= limits->depth_max || depth >= DEPTH_MAX) {
                return rw_fail(err, PROTOCOL, "MessagePack nested more than %u deep", limits->depth_max);
            }
            open[++depth] = head.n_values;
        }
    }
    if (place != bytes.len) {
        return rw_fail(err, PROTOCOL, "%zu bytes after the MessagePack document", bytes.len - place);
    }
    return 0;
}

int rw_unpack(struct rw_bytes bytes, const struct rw_unpack_limits *limits, msgpack_unpacked *ret_unpacked, struct rw_error *err)
{
    if (walk(bytes, limits, err) < 0) {
        return -1;
    }
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t place = 0;
    msgpack_unpack_return outcome = msgpack_unpack_next(&unpacked, (const char *)bytes.data, bytes.len, &place);
    if (outcome != MSGPACK_UNPACK_SUCCESS || place != bytes.len) {
        msgpack_unpacked_destroy(&unpacked);
        return rw_fail(err, PROTOCOL, "not one MessagePack document");
    }
    *ret_unpacked = unpacked;
    return 0;
}

static bool is_key(const msgpack_object *key, const char *name)
{
    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(name) &&
           memcmp(key->via.str.ptr, name, key->via.str.size) == 0;
}

const msgpack_object *rw_unpack_find(const msgpack_object *object, const char *name)
{
    for (uint32_t i = 0; object->type == MSGPACK_OBJECT_MAP && i < object->via.map.size; i++) {
        if (is_key(&object->via.map.ptr[i].key, name)) {
            return &object->via.map.ptr[i].val;
        }
    }
    return NULL;
}

static size_t find_key(const msgpack_object *key, const struct rw_unpack_key *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (is_key(key, keys[i].name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

int rw_unpack_map(const msgpack_object *object, const struct rw_unpack_key *keys, size_t n_keys, const msgpack_object **ret_values,
                  struct rw_error *err)
{
    if (object->type != MSGPACK_OBJECT_MAP) {
        return rw_fail(err, PROTOCOL, "a map is expected");
    }
    const msgpack_object *values[RW_UNPACK_KEYS_MAX] = {0};
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        size_t key = find_key(&pair->key, keys, n_keys);
        if (key == SIZE_MAX) {
            return rw_fail(err, PROTOCOL, "unknown key in a map");
        }
        if (values[key]) {
            return rw_fail(err, PROTOCOL, "key %s is doubled", keys[key].name);
        }
        if (pair->val.type != keys[key].type) {
            return rw_fail(err, PROTOCOL, "key %s is of another type", keys[key].name);
        }
        values[key] = &pair->val;
    }
    for (size_t i = 0; i < n_keys; i++) {
        if (!values[i] && !keys[i].is_optional) {
            return rw_fail(err, PROTOCOL, "key %s is missing", keys[i].name);
        }
        ret_values[i] = values[i];
    }
    return 0;
}
