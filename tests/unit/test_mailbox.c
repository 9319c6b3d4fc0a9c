/* The mailbox: every mail is run once, on the loop's thread, in order, whatever other threads and the mails themselves do. */
#include "support.h"

#include <pthread.h>

#include <rw/mailbox.h>

enum { THREADS = 4, EACH = 20000 };

struct letter {
    struct rw_mail mail;
    unsigned sender;
    unsigned number;
    struct office *office;
};

struct office {
    uv_loop_t loop;
    struct rw_mailbox *mailbox;
    pthread_t loop_thread;
    unsigned next[THREADS]; /* number each sender's next letter must have */
    unsigned n_run;
    unsigned wanted;
};

static void setup_office(struct office *office)
{
    *office = (struct office){.loop_thread = pthread_self(), .wanted = 0};
    assert_int_equal(uv_loop_init(&office->loop), 0);
    struct rw_error err;
    assert_ok(rw_mailbox_open(&office->loop, &office->mailbox, &err), &err);
}

static void finish_office(struct office *office)
{
    rw_mailbox_close(office->mailbox);
    (void)uv_run(&office->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&office->loop), 0);
}

static void read_letter(struct rw_mail *mail)
{
    struct letter *letter = (struct letter *)mail;
    struct office *office = letter->office;
    assert_true(pthread_equal(pthread_self(), office->loop_thread));
    assert_int_equal(letter->number, office->next[letter->sender]);
    office->next[letter->sender]++;
    office->n_run++;
    free(letter);
    if (office->n_run == office->wanted) {
        uv_stop(&office->loop);
    }
}

static void post(struct office *office, unsigned sender, unsigned number, void (*run)(struct rw_mail *))
{
    struct letter *letter = rw_xcalloc(1, sizeof(*letter));
    letter->mail.run = run;
    letter->sender = sender;
    letter->number = number;
    letter->office = office;
    rw_mailbox_post(office->mailbox, &letter->mail);
}

struct sender {
    struct office *office;
    unsigned id;
};

static void *send_letters(void *arg)
{
    const struct sender *sender = arg;
    for (unsigned i = 0; i < EACH; i++) {
        post(sender->office, sender->id, i, read_letter);
    }
    return NULL;
}

static void mails_of_many_threads_run_once_in_order(void **state)
{
    (void)state;
    struct office office;
    setup_office(&office);
    office.wanted = THREADS * EACH;
    pthread_t threads[THREADS];
    struct sender senders[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.office = &office, .id = i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &senders[i]), 0);
    }
    (void)uv_run(&office.loop, UV_RUN_DEFAULT); /* until the last has stopped it; a lost one hangs, and the test's time ends */
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(office.next[i], EACH);
    }
    assert_int_equal(office.n_run, THREADS * EACH);
    finish_office(&office);
    assert_int_equal(office.n_run, THREADS * EACH);
}

static void close_runs_what_is_left(void **state)
{
    (void)state;
    struct office office;
    setup_office(&office);
    for (unsigned i = 0; i < 10; i++) {
        post(&office, 0, i, read_letter);
    }
    assert_int_equal(office.n_run, 0); /* nothing runs inside post */
    rw_mailbox_close(office.mailbox);
    assert_int_equal(office.n_run, 10);
    (void)uv_run(&office.loop, UV_RUN_DEFAULT);
    assert_int_equal(office.n_run, 10);
    assert_int_equal(uv_loop_close(&office.loop), 0);
}

static void close_office(struct rw_mail *mail)
{
    struct letter *letter = (struct letter *)mail;
    struct office *office = letter->office;
    free(letter);
    rw_mailbox_close(office->mailbox);
    assert_int_equal(office->n_run, 5); /* the others of this round, and the one they posted, too */
}

static void read_and_post(struct rw_mail *mail)
{
    struct office *office = ((struct letter *)mail)->office;
    unsigned number = ((struct letter *)mail)->number;
    read_letter(mail);
    post(office, 1, number, read_letter);
}

static void a_mail_may_close_the_mailbox(void **state)
{
    (void)state;
    struct office office;
    setup_office(&office);
    for (unsigned i = 0; i < 2; i++) {
        post(&office, 0, i, read_letter);
    }
    post(&office, 2, 0, close_office);
    post(&office, 0, 2, read_letter);
    post(&office, 0, 3, read_and_post);
    office.next[1] = 3;
    (void)uv_run(&office.loop, UV_RUN_DEFAULT);
    assert_int_equal(office.n_run, 5);
    assert_int_equal(uv_loop_close(&office.loop), 0);
}

static void a_mail_may_post_mails(void **state)
{
    (void)state;
    struct office office;
    setup_office(&office);
    office.wanted = 2;
    post(&office, 0, 0, read_and_post);
    (void)uv_run(&office.loop, UV_RUN_DEFAULT);
    assert_int_equal(office.n_run, 2);
    finish_office(&office);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mails_of_many_threads_run_once_in_order),
        cmocka_unit_test(close_runs_what_is_left),
        cmocka_unit_test(a_mail_may_close_the_mailbox),
        cmocka_unit_test(a_mail_may_post_mails),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
