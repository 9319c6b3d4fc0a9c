#include "attack.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

int main(void)
{
    MUST_FAIL(shmget(0x5257, 4096, 0));
    MUST_FAIL(msgget(0x5257, 0));
    MUST_FAIL(semget(0x5257, 1, 0));
    MUST_FAIL(mq_open("/left", O_RDWR));
    MUST_FAIL(shm_open("/left", O_RDWR, 0));
    MUST_FAIL(syscall(SYS_request_key, "user", "left", NULL, -4));
    MUST_FAIL(syscall(SYS_add_key, "user", "left", "x", 1, -4));
    MUST_FAIL(syscall(SYS_keyctl, 0, -4, 0));
    return held();
}
