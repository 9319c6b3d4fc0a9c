/* Capabilities, by the plain system calls. */
#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Dropping from the bounding set needs CAP_SETPCAP; without it no capability is held either, and no_new_privs does the rest. */
static void empty_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
}

int privileges_keep(uint64_t capabilities, struct rw_error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "capget");
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    empty_bounding_set();
    for (int half = 0; half < 2; half++) {
        uint32_t mask = (uint32_t)(capabilities >> (32 * half)) & data[half].permitted;
        data[half] = (struct __user_cap_data_struct){.effective = mask, .permitted = mask};
    }
    if (syscall(SYS_capset, &header, data) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "capset");
    }
    return 0;
}

int privileges_drop_all(struct rw_error *err)
{
    if (privileges_keep(0, err) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "PR_SET_NO_NEW_PRIVS");
    }
    return 0;
}
