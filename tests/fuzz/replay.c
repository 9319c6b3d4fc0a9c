/* A main for a fuzz target where libFuzzer is not: every file of the named folders is one input, so that what was once found stays
 * found with any compiler. It ends with the count of inputs; no input at all is a failure. */
#include "fuzz.h"

#include <dirent.h>

#include <rw/auto.h>

enum { INPUT_BYTES_MAX = 1024 * 1024 };

static void close_filep(FILE **file)
{
    if (*file) {
        (void)fclose(*file);
    }
}

static void close_dirp(DIR **dir)
{
    if (*dir) {
        (void)closedir(*dir);
    }
}

static int replay_file(const char *path)
{
    __attribute__((cleanup(close_filep))) FILE *file = fopen(path, "rb");
    RW_AUTO_FREE uint8_t *input = rw_xmalloc(INPUT_BYTES_MAX);
    if (!file) {
        perror(path);
        return -1;
    }
    size_t len = fread(input, 1, INPUT_BYTES_MAX, file);
    RW_AUTO_FREE uint8_t *exact = rw_xmemdup(input, len); /* so that a sanitizer sees a read past its end */
    (void)fprintf(stderr, "%s: %zu bytes\n", path, len);
    return LLVMFuzzerTestOneInput(exact, len);
}

/* Returns how many inputs the folder held, -1 on failure. */
static int replay_folder(const char *folder)
{
    __attribute__((cleanup(close_dirp))) DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return -1;
    }
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        RW_AUTO_FREE char *path = rw_xasprintf("%s/%s", folder, entry->d_name);
        if (replay_file(path) < 0) {
            return -1;
        }
        count++;
    }
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        int in_folder = replay_folder(argv[i]);
        if (in_folder < 0) {
            return EXIT_FAILURE;
        }
        count += in_folder;
    }
    (void)printf("%d inputs\n", count);
    return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
