#include <pthread.h>
#include <stdio.h>

static void *count(void *arg)
{
    *(int *)arg += 1;
    return NULL;
}

int main(void)
{
    int counts[8] = {0};
    pthread_t threads[8];
    int sum = 0;
    for (int i = 0; i < 8; i++) {
        if (pthread_create(&threads[i], NULL, count, &counts[i]) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        sum += counts[i];
    }
    printf("%d\n", sum);
}
