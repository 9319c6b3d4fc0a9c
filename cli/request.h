/* The body of POST /submit, made from the options; and the language guessed from a file's extension. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include <rw/json.h>

#include "options.h"

/* The id of the one language of GET /languages' answer that has this file's extension; borrowed from languages.
 * NOT_FOUND when none has, CONFLICT when several have. */
RW_NODISCARD int request_guess_language(const cJSON *languages, const char *file, const char **ret_language, struct rw_error *err);

/* Reads the files and the standard input that the options name. INVALID, NOT_FOUND, IO, TOO_LARGE. *ret_body owned by the
 * caller. */
RW_NODISCARD int request_build(const struct cli_options *options, const char *language, cJSON **ret_body, struct rw_error *err);

#endif
