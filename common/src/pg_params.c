/* Parameters and results in PostgreSQL's binary format: integers in network order, time as microseconds since 2000-01-01. */
#include "pg_internal.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

#include <rw/bytes.h>

enum { PG_EPOCH_S = 946684800 }; /* 2000-01-01 in Unix time */
enum { INT8_OID = 20, UUID_OID = 2950 };

/* ---- parameters ---- */

/* More parameters than the struct holds is a mistake in the program, which every run of that code shows. */
static unsigned next_slot(struct rw_pg_params *params)
{
    if (params->count >= RW_PG_PARAMS_MAX) {
        abort();
    }
    return params->count++;
}

static void param_view(struct rw_pg_params *params, const void *data, size_t len)
{
    unsigned slot = next_slot(params);
    if (len > INT_MAX) {
        abort();
    }
    /* NULL would mean SQL's NULL: an empty value needs an address too. */
    params->values[slot] = data ? data : (const char *)params->scratch[slot];
    params->lengths[slot] = (int)len;
}

static void param_scratch(struct rw_pg_params *params, const void *data, size_t len)
{
    unsigned slot = next_slot(params);
    memcpy(params->scratch[slot], data, len);
    params->values[slot] = (const char *)params->scratch[slot];
    params->lengths[slot] = (int)len;
}

void rw_pg_param_null(struct rw_pg_params *params)
{
    unsigned slot = next_slot(params);
    params->values[slot] = NULL;
    params->lengths[slot] = 0;
}

void rw_pg_param_text(struct rw_pg_params *params, const char *text)
{
    if (!text) {
        rw_pg_param_null(params);
        return;
    }
    param_view(params, text, strlen(text));
}

void rw_pg_param_bytes(struct rw_pg_params *params, struct rw_bytes bytes)
{
    param_view(params, bytes.data, bytes.len);
}

void rw_pg_param_int4(struct rw_pg_params *params, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);
    param_scratch(params, &wire, sizeof(wire));
}

void rw_pg_param_int8(struct rw_pg_params *params, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    param_scratch(params, &wire, sizeof(wire));
}

void rw_pg_param_bool(struct rw_pg_params *params, bool value)
{
    uint8_t wire = value ? 1 : 0;
    param_scratch(params, &wire, sizeof(wire));
}

void rw_pg_param_uuid(struct rw_pg_params *params, const struct rw_uuid *uuid)
{
    param_scratch(params, uuid->bytes, sizeof(uuid->bytes));
}

void rw_pg_param_timestamp(struct rw_pg_params *params, int64_t realtime_us)
{
    if (realtime_us < 0) {
        rw_pg_param_null(params);
        return;
    }
    rw_pg_param_int8(params, realtime_us - (int64_t)PG_EPOCH_S * 1000000);
}

/* An array of one dimension without NULLs, of n elements of one length whose bytes follow each other in network order. */
static int param_array(struct rw_pg_params *params, uint32_t element_oid, const void *elements, size_t element_len, size_t n,
                       struct rw_buffer *buffer, struct rw_error *err)
{
    rw_buffer_clear(buffer);
    if (n > INT32_MAX) {
        return rw_fail(err, TOO_LARGE, "array of %zu elements", n);
    }
    /* Dimensions, whether there are NULLs, element type; then, unless it is empty, length and lower bound. */
    const uint32_t header[] = {htobe32(n > 0 ? 1 : 0), 0, htobe32(element_oid), htobe32((uint32_t)n), htobe32(1)};
    if (rw_buffer_append(buffer, header, n > 0 ? sizeof(header) : 3 * sizeof(header[0]), err) != 0) {
        return -1;
    }
    const uint32_t wire_len = htobe32((uint32_t)element_len);
    for (size_t i = 0; i < n; i++) {
        if (rw_buffer_append(buffer, &wire_len, sizeof(wire_len), err) != 0 ||
            rw_buffer_append(buffer, (const uint8_t *)elements + i * element_len, element_len, err) != 0) {
            return -1;
        }
    }
    rw_pg_param_bytes(params, rw_buffer_view(buffer));
    return 0;
}

int rw_pg_param_uuid_array(struct rw_pg_params *params, const struct rw_uuid *uuids, size_t n, struct rw_buffer *buffer,
                           struct rw_error *err)
{
    return param_array(params, UUID_OID, uuids, sizeof(*uuids), n, buffer, err);
}

int rw_pg_param_int8_array(struct rw_pg_params *params, const int64_t *values, size_t n, struct rw_buffer *buffer,
                           struct rw_error *err)
{
    RW_AUTO_FREE uint64_t *wire = rw_xcalloc(n + 1, sizeof(*wire));
    for (size_t i = 0; i < n; i++) {
        wire[i] = htobe64((uint64_t)values[i]);
    }
    return param_array(params, INT8_OID, wire, sizeof(*wire), n, buffer, err);
}

struct pg_params_copy *pg_params_copy(const struct rw_pg_params *params)
{
    size_t total = 0;
    for (unsigned i = 0; i < params->count; i++) {
        total += (size_t)params->lengths[i];
    }
    struct pg_params_copy *copy = rw_xmalloc(sizeof(*copy) + total + 1); /* + 1: an empty last value needs an address inside */
    copy->count = params->count;
    char *at = copy->data;
    for (unsigned i = 0; i < params->count; i++) {
        copy->lengths[i] = params->lengths[i];
        copy->values[i] = params->values[i] ? at : NULL;
        if (params->values[i]) {
            memcpy(at, params->values[i], (size_t)params->lengths[i]);
            at += params->lengths[i];
        }
    }
    return copy;
}

/* ---- results ---- */

bool rw_pg_is_null(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) != 0;
}

/* An integer of the width the server sent, so that a column which a newer migration has widened reads right. Anything else is a
 * statement that does not select what its reader expects: a mistake in the program. */
static int64_t read_integer(const PGresult *result, int row, int column)
{
    if (rw_pg_is_null(result, row, column)) {
        return 0;
    }
    const char *value = PQgetvalue(result, row, column);
    uint16_t wire2 = 0;
    uint32_t wire4 = 0;
    uint64_t wire8 = 0;
    switch (PQgetlength(result, row, column)) {
    case 1:
        return *value;
    case sizeof(wire2):
        memcpy(&wire2, value, sizeof(wire2));
        return (int16_t)be16toh(wire2);
    case sizeof(wire4):
        memcpy(&wire4, value, sizeof(wire4));
        return (int32_t)be32toh(wire4);
    case sizeof(wire8):
        memcpy(&wire8, value, sizeof(wire8));
        return (int64_t)be64toh(wire8);
    default:
        abort();
    }
}

int32_t rw_pg_int4(const PGresult *result, int row, int column)
{
    return (int32_t)read_integer(result, row, column);
}

int64_t rw_pg_int8(const PGresult *result, int row, int column)
{
    return read_integer(result, row, column);
}

bool rw_pg_bool(const PGresult *result, int row, int column)
{
    return read_integer(result, row, column) != 0;
}

struct rw_uuid rw_pg_uuid(const PGresult *result, int row, int column)
{
    struct rw_uuid uuid = {.bytes = {0}};
    if (!rw_pg_is_null(result, row, column)) {
        if (PQgetlength(result, row, column) != (int)sizeof(uuid.bytes)) {
            abort();
        }
        memcpy(uuid.bytes, PQgetvalue(result, row, column), sizeof(uuid.bytes));
    }
    return uuid;
}

struct rw_bytes rw_pg_bytes(const PGresult *result, int row, int column)
{
    return rw_bytes_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

const char *rw_pg_text(const PGresult *result, int row, int column)
{
    /* libpq keeps a NUL behind every value. */
    return rw_pg_is_null(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t rw_pg_timestamp_us(const PGresult *result, int row, int column)
{
    if (rw_pg_is_null(result, row, column)) {
        return -1;
    }
    int64_t unix_us = 0;
    /* 'infinity' is the greatest integer. */
    return __builtin_add_overflow(read_integer(result, row, column), (int64_t)PG_EPOCH_S * 1000000, &unix_us) ? INT64_MAX : unix_us;
}

int64_t rw_pg_rows(const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        return PQntuples(result);
    }
    /* The count of a command is text even in the binary format, "" for commands that have none. PQcmdTuples only reads. */
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
}
