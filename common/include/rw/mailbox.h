/* Mailbox: how other threads hand work to a libuv loop. Items run on the loop's thread in the order of their posting. */
#ifndef RW_MAILBOX_H
#define RW_MAILBOX_H

#include <uv.h>

#include <rw/error.h>

struct rw_mailbox;

struct rw_mail { /* embed it in your own struct */
    struct rw_mail *next;
    void (*run)(struct rw_mail *mail); /* on the loop's thread; owns the mail from then on */
};

RW_NODISCARD int rw_mailbox_open(uv_loop_t *loop, struct rw_mailbox **ret_mailbox, struct rw_error *err);
/* Any thread. After rw_mailbox_close the mail is still run once, by close itself, so that nothing it owns leaks. */
void rw_mailbox_post(struct rw_mailbox *mailbox, struct rw_mail *mail);
/* Loop thread only; the caller makes sure that no thread posts afterwards. Frees the mailbox when the loop has closed it. */
void rw_mailbox_close(struct rw_mailbox *mailbox);

#endif
