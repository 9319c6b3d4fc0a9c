/* `runwave`, the command line client. Theory of operation: options.c reads the command line, commands.c asks the server over
 * transport.c (one blocking libcurl handle, one thread), request.c makes what is sent, and result.c what is printed. The program's
 * stdout comes out on stdout as the bytes it printed; everything else, the verdict included, goes to stderr; the exit status
 * tells the verdict (docs/cli.md). */
#include <curl/curl.h>

#include "commands.h"
#include "result.h"

int main(int argc, char **argv)
{
    struct rw_error err = {0};
    struct cli_options options;
    if (options_parse(argc, argv, &options, &err) < 0) {
        (void)fprintf(stderr, "runwave: %s\n", err.message);
        return CLI_EXIT_USAGE;
    }
    int status = CLI_EXIT_OK;
    if (options.is_help) {
        options_help(stdout);
    } else if (options.is_version) {
        printf("runwave %s\n", RUNWAVE_VERSION);
    } else {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        status = commands_run(&options, stdout, stderr);
        curl_global_cleanup();
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "runwave: the output could not be written\n");
        return rw_err_exit_code(RW_ERR_IO);
    }
    return status;
}
