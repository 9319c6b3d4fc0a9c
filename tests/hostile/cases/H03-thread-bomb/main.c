#include "attack.h"

#include <pthread.h>

static void *sleeps(void *arg)
{
    pause();
    return arg;
}

int main(void)
{
    int n = 1;
    pthread_t thread;
    while (n < 5000 && pthread_create(&thread, NULL, sleeps, NULL) == 0) {
        n++;
    }
    MUST_HOLD(n <= 50);
    return held();
}
