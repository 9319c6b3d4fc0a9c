/* The runner's command line and secret. */
#ifndef RUNNER_OPTIONS_H
#define RUNNER_OPTIONS_H

#include <sys/types.h>

#include <rw/error.h>
#include <rw/runner_protocol.h>

#include "layers.h"
#include "sandbox.h"

enum options_mode { OPTIONS_RUN, OPTIONS_PROBE, OPTIONS_SWEEP, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    enum options_mode mode;
    const char *pod;    /* for the log */
    const char *listen; /* run: the address */
    const char *cgroup; /* NULL: none */
    const char *sweep;  /* sweep: the cgroup's name */
    const struct sandbox_strategy *strategy;
    int secret_fd;           /* -1: the secret is in the environment */
    const char *secret_file; /* or here; NULL: not */
    int control_fd;          /* -1: none */
    uint32_t slots;          /* jobs at a time */
    uint32_t uses;           /* jobs in its life; 0: no end */
    bool is_worker;          /* not an option: a steward's, for one job */
    struct layers required;
    bool has_uid_base;
    uid_t uid_base;
    const char *warm; /* base64 of a plan (warm.h); NULL: none */
};

enum { OPTIONS_SLOTS_MAX = 64, OPTIONS_USES_MAX = 1000000000 };

extern const char options_help[];

/* Borrows from argv. CONFIG. */
RW_NODISCARD int options_parse(int argc, char **argv, struct options *ret_options, struct rw_error *err);
/* Whether one attempt is not all. */
bool options_has_steward(const struct options *options);
/* Read the secret from its descriptor (and close that) or from RUNWAVE_POD_SECRET. CONFIG. */
RW_NODISCARD int options_read_secret(const struct options *options, uint8_t secret[static RW_POD_SECRET_BYTES],
                                     struct rw_error *err);
/* Overwrite and empty the environment: nothing of it is needed, and it may have held the secret. */
void options_wipe_environment(void);

#endif
