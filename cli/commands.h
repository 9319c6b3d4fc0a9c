/* The commands of `runwave`. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdio.h>

#include "options.h"

/* Carries the command out; returns the exit status. Failures are told on log. */
int commands_run(const struct cli_options *options, FILE *out, FILE *log);

#endif
