#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    shmget(0x5257, 4096, IPC_CREAT | 0666);
    msgget(0x5257, IPC_CREAT | 0666);
    semget(0x5257, 1, IPC_CREAT | 0666);
    mq_open("/left", O_CREAT | O_RDWR, 0666, NULL);
    shm_open("/left", O_CREAT | O_RDWR, 0666);
    syscall(SYS_add_key, "user", "left", "x", 1, -4);
    return 0;
}
