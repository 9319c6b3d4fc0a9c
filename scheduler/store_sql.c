/* The SQL of the scheduler: docs/delivery.md explains each. Rules: one statement is one transaction; every change of a claimed
 * task names its fence; only the database's clock counts; rows are locked FOR NO KEY UPDATE, so that results may refer to them
 * meanwhile, and SKIP LOCKED in the batches, so that two schedulers never wait for each other. */
#include "store_internal.h"

#define MILLISECONDS " * interval '1 millisecond'"

/* After how many attempts a task is dead. */
#define ATTEMPTS_MAX "3"
_Static_assert(RW_TASK_ATTEMPTS_MAX == 3, "the SQL and rw/task.h must agree");

const struct rw_pg_statement store_sql[_STORE_SQL_MAX] = {
    /* A repeated claim of unknown outcome finds the row running with this very owner: it takes it again without counting twice. */
    [STORE_SQL_CLAIM] = {"claim",
                         "UPDATE tasks SET attempt = attempt + CASE WHEN state = 'running' AND owner = $2 THEN 0 ELSE 1 END,"
                         " state = 'running', fence = nextval('task_fence'), owner = $2, claimed_at = now(),"
                         " lease_until = now() + $3::int4" MILLISECONDS
                         " WHERE id = $1::uuid AND (state = 'queued' OR (state = 'running' AND (owner = $2::text"
                         " OR (lease_until < now() AND attempt < " ATTEMPTS_MAX "))))"
                         " RETURNING attempt, fence, language, version, traceparent, job, submitted_at, claimed_at, isolation",
                         3},
    [STORE_SQL_RECORD] = {"record",
                          "WITH done AS (UPDATE tasks SET state = 'done', ended_at = now(), lease_until = NULL"
                          " WHERE id = $1::uuid AND fence = $2::int8 AND state = 'running' RETURNING id, attempt)"
                          " INSERT INTO results (task_id, attempt, verdict, exit_code, signal, stdout, stderr, compile_output,"
                          " stdout_truncated, stderr_truncated, compile_truncated, reason, wall_us, cpu_us, memory_bytes,"
                          " compile_wall_us, compile_cpu_us, compile_memory_bytes, leased_at, job_sent_at, started_at, finished_at)"
                          " SELECT id, attempt, $3::text, $4::int4, $5::int4, $6::bytea, $7::bytea, $8::bytea, $9::bool, $10::bool,"
                          " $11::bool, $12::text, $13::int8, $14::int8, $15::int8, $16::int8, $17::int8, $18::int8,"
                          " $19::timestamptz, $20::timestamptz, $21::timestamptz, $22::timestamptz FROM done"
                          " RETURNING now()", /* = ended_at */
                          22},
    [STORE_SQL_LOSE] = {"lose",
                        "WITH lost AS (UPDATE tasks SET state = CASE WHEN attempt < " ATTEMPTS_MAX " THEN 'queued' ELSE 'dead' END,"
                        " ended_at = CASE WHEN attempt < " ATTEMPTS_MAX " THEN NULL ELSE now() END,"
                        " publish_due = now(), publish_count = 0, lease_until = NULL"
                        " WHERE id = $1::uuid AND fence = $2::int8 AND state = 'running' RETURNING id, attempt, state),"
                        " written AS (INSERT INTO results (task_id, attempt, reason)"
                        " SELECT id, attempt, $3::text FROM lost WHERE state = 'dead')"
                        " SELECT state FROM lost",
                        3},
    [STORE_SQL_RETURN] = {"return",
                          "UPDATE tasks SET state = 'queued', attempt = attempt - 1, publish_count = 0, lease_until = NULL,"
                          " publish_due = now() + $3::int4" MILLISECONDS
                          " WHERE id = $1::uuid AND fence = $2::int8 AND state = 'running' RETURNING state",
                          3},
    [STORE_SQL_READ] = {"read", "SELECT state FROM tasks WHERE id = $1::uuid AND fence = $2::int8 AND state <> 'running'", 2},
    [STORE_SQL_RENEW] = {"renew",
                         "UPDATE tasks t SET lease_until = now() + $3::int4" MILLISECONDS
                         " FROM unnest($1::uuid[], $2::int8[]) AS held (id, fence)"
                         " WHERE t.id = held.id AND t.fence = held.fence AND t.state = 'running' RETURNING t.id, t.fence",
                         3},
    /* The row is due again in 5 s unless the publish is confirmed and marked. */
    [STORE_SQL_SWEEP] = {"sweep",
                         "WITH due AS (SELECT id FROM tasks WHERE state = 'queued' AND publish_due <= now()"
                         " ORDER BY publish_due LIMIT $1::int4 FOR NO KEY UPDATE SKIP LOCKED)"
                         " UPDATE tasks t SET publish_due = now() + interval '5 s' FROM due WHERE t.id = due.id"
                         " RETURNING t.id, t.language, t.priority::int4, t.traceparent",
                         1},
    /* A row that is due was queued again since: it must not count as published. */
    [STORE_SQL_MARK] = {"mark",
                        "WITH published AS (SELECT id FROM tasks WHERE id = ANY ($1::uuid[]) AND state = 'queued'"
                        " AND publish_due > now()"
                        " FOR NO KEY UPDATE SKIP LOCKED)"
                        " UPDATE tasks t SET publish_due = now() + $2::int8 * (1 << least(publish_count, 6))" MILLISECONDS
                        ", publish_count = least(publish_count + 1, 1000) FROM published WHERE t.id = published.id",
                        2},
    [STORE_SQL_RECONCILE] = {"reconcile",
                             "WITH expired AS (SELECT id FROM tasks WHERE state = 'running' AND lease_until < now()"
                             " ORDER BY lease_until LIMIT $1::int4 FOR NO KEY UPDATE SKIP LOCKED),"
                             " moved AS (UPDATE tasks t SET state = CASE WHEN attempt < " ATTEMPTS_MAX
                             " THEN 'queued' ELSE 'dead' END, ended_at = CASE WHEN attempt < " ATTEMPTS_MAX
                             " THEN NULL ELSE now() END,"
                             " publish_due = now(), publish_count = 0, lease_until = NULL FROM expired"
                             " WHERE t.id = expired.id RETURNING t.id, t.attempt, t.state, t.language, t.traceparent),"
                             " written AS (INSERT INTO results (task_id, attempt, reason)"
                             " SELECT id, attempt, $2::text FROM moved WHERE state = 'dead')"
                             " SELECT id, attempt, state = 'dead', language, traceparent FROM moved",
                             2},
    [STORE_SQL_BURY] = {"bury",
                        "WITH buried AS (UPDATE tasks SET state = 'dead', ended_at = now()"
                        " WHERE id = $1::uuid AND state = 'queued' RETURNING id, attempt)"
                        " INSERT INTO results (task_id, attempt, reason) SELECT id, attempt, $2::text FROM buried",
                        2},
};
