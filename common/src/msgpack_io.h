/* MessagePack for the base library: a packer onto a bounded buffer, and an unpacker that trusts nothing. Internal to common/src. */
#ifndef RW_SRC_MSGPACK_IO_H
#define RW_SRC_MSGPACK_IO_H

#include <msgpack.h>

#include <rw/bytes.h>

/* A packer that appends to a buffer; after the first failure (TOO_LARGE) it appends no more and the failure is kept. */
struct rw_packer {
    msgpack_packer packer;
    struct rw_buffer *out;
    struct rw_error *err;
    bool has_failed;
};

void rw_packer_init(struct rw_packer *packer, struct rw_buffer *out, struct rw_error *err);
void rw_pack_map(struct rw_packer *packer, size_t n_pairs);
void rw_pack_array(struct rw_packer *packer, size_t n_elements);
void rw_pack_text(struct rw_packer *packer, const char *text);
void rw_pack_bin(struct rw_packer *packer, const void *data, size_t len);
void rw_pack_uint(struct rw_packer *packer, uint64_t value);
void rw_pack_bool(struct rw_packer *packer, bool value);

/* Bounds of a document; nothing is allocated before they are known to hold. */
struct rw_unpack_limits {
    unsigned depth_max;  /* of nested maps and arrays */
    unsigned values_max; /* keys and values together */
};

/* PROTOCOL unless bytes are exactly one document of maps, arrays, strings, byte strings, booleans and integers within limits.
 * Strings in *ret_unpacked are borrowed from bytes; release with msgpack_unpacked_destroy. */
RW_NODISCARD int rw_unpack(struct rw_bytes bytes, const struct rw_unpack_limits *limits, msgpack_unpacked *ret_unpacked,
                           struct rw_error *err);

enum { RW_UNPACK_KEYS_MAX = 16 };

struct rw_unpack_key {
    const char *name;
    msgpack_object_type type;
    bool is_optional;
};

/* The values of a map's keys in the order of keys, NULL for absent optional ones. PROTOCOL when object is no map, or a key is
 * unknown, doubled, missing or of another type. */
RW_NODISCARD int rw_unpack_map(const msgpack_object *object, const struct rw_unpack_key *keys, size_t n_keys,
                               const msgpack_object **ret_values, struct rw_error *err);

/* The value of the first key of that name; NULL when there is none or object is no map. */
const msgpack_object *rw_unpack_find(const msgpack_object *object, const char *name);

static inline void rw_unpacked_donep(msgpack_unpacked *unpacked)
{
    msgpack_unpacked_destroy(unpacked);
}
#define RW_AUTO_UNPACKED __attribute__((cleanup(rw_unpacked_donep)))

#endif
