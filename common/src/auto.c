/* The rw_x family of allocators: they abort when there is no memory. Durable state lives in PostgreSQL and RabbitMQ, and every
 * size that a stranger chooses is bounded before one of these is called, so an abort loses nothing and hides nothing. */
#include <rw/auto.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *must(void *memory)
{
    if (!memory) {
        static const char text[] = "runwave: out of memory\n";
        ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void)written;
        abort();
    }
    return memory;
}

void *rw_xmalloc(size_t size)
{
    return must(malloc(size ? size : 1));
}

void *rw_xcalloc(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *rw_xrealloc(void *old, size_t size)
{
    return must(realloc(old, size ? size : 1));
}

char *rw_xstrdup(const char *text)
{
    return must(strdup(text));
}

char *rw_xstrndup(const char *text, size_t len_max)
{
    return must(strndup(text, len_max));
}

void *rw_xmemdup(const void *data, size_t len)
{
    void *copy = rw_xmalloc(len);
    if (len) {
        memcpy(copy, data, len);
    }
    return copy;
}

char *rw_xasprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return must(len < 0 ? NULL : text);
}
