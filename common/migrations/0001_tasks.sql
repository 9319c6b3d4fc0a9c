-- Tasks and their results. The task's row is its own outbox: publish_due says when a queued task's id has to be published (again).

CREATE SEQUENCE task_fence AS bigint;

CREATE TABLE tasks (
    id            uuid PRIMARY KEY,
    language      text NOT NULL,
    version       text NOT NULL,
    priority      smallint NOT NULL DEFAULT 1,  -- enum rw_priority: 0 high, 1 normal, 2 low
    isolation     text NOT NULL DEFAULT '',     -- asked for; '': what the pod-manager usually gives
    state         text NOT NULL DEFAULT 'queued'
                  CHECK (state IN ('queued', 'running', 'done', 'cancelled', 'dead')),
    attempt       integer NOT NULL DEFAULT 0,   -- attempts begun
    fence         bigint,                       -- token of the attempt that holds the task
    owner         text,                         -- scheduler that holds it, for people
    lease_until   timestamptz,                  -- while running: after it the attempt counts as lost
    publish_due   timestamptz NOT NULL,         -- while queued: publish when it is past
    publish_count smallint NOT NULL DEFAULT 0,  -- confirmed publishes since the task was last queued
    traceparent   text NOT NULL DEFAULT '',
    job           bytea NOT NULL,               -- MessagePack, see common/include/rw/job.h
    submitted_at  timestamptz NOT NULL DEFAULT now(),
    claimed_at    timestamptz,                  -- of the newest attempt
    ended_at      timestamptz                   -- set with the final state
) WITH (fillfactor = 70);

CREATE INDEX tasks_publish_due ON tasks (publish_due) WHERE state = 'queued';
CREATE INDEX tasks_lease_until ON tasks (lease_until) WHERE state = 'running';

-- Written once, in the statement that makes the task final.
CREATE TABLE results (
    task_id              uuid PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    attempt              integer NOT NULL,
    verdict              text CHECK (verdict IN ('ok', 'wrong_answer', 'compile_error', 'runtime_error', 'signalled',
                                                 'time_limit', 'memory_limit', 'output_limit', 'internal_error')),
    exit_code            integer,
    signal               integer,
    stdout               bytea NOT NULL DEFAULT '',
    stderr               bytea NOT NULL DEFAULT '',
    compile_output       bytea NOT NULL DEFAULT '',
    stdout_truncated     boolean NOT NULL DEFAULT false,
    stderr_truncated     boolean NOT NULL DEFAULT false,
    compile_truncated    boolean NOT NULL DEFAULT false,
    reason               text NOT NULL DEFAULT '', -- one line for people; why a dead task is dead
    wall_us              bigint,                   -- of the run stage
    cpu_us               bigint,
    memory_bytes         bigint,
    compile_wall_us      bigint,
    compile_cpu_us       bigint,
    compile_memory_bytes bigint,
    leased_at            timestamptz,              -- a pod was leased
    job_sent_at          timestamptz,              -- the runner had proved itself and was sent the job
    started_at           timestamptz,              -- the code itself began to run
    finished_at          timestamptz               -- its result reached the scheduler
);

-- A final task is immutable, whatever a program does.
CREATE FUNCTION tasks_final_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'task % is final', OLD.id USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER tasks_final_is_immutable BEFORE UPDATE ON tasks
    FOR EACH ROW WHEN (OLD.state IN ('done', 'cancelled', 'dead')) EXECUTE FUNCTION tasks_final_is_immutable();

CREATE FUNCTION results_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'result of task % is recorded', OLD.task_id USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER results_are_immutable BEFORE UPDATE ON results
    FOR EACH ROW EXECUTE FUNCTION results_are_immutable();
