/* The steward's rules: how many sandboxes to keep prepared, and who may take a job. */
#include "steward_book.h"

#include <string.h>

void steward_book_init(struct steward_book *book, uint32_t slots, uint32_t uses)
{
    *book = (struct steward_book){.slots = slots, .uses = uses};
    book->counts[STEWARD_PLACE_FREE] = 2 * slots;
}

void steward_book_set(struct steward_book *book, uint32_t place, enum steward_state state)
{
    book->counts[book->places[place]]--;
    book->places[place] = state;
    book->counts[state]++;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* As many prepared as there are slots, but no more than jobs may still come. */
uint32_t steward_book_missing(const struct steward_book *book)
{
    uint32_t to_come = book->uses == 0 ? book->slots : book->uses - book->taken;
    uint32_t wanted = book->is_draining ? 0 : least(book->slots, to_come);
    uint32_t prepared = book->counts[STEWARD_PLACE_PREPARING] + book->counts[STEWARD_PLACE_IDLE];
    return wanted > prepared ? least(wanted - prepared, book->counts[STEWARD_PLACE_FREE]) : 0;
}

uint32_t steward_book_free_place(const struct steward_book *book)
{
    uint32_t place = 0;
    while (book->places[place] != STEWARD_PLACE_FREE) {
        place++;
    }
    return place;
}

static bool is_known(const struct steward_book *book, const struct rw_uuid *lease_id)
{
    for (uint32_t i = 0; i < least(book->n_leases, STEWARD_LEASES_MAX); i++) {
        if (memcmp(&book->leases[i], lease_id, sizeof(*lease_id)) == 0) {
            return true;
        }
    }
    return false;
}

bool steward_book_take(struct steward_book *book, uint32_t place, const struct rw_uuid *lease_id)
{
    bool is_spent = book->uses > 0 && book->taken >= book->uses;
    if (book->is_draining || is_spent || book->places[place] != STEWARD_PLACE_IDLE ||
        book->counts[STEWARD_PLACE_BUSY] >= book->slots || is_known(book, lease_id)) {
        return false;
    }
    steward_book_set(book, place, STEWARD_PLACE_BUSY);
    book->leases[book->n_leases++ % STEWARD_LEASES_MAX] = *lease_id;
    book->taken++;
    return true;
}

bool steward_book_is_over(const struct steward_book *book)
{
    bool is_spent = book->uses > 0 && book->taken >= book->uses;
    return (book->is_draining || is_spent) && book->counts[STEWARD_PLACE_FREE] == 2 * book->slots;
}
