/* The messages between a scheduler and a runner, one MessagePack map a frame. docs/runner-protocol.md is the specification.
 *
 *   scheduler -> runner                     runner -> scheduler
 *   hello  {nonce, lease_id}        ->
 *                                   <-      hello {nonce, proof}           proof: the runner knows the pod's secret
 *   job    {proof, task_id, attempt, trace, job}  ->                       proof: the scheduler knows it too
 *                                   <-      started {stage}
 *                                   <-      output {stream, data}          (repeated)
 *   stdin {data, eof}, cancel {}    ->
 *                                   <-      result {...}                   then the runner closes
 *                                   <-      refused {reason}               instead of any of the above: "taken", "proof", ...
 *
 * A proof is crypto_auth (HMAC-SHA-512-256, libsodium) under the pod's secret over: role ("runner" or "scheduler"), the
 * scheduler's nonce, the runner's nonce, the lease id. So an address that now belongs to another pod never receives code. */
#ifndef RW_RUNNER_PROTOCOL_H
#define RW_RUNNER_PROTOCOL_H

#include <rw/bytes.h>
#include <rw/job.h>
#include <rw/task.h>
#include <rw/trace.h>
#include <rw/uuid.h>

enum {
    RW_POD_SECRET_BYTES = 32,
    RW_NONCE_BYTES = 32,
    RW_PROOF_BYTES = 32,
    RW_OUTPUT_CHUNK_BYTES_MAX = 64 * 1024,
    RW_REASON_BYTES_MAX = 256,
};

enum rw_role { RW_ROLE_RUNNER, RW_ROLE_SCHEDULER };
enum rw_stage { RW_STAGE_COMPILE, RW_STAGE_RUN, _RW_STAGE_MAX };
enum rw_stream { RW_STREAM_STDOUT, RW_STREAM_STDERR, RW_STREAM_COMPILE, _RW_STREAM_MAX };

enum rw_message_type {
    RW_MESSAGE_HELLO,
    RW_MESSAGE_JOB,
    RW_MESSAGE_STDIN,
    RW_MESSAGE_CANCEL,
    RW_MESSAGE_STARTED,
    RW_MESSAGE_OUTPUT,
    RW_MESSAGE_RESULT,
    RW_MESSAGE_REFUSED,
    _RW_MESSAGE_MAX
};

struct rw_usage { /* of one stage; what the kernel's counters say */
    uint64_t wall_us;
    uint64_t cpu_user_us;
    uint64_t cpu_system_us;
    uint64_t memory_bytes; /* peak */
    uint64_t processes;    /* peak, processes and threads; 0 when not known */
};

struct rw_run_result {
    enum rw_verdict verdict;
    bool has_exit_code; /* false when a signal ended the code or the run stage never started */
    int exit_code;
    int signal; /* 0 when none */
    bool truncated[_RW_STREAM_MAX];
    bool has_compile;
    struct rw_usage compile;
    struct rw_usage run;
    uint64_t run_started_after_us;    /* from job received to the run stage's exec; 0 when it never started */
    char reason[RW_REASON_BYTES_MAX]; /* one line for people: "compiler killed: wall time", "" when there is nothing to say */
};

/* A decoded message. Byte views are borrowed from the payload that was decoded. */
struct rw_message {
    enum rw_message_type type;
    uint32_t attempt;                 /* job */
    struct rw_bytes nonce;            /* hello: RW_NONCE_BYTES */
    struct rw_bytes proof;            /* runner's hello, job: RW_PROOF_BYTES */
    struct rw_uuid lease_id;          /* scheduler's hello */
    struct rw_uuid task_id;           /* job */
    struct rw_trace trace;            /* job; empty text when absent */
    struct rw_bytes job;              /* job: for rw_job_decode */
    enum rw_stage stage;              /* started */
    enum rw_stream stream;            /* output */
    struct rw_bytes data;             /* output, stdin */
    bool is_eof;                      /* stdin */
    struct rw_run_result result;      /* result */
    char reason[RW_REASON_BYTES_MAX]; /* refused */
};

/* Append header and payload of one message to *out (fields of other types are ignored). TOO_LARGE. */
RW_NODISCARD int rw_message_encode(const struct rw_message *message, struct rw_buffer *out, struct rw_error *err);
/* PROTOCOL when the payload is not exactly one well-formed message: wrong types, missing, unknown or doubled keys, out of range. */
RW_NODISCARD int rw_message_decode(struct rw_bytes payload, struct rw_message *ret_message, struct rw_error *err);

void rw_proof_make(const uint8_t secret[static RW_POD_SECRET_BYTES], enum rw_role role,
                   const uint8_t scheduler_nonce[static RW_NONCE_BYTES], const uint8_t runner_nonce[static RW_NONCE_BYTES],
                   const struct rw_uuid *lease_id, uint8_t out[static RW_PROOF_BYTES]);
/* Compared in constant time. */
bool rw_proof_check(const uint8_t secret[static RW_POD_SECRET_BYTES], enum rw_role role,
                    const uint8_t scheduler_nonce[static RW_NONCE_BYTES], const uint8_t runner_nonce[static RW_NONCE_BYTES],
                    const struct rw_uuid *lease_id, struct rw_bytes proof);

#endif
