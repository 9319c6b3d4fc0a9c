/* The mailbox: a list under a mutex and a uv_async_t that wakes the loop.
 *
 * The list is taken whole and run outside the lock. What was taken stays in `taken`, so that a mail which closes the mailbox leaves
 * none behind: close runs the rest itself. The memory goes in the handle's close callback, never under a caller's feet. */
#include <rw/mailbox.h>

#include <pthread.h>

#include <rw/auto.h>

struct rw_mailbox {
    uv_async_t wake;
    pthread_mutex_t lock;  /* guards first and last */
    struct rw_mail *first; /* posted, not yet taken */
    struct rw_mail **last;
    struct rw_mail *taken; /* loop thread only */
};

/* Moves what was posted to the empty taken list; false when there was nothing. */
static bool take_all(struct rw_mailbox *mailbox)
{
    (void)pthread_mutex_lock(&mailbox->lock);
    mailbox->taken = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    (void)pthread_mutex_unlock(&mailbox->lock);
    return mailbox->taken != NULL;
}

static void run_taken(struct rw_mailbox *mailbox)
{
    while (mailbox->taken) {
        struct rw_mail *mail = mailbox->taken;
        mailbox->taken = mail->next;
        mail->run(mail);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct rw_mailbox *mailbox = wake->data;
    (void)take_all(mailbox);
    run_taken(mailbox);
}

static void on_closed(uv_handle_t *handle)
{
    struct rw_mailbox *mailbox = handle->data;
    (void)pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

int rw_mailbox_open(uv_loop_t *loop, struct rw_mailbox **ret_mailbox, struct rw_error *err)
{
    struct rw_mailbox *mailbox = rw_xcalloc(1, sizeof(*mailbox));
    int rc = uv_async_init(loop, &mailbox->wake, on_wake);
    if (rc != 0) {
        free(mailbox);
        return rw_fail_sys(err, IO, -rc, "uv_async_init");
    }
    mailbox->wake.data = mailbox;
    (void)pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->last = &mailbox->first;
    *ret_mailbox = mailbox;
    return 0;
}

void rw_mailbox_post(struct rw_mailbox *mailbox, struct rw_mail *mail)
{
    mail->next = NULL;
    (void)pthread_mutex_lock(&mailbox->lock);
    bool was_empty = mailbox->first == NULL;
    *mailbox->last = mail;
    mailbox->last = &mail->next;
    (void)pthread_mutex_unlock(&mailbox->lock);
    if (was_empty) {
        (void)uv_async_send(&mailbox->wake);
    }
}

void rw_mailbox_close(struct rw_mailbox *mailbox)
{
    if (!mailbox) {
        return;
    }
    do {
        run_taken(mailbox);
    } while (take_all(mailbox));
    uv_close((uv_handle_t *)&mailbox->wake, on_closed);
}
