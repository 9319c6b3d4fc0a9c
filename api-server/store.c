/* The api-server's statements. It writes a task at its birth and notes that its id was published; everything else it reads. */
#include "store.h"

#define READ_COLUMNS                                                                                                               \
    "t.state, t.language, t.version, coalesce(r.attempt, t.attempt), t.submitted_at, t.claimed_at, t.ended_at, "                   \
    "r.task_id IS NOT NULL, r.verdict, r.exit_code, r.signal, r.stdout, r.stderr, r.compile_output, r.stdout_truncated, "          \
    "r.stderr_truncated, r.compile_truncated, r.reason, r.wall_us, r.cpu_us, r.memory_bytes, r.compile_wall_us, "                  \
    "r.compile_cpu_us, r.compile_memory_bytes, r.leased_at, r.job_sent_at, r.started_at, r.finished_at"

enum column {
    COLUMN_STATE,
    COLUMN_LANGUAGE,
    COLUMN_VERSION,
    COLUMN_ATTEMPT,
    COLUMN_SUBMITTED_AT,
    COLUMN_CLAIMED_AT,
    COLUMN_ENDED_AT,
    COLUMN_HAS_RESULT,
    COLUMN_VERDICT,
    COLUMN_EXIT_CODE,
    COLUMN_SIGNAL,
    COLUMN_STDOUT,
    COLUMN_STDERR,
    COLUMN_COMPILE_OUTPUT,
    COLUMN_STDOUT_TRUNCATED,
    COLUMN_STDERR_TRUNCATED,
    COLUMN_COMPILE_TRUNCATED,
    COLUMN_REASON,
    COLUMN_WALL_US,
    COLUMN_CPU_US,
    COLUMN_MEMORY_BYTES,
    COLUMN_COMPILE_WALL_US,
    COLUMN_COMPILE_CPU_US,
    COLUMN_COMPILE_MEMORY_BYTES,
    COLUMN_LEASED_AT,
    COLUMN_JOB_SENT_AT,
    COLUMN_STARTED_AT,
    COLUMN_FINISHED_AT,
};

const struct rw_pg_statement store_statements[_STORE_MAX] = {
    /* publish_due: if the publish that follows is not confirmed by then, the scheduler's sweep publishes it. */
    [STORE_INSERT] = {"api_insert",
                      "INSERT INTO tasks (id, language, version, isolation, publish_due, traceparent, job) "
                      "VALUES ($1::uuid, $2::text, $3::text, $4::text, now() + interval '5 seconds', $5::text, $6::bytea) "
                      "ON CONFLICT (id) DO NOTHING",
                      6},
    [STORE_READ] = {"api_read",
                    "SELECT " READ_COLUMNS " FROM tasks t LEFT JOIN results r ON r.task_id = t.id WHERE t.id = $1::uuid", 1},
    /* A task may be claimed, lost and queued again before this mark comes: only the row as it was born is marked, or a requeued
     * task would count as published. */
    [STORE_MARK] = {"api_mark",
                    "UPDATE tasks SET publish_due = now() + $2::int8 * interval '1 millisecond', publish_count = publish_count + 1 "
                    "WHERE id = ANY($1::uuid[]) AND state = 'queued' AND publish_due = submitted_at + interval '5 seconds'",
                    2},
    [STORE_BACKLOG] = {"api_backlog",
                       "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE state = 'queued' AND publish_count = 0 LIMIT $1::int8) "
                       "AS unpublished",
                       1},
};

static int64_t int8_or(const PGresult *result, int column, int64_t otherwise)
{
    return rw_pg_is_null(result, 0, column) ? otherwise : rw_pg_int8(result, 0, column);
}

static int32_t int4_or(const PGresult *result, int column, int32_t otherwise)
{
    return rw_pg_is_null(result, 0, column) ? otherwise : rw_pg_int4(result, 0, column);
}

size_t store_row_bytes(const PGresult *result)
{
    static const enum column outputs[] = {COLUMN_STDOUT, COLUMN_STDERR, COLUMN_COMPILE_OUTPUT};
    size_t bytes = 0;
    for (size_t i = 0; i < RW_ARRAY_SIZE(outputs); i++) {
        bytes += (size_t)PQgetlength(result, 0, (int)outputs[i]);
    }
    return bytes;
}

void store_read_row(const PGresult *result, struct rw_task_row *ret_row)
{
    struct rw_task_row row = {
        .state = rw_task_state_parse(rw_pg_text(result, 0, COLUMN_STATE)),
        .language = rw_pg_text(result, 0, COLUMN_LANGUAGE),
        .version = rw_pg_text(result, 0, COLUMN_VERSION),
        .attempt = rw_pg_int4(result, 0, COLUMN_ATTEMPT),
        .submitted_us = rw_pg_timestamp_us(result, 0, COLUMN_SUBMITTED_AT),
        .claimed_us = rw_pg_timestamp_us(result, 0, COLUMN_CLAIMED_AT),
        .ended_us = rw_pg_timestamp_us(result, 0, COLUMN_ENDED_AT),
        .has_result = rw_pg_bool(result, 0, COLUMN_HAS_RESULT),
        .verdict = _RW_VERDICT_INVALID,
    };
    if (row.has_result) {
        const char *verdict = rw_pg_text(result, 0, COLUMN_VERDICT);
        row.verdict = verdict ? rw_verdict_parse(verdict) : _RW_VERDICT_INVALID;
        row.has_exit_code = !rw_pg_is_null(result, 0, COLUMN_EXIT_CODE);
        row.exit_code = int4_or(result, COLUMN_EXIT_CODE, 0);
        row.signal = int4_or(result, COLUMN_SIGNAL, 0);
        row.stdout_bytes = rw_pg_bytes(result, 0, COLUMN_STDOUT);
        row.stderr_bytes = rw_pg_bytes(result, 0, COLUMN_STDERR);
        row.compile_output = rw_pg_bytes(result, 0, COLUMN_COMPILE_OUTPUT);
        row.stdout_truncated = rw_pg_bool(result, 0, COLUMN_STDOUT_TRUNCATED);
        row.stderr_truncated = rw_pg_bool(result, 0, COLUMN_STDERR_TRUNCATED);
        row.compile_truncated = rw_pg_bool(result, 0, COLUMN_COMPILE_TRUNCATED);
        row.reason = rw_pg_text(result, 0, COLUMN_REASON);
        row.wall_us = int8_or(result, COLUMN_WALL_US, -1);
        row.cpu_us = int8_or(result, COLUMN_CPU_US, -1);
        row.memory_bytes = int8_or(result, COLUMN_MEMORY_BYTES, -1);
        row.compile_wall_us = int8_or(result, COLUMN_COMPILE_WALL_US, -1);
        row.compile_cpu_us = int8_or(result, COLUMN_COMPILE_CPU_US, -1);
        row.compile_memory_bytes = int8_or(result, COLUMN_COMPILE_MEMORY_BYTES, -1);
        row.leased_us = rw_pg_timestamp_us(result, 0, COLUMN_LEASED_AT);
        row.job_sent_us = rw_pg_timestamp_us(result, 0, COLUMN_JOB_SENT_AT);
        row.started_us = rw_pg_timestamp_us(result, 0, COLUMN_STARTED_AT);
        row.finished_us = rw_pg_timestamp_us(result, 0, COLUMN_FINISHED_AT);
    }
    *ret_row = row;
}
