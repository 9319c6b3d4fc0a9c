/* The command line by getopt_long. */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rw/auto.h>

enum { UID_BASE_MAX = 0x7ffffff0, SECRET_TEXT_BYTES_MAX = 64 };

const char options_help[] =
    "usage: runwave-runner --pod NAME --listen ADDRESS [--secret-fd N] [options]\n"
    "       runwave-runner --probe [options]\n"
    "       runwave-runner --sweep-cgroup NAME\n"
    "\n"
    "Runs one attempt at one task in a sandbox, then exits; or many, several at a time, each in a sandbox of its own.\n"
    "ADDRESS is fd:N, unix:PATH or tcp:HOST:PORT.\n"
    "\n"
    "  --pod NAME           the pod's name, for the log\n"
    "  --listen ADDRESS     where the scheduler connects\n"
    "  --secret-fd N        the pod's secret, 32 bytes; else base64 in the environment's RUNWAVE_POD_SECRET\n"
    "  --secret-file PATH   the same in a file, which is removed once it is read\n"
    "  --control-fd N       writes 'R' when ready; its end of file means that nobody waits for this pod any more\n"
    "  --sandbox KIND       namespaces (default), or container where the kernel permits none\n"
    "  --slots N            attempts at a time (1); as many sandboxes again are kept prepared\n"
    "  --uses M             attempts in all, then exit (1); 0: no end\n"
    "  --uid-base N         as root: host uids N and N+1 become the sandbox's 0 and 1000; with slots, the 4 times SLOTS ids from N "
    "on\n"
    "  --cgroup NAME        make this cgroup for the sandbox where one can be written, and remove it at the end\n"
    "  --warm PLAN          start the language's runtime ahead, by this plan in base64 (docs/warm.md); else the environment's\n"
    "                       RUNWAVE_WARM\n"
    "  --require LAYERS     do not start without them: any of namespaces,own_uid,seccomp,landlock=LEVEL,cgroup; else from the\n"
    "                       environment's RUNWAVE_REQUIRE\n"
    "  --probe              say as JSON what can be had here; exit status 69 when no sandbox can be made\n"
    "  --sweep-cgroup NAME  kill what is in that cgroup and remove it\n"
    "  --help, --version\n";

static int number_parse(const char *name, const char *text, unsigned long max, unsigned long *ret_number, struct rw_error *err)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > max) {
        return rw_fail(err, CONFIG, "%s wants a number up to %lu", name, max);
    }
    *ret_number = number;
    return 0;
}

static int option_take(struct options *options, int option, const char *value, struct rw_error *err)
{
    unsigned long number = 0;
    switch (option) {
    case 'p':
        options->pod = value;
        return 0;
    case 'l':
        options->listen = value;
        return 0;
    case 's':
        options->strategy = sandbox_strategy_find(value);
        return options->strategy ? 0 : rw_fail(err, CONFIG, "--sandbox is namespaces or container");
    case 'f':
    case 'c':
        if (number_parse("a descriptor option", value, INT32_MAX, &number, err) < 0) {
            return -1;
        }
        *(option == 'f' ? &options->secret_fd : &options->control_fd) = (int)number;
        return 0;
    case 'F':
        options->secret_file = value;
        return 0;
    case 'u':
        options->has_uid_base = true;
        if (number_parse("--uid-base", value, UID_BASE_MAX, &number, err) < 0) {
            return -1;
        }
        options->uid_base = (uid_t)number;
        return 0;
    case 'n':
        if (number_parse("--slots", value, OPTIONS_SLOTS_MAX, &number, err) < 0) {
            return -1;
        }
        options->slots = (uint32_t)number;
        return 0;
    case 'm':
        if (number_parse("--uses", value, OPTIONS_USES_MAX, &number, err) < 0) {
            return -1;
        }
        options->uses = (uint32_t)number;
        return 0;
    case 'W':
        options->warm = value;
        return 0;
    case 'g':
        options->cgroup = value;
        return cgroup_name_check(value, err) < 0 ? rw_fail(err, CONFIG, "--cgroup wants a relative path of plain names") : 0;
    case 'r':
        return layers_parse(value, &options->required, err);
    case 'w':
        options->mode = OPTIONS_SWEEP;
        options->sweep = value;
        return 0;
    case 'P':
        options->mode = OPTIONS_PROBE;
        return 0;
    case 'h':
        options->mode = OPTIONS_HELP;
        return 0;
    case 'v':
        options->mode = OPTIONS_VERSION;
        return 0;
    default:
        return rw_fail(err, CONFIG, "unknown option or missing value; see --help");
    }
}

int options_parse(int argc, char **argv, struct options *ret_options, struct rw_error *err)
{
    static const struct option known[] = {
        {"pod", required_argument, NULL, 'p'},
        {"listen", required_argument, NULL, 'l'},
        {"secret-fd", required_argument, NULL, 'f'},
        {"control-fd", required_argument, NULL, 'c'},
        {"sandbox", required_argument, NULL, 's'},
        {"uid-base", required_argument, NULL, 'u'},
        {"secret-file", required_argument, NULL, 'F'},
        {"slots", required_argument, NULL, 'n'},
        {"uses", required_argument, NULL, 'm'},
        {"cgroup", required_argument, NULL, 'g'},
        {"sweep-cgroup", required_argument, NULL, 'w'},
        {"require", required_argument, NULL, 'r'},
        {"warm", required_argument, NULL, 'W'},
        {"probe", no_argument, NULL, 'P'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {
        .pod = "-", .strategy = &sandbox_namespaces, .secret_fd = -1, .control_fd = -1, .slots = 1, .uses = 1};
    const char *plan = getenv("RUNWAVE_WARM");
    options.warm = plan ? rw_xstrdup(plan) : NULL; /* it outlives the environment, which is wiped */
    const char *required = getenv("RUNWAVE_REQUIRE");
    if (required && layers_parse(required, &options.required, err) < 0) {
        return -1;
    }
    opterr = 0;
    optind = 0; /* start afresh: tests parse more than once */
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option_take(&options, option, optarg, err) < 0) {
            return -1;
        }
    }
    if (optind != argc) {
        return rw_fail(err, CONFIG, "unexpected argument; see --help");
    }
    if (options.mode == OPTIONS_RUN && !options.listen) {
        return rw_fail(err, CONFIG, "--listen is missing; see --help");
    }
    if (options.slots == 0) {
        return rw_fail(err, CONFIG, "--slots: 1 at least");
    }
    if (options_has_steward(&options) && options.strategy != &sandbox_namespaces) {
        return rw_fail(err, CONFIG, "--slots and --uses: only sandboxes of namespaces can follow one another");
    }
    *ret_options = options;
    return 0;
}

bool options_has_steward(const struct options *options)
{
    return options->slots != 1 || options->uses != 1;
}

static int read_secret_fd(int fd, uint8_t secret[static RW_POD_SECRET_BYTES], struct rw_error *err)
{
    size_t len = 0;
    for (ssize_t n; len < RW_POD_SECRET_BYTES && (n = read(fd, secret + len, RW_POD_SECRET_BYTES - len)) > 0;) {
        len += (size_t)n;
    }
    (void)close(fd);
    return len == RW_POD_SECRET_BYTES ? 0 : rw_fail(err, CONFIG, "the secret has fewer than %d bytes", RW_POD_SECRET_BYTES);
}

/* Before there is any code; afterwards nobody finds it. */
static int read_secret_file(const char *path, uint8_t secret[static RW_POD_SECRET_BYTES], struct rw_error *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || unlink(path) < 0) {
        return rw_fail_sys(err, CONFIG, errno, "--secret-file %.100s", path);
    }
    return read_secret_fd(fd, secret, err);
}

int options_read_secret(const struct options *options, uint8_t secret[static RW_POD_SECRET_BYTES], struct rw_error *err)
{
    if (options->secret_file) {
        return read_secret_file(options->secret_file, secret, err);
    }
    if (options->secret_fd >= 0) {
        return read_secret_fd(options->secret_fd, secret, err);
    }
    const char *text = getenv("RUNWAVE_POD_SECRET");
    size_t len = 0;
    if (!text || strlen(text) > SECRET_TEXT_BYTES_MAX ||
        sodium_base642bin(secret, RW_POD_SECRET_BYTES, text, strlen(text), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len != RW_POD_SECRET_BYTES) {
        return rw_fail(err, CONFIG, "neither --secret-fd, nor --secret-file, nor a RUNWAVE_POD_SECRET of %d bytes in base64",
                       RW_POD_SECRET_BYTES);
    }
    return 0;
}

void options_wipe_environment(void)
{
    for (char **entry = environ; entry && *entry; entry++) {
        sodium_memzero(*entry, strlen(*entry));
    }
    (void)clearenv();
}
