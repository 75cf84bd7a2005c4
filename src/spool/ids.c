/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of request ids: a ring of entries, and two indices into it.
 *
 *   entries   [ 5 6 . . . . 2 3 4 ]       a ring in the order of adding: the oldest at `head`,
 *                       head ┘            its time is the smallest
 *
 *   exact     [ . 3 . 6 2 . 5 4 . . ]     key and content -> the entry
 *   newest    [ 4 . . 6 . . . 5 . . ]     key -> the last entry of this key
 *
 * Both indices are open addressing with linear probing; a removal moves what follows back, so there
 * are no tombstones and nothing is ever rebuilt. One index over the key alone would be enough, were
 * it not for a sender that uses one id for everything: all its entries would be one long run.
 *
 *   I1  count <= capacity; each index has at least twice as many places: every search ends
 *   I2  times rise with the order of adding: a smaller one counts as the one before it
 *   I3  each entry is in `exact` once; of the entries of one key the last is in `newest`
 *   I4  no two entries have the same key and content
 *
 * Time is an argument; the latest one told by add or expire counts when the clock steps back. After
 * a step forward and back entries stay longer than the window: they are recognised longer, and
 * `capacity` is the bound. Threads: the lane's alone. Full: the oldest goes, the caller counts.
 * Deliberately keeps no id in the clear, and never grows.
 */
#include "weir/ids.h"
#include "weir/hash.h"
#include "weir/mem.h"
#include "weir/panic.h"

struct ids_index {
    uint32_t *places; /* entry + 1; 0: free */
    uint32_t mask;
    bool is_exact;
};

struct weir_ids {
    uint64_t hash_key[2];
    int64_t window_ns;
    int64_t now_ns; /* the latest told */
    uint32_t capacity, head, count;
    struct weir_id *entries;
    struct ids_index exact, newest;
};

static bool is_same_key(const struct weir_id *a, const struct weir_id *b)
{
    return a->key[0] == b->key[0] && a->key[1] == b->key[1];
}

static bool is_same(const struct weir_id *a, const struct weir_id *b)
{
    return is_same_key(a, b) && a->content_crc == b->content_crc &&
           a->content_size == b->content_size;
}

/* -- index --------------------------------------------------------------------------------- */

static enum weir_status index_init(struct ids_index *index, uint32_t capacity, bool is_exact)
{
    uint64_t places = 4;
    while (places < (uint64_t)capacity * 2) {
        places *= 2;
    }
    index->places = weir_mem_zalloc(places, sizeof index->places[0]);
    index->mask = (uint32_t)(places - 1);
    index->is_exact = is_exact;
    return index->places == NULL ? WEIR_ENOMEM : WEIR_OK;
}

/* Where an entry would like to be. The content is the sender's choice and no secret: it is mixed
 * in under a key that is one. */
static uint32_t home_of(const struct ids_index *index, const struct weir_id *id)
{
    uint64_t hash = id->key[0];
    if (index->is_exact) {
        hash = weir_hash_mix(weir_hash_mix(hash, id->content_size ^ id->key[1]), id->content_crc);
    }
    return (uint32_t)(hash ^ hash >> 32) & index->mask;
}

static bool index_matches(const struct ids_index *index, const struct weir_id *a,
                          const struct weir_id *b)
{
    return index->is_exact ? is_same(a, b) : is_same_key(a, b);
}

/* The place of `id`'s equal, or the free one where it belongs. */
static uint32_t index_find(const struct weir_ids *ids, const struct ids_index *index,
                           const struct weir_id *id)
{
    uint32_t at = home_of(index, id);
    while (index->places[at] != 0 &&
           !index_matches(index, &ids->entries[index->places[at] - 1], id)) {
        at = (at + 1) & index->mask;
    }
    return at;
}

/* Empties a place, and moves back what was pushed past it. */
static void index_remove(const struct weir_ids *ids, struct ids_index *index, uint32_t hole)
{
    uint32_t at = hole;
    for (;;) {
        at = (at + 1) & index->mask;
        if (index->places[at] == 0) {
            break;
        }
        uint32_t home = home_of(index, &ids->entries[index->places[at] - 1]);
        if (((at - home) & index->mask) >= ((at - hole) & index->mask)) {
            index->places[hole] = index->places[at];
            hole = at;
        }
    }
    index->places[hole] = 0;
}

/* -- the table ----------------------------------------------------------------------------- */

enum weir_status weir_ids_new(uint32_t capacity, int64_t window_ns, const uint64_t hash_key[2],
                              struct weir_ids **ret)
{
    WEIR_ASSERT(capacity >= 1);
    WEIR_ASSERT(capacity <= UINT32_C(1) << 30);
    struct weir_ids *ids = weir_mem_zalloc(1, sizeof *ids);
    if (ids == NULL) {
        return WEIR_ENOMEM;
    }
    ids->hash_key[0] = hash_key[0];
    ids->hash_key[1] = hash_key[1];
    ids->window_ns = window_ns;
    ids->now_ns = INT64_MIN;
    ids->capacity = capacity;
    ids->entries = weir_mem_zalloc(capacity, sizeof ids->entries[0]);
    if (ids->entries == NULL || index_init(&ids->exact, capacity, true) != WEIR_OK ||
        index_init(&ids->newest, capacity, false) != WEIR_OK) {
        weir_ids_free(ids);
        return WEIR_ENOMEM;
    }
    *ret = ids;
    return WEIR_OK;
}

void weir_ids_free(struct weir_ids *ids)
{
    if (ids != NULL) {
        weir_mem_free(ids->exact.places);
        weir_mem_free(ids->newest.places);
        weir_mem_free(ids->entries);
        weir_mem_free(ids);
    }
}

/* The stream's hash is the key of the id's: so no two pairs run together, without a copy. */
void weir_ids_key(const struct weir_ids *ids, struct weir_bytes stream, struct weir_bytes id,
                  uint64_t ret_key[2])
{
    uint64_t stream_key[2];
    weir_hash_wide(ids->hash_key, stream, stream_key);
    weir_hash_wide(stream_key, id, ret_key);
}

/* Whether an entry is older than the window. Differences of any two times fit: they are taken
 * without a sign. */
static bool is_expired(const struct weir_ids *ids, const struct weir_id *entry, int64_t now_ns)
{
    return now_ns > entry->wall_ns &&
           (uint64_t)now_ns - (uint64_t)entry->wall_ns > (uint64_t)ids->window_ns;
}

enum weir_ids_verdict weir_ids_look(const struct weir_ids *ids, const struct weir_id *id,
                                    int64_t wall_ns, struct weir_id *ret_found)
{
    int64_t now_ns = wall_ns > ids->now_ns ? wall_ns : ids->now_ns;
    uint32_t exact = ids->exact.places[index_find(ids, &ids->exact, id)];
    if (exact != 0 && !is_expired(ids, &ids->entries[exact - 1], now_ns)) {
        *ret_found = ids->entries[exact - 1];
        return WEIR_IDS_REPEATED;
    }
    uint32_t newest = ids->newest.places[index_find(ids, &ids->newest, id)];
    if (newest != 0 && !is_expired(ids, &ids->entries[newest - 1], now_ns)) {
        *ret_found = ids->entries[newest - 1];
        return WEIR_IDS_OTHER;
    }
    return WEIR_IDS_NEW;
}

static void drop_oldest(struct weir_ids *ids)
{
    WEIR_ASSERT(ids->count > 0);
    const struct weir_id *oldest = &ids->entries[ids->head];
    uint32_t place = index_find(ids, &ids->exact, oldest);
    WEIR_ASSERT(ids->exact.places[place] == ids->head + 1);
    index_remove(ids, &ids->exact, place);
    place = index_find(ids, &ids->newest, oldest);
    if (ids->newest.places[place] == ids->head + 1) {
        index_remove(ids, &ids->newest, place);
    }
    ids->head = ids->head + 1 == ids->capacity ? 0 : ids->head + 1;
    ids->count--;
}

void weir_ids_expire(struct weir_ids *ids, int64_t wall_ns)
{
    ids->now_ns = wall_ns > ids->now_ns ? wall_ns : ids->now_ns;
    while (ids->count > 0 && is_expired(ids, &ids->entries[ids->head], ids->now_ns)) {
        drop_oldest(ids);
    }
}

bool weir_ids_add(struct weir_ids *ids, const struct weir_id *id)
{
    weir_ids_expire(ids, id->wall_ns);
    uint32_t known = ids->exact.places[index_find(ids, &ids->exact, id)];
    if (known != 0) {
        ids->entries[known - 1].lsn = id->lsn; /* accepted anew: nobody had taken it */
        return false;
    }
    bool is_full = ids->count == ids->capacity;
    if (is_full) {
        drop_oldest(ids);
    }
    uint32_t entry = (uint32_t)(((uint64_t)ids->head + ids->count) % ids->capacity);
    ids->entries[entry] = *id;
    ids->entries[entry].wall_ns = ids->now_ns; /* I2 */
    ids->count++;
    ids->exact.places[index_find(ids, &ids->exact, id)] = entry + 1;
    ids->newest.places[index_find(ids, &ids->newest, id)] = entry + 1;
    return is_full;
}

void weir_ids_each(const struct weir_ids *ids,
                   void (*visit)(void *argument, const struct weir_id *id), void *argument)
{
    for (uint32_t i = 0; i < ids->count; i++) {
        visit(argument, &ids->entries[((uint64_t)ids->head + i) % ids->capacity]);
    }
}

uint32_t weir_ids_count(const struct weir_ids *ids)
{
    return ids->count;
}
