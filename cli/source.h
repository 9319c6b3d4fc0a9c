/* The files that a user names on the command line: what they are called inside the task, and what they hold. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <rw/bytes.h>
#include <rw/job.h>

/* The name a file gets in the task: its path beneath the first file's folder, else its last part. Borrowed from path. */
const char *source_name(const char *first_path, const char *path);

/* Append the whole of a file ("-": standard input) to *out, up to out->len_max. NOT_FOUND, IO, TOO_LARGE. */
RW_NODISCARD int source_read(const char *path, struct rw_buffer *out, struct rw_error *err);

#endif
