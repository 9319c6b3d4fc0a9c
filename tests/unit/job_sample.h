/* A job to encode: two files, a compile stage, an argument that is no text. Everything is static but the struct itself. */
#ifndef TESTS_UNIT_JOB_SAMPLE_H
#define TESTS_UNIT_JOB_SAMPLE_H

#include <rw/job.h>

#define SAMPLE_LIMITS                                                                                                              \
    {                                                                                                                              \
        1000, 2000, 64 << 20, 16, 65536, 1 << 20, 1 << 22, 64                                                                      \
    }

struct job_sample {
    struct rw_job job;
    struct rw_job_file files[2];
    char *compile_argv[4];
    char *run_argv[4];
    char *env[3];
    char text[8][16];
};

static inline struct rw_job *job_sample(struct job_sample *sample)
{
    *sample = (struct job_sample){
        .text = {"c", "12.2", "main.c", "lib/a.h", "int x;", "\xFF\x01", "A=b=c", "E="},
    };
    sample->files[0] = (struct rw_job_file){sample->text[2], (uint8_t *)sample->text[4], 6};
    sample->files[1] = (struct rw_job_file){sample->text[3], (uint8_t *)sample->text[4], 0};
    static char gcc[] = "/usr/bin/gcc", program[] = "/box/program", empty[] = "";
    sample->compile_argv[0] = gcc;
    sample->compile_argv[1] = sample->text[2];
    sample->run_argv[0] = program;
    sample->run_argv[1] = empty;
    sample->run_argv[2] = sample->text[5];
    sample->env[0] = sample->text[6];
    sample->env[1] = sample->text[7];
    sample->job = (struct rw_job){
        .language = sample->text[0],
        .version = sample->text[1],
        .files = sample->files,
        .n_files = 2,
        .stdin_data = (uint8_t *)sample->text[4],
        .stdin_len = 3,
        .has_compile = true,
        .compile = {.argv = sample->compile_argv, .n_argv = 2, .env = sample->env, .n_env = 0, .limits = SAMPLE_LIMITS},
        .run = {.argv = sample->run_argv, .n_argv = 3, .env = sample->env, .n_env = 2, .limits = SAMPLE_LIMITS},
    };
    return &sample->job;
}

#endif
