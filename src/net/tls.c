/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a listener, and how they are replaced while it runs.
 *
 *   weir_tls ── context ──► SSL_CTX (immutable) ◄── one reference each ── connections
 *      │                       └── set of certificates, freed with it
 *      ├── tickets' keys (outlive contexts)
 *      └── stamps of the files
 *
 *   files change ──► weir_tls_watch: load ── good ──► published        (TAKEN)
 *                                      └─ not ──► again, in silence, for half a minute, then told
 *                                                 (REFUSED), then only when they change again
 *
 * Invariants
 *   I1  `context` always points to a context that works: what replaces it was loaded whole
 *   I2  a file's stamp (device, inode, size, times of content and of mode) is taken before the file
 *       is read, so a change in between is seen by the next look
 *   I3  the lock is held for taking a reference, for swapping a pointer and for a copy; never while
 *       a file is read. So a loop may take it, once a connection
 *
 * A renewal with certbot or cert-manager is a symbolic link that is switched, or two files that are
 * renamed one after the other: in between key and certificate do not fit, which is why a failure is
 * not told at once.
 *
 * Threads: weir_tls_take and weir_tls_look, any; reload and watch, one at a time, which may block
 * on files and is therefore no loop's.
 */
#include "weir/tls.h"
#include "tls_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written;
    struct timespec changed;
};

struct weir_tls {
    pthread_mutex_t lock; /* over `context` */
    SSL_CTX *context;
    struct weir_tickets *tickets;

    /* of whoever reloads and watches */
    struct weir_tls_options options; /* with pairs of our own */
    struct stamp *stamps;            /* two a pair: of what was tried last */
    int64_t look_ns;                 /* when the files are looked at next */
    int64_t failing_ns;              /* since when they cannot be used; 0: they can */
    bool told;
};

static void pairs_free(const struct weir_tls_pair *pairs, uint32_t count)
{
    for (uint32_t i = 0; pairs != NULL && i < count; i++) {
        weir_mem_free((void *)(uintptr_t)pairs[i].certificate);
        weir_mem_free((void *)(uintptr_t)pairs[i].key);
    }
    weir_mem_free((void *)(uintptr_t)pairs);
}

static struct weir_tls_pair *pairs_copy(const struct weir_tls_pair *pairs, uint32_t count)
{
    struct weir_tls_pair *copy = weir_mem_zalloc(count, sizeof *copy);
    bool good = copy != NULL;
    for (uint32_t i = 0; good && i < count; i++) {
        copy[i].certificate = weir_mem_text(pairs[i].certificate, strlen(pairs[i].certificate));
        copy[i].key =
            pairs[i].key == NULL ? NULL : weir_mem_text(pairs[i].key, strlen(pairs[i].key));
        good = copy[i].certificate != NULL && (pairs[i].key == NULL || copy[i].key != NULL);
    }
    if (!good) {
        pairs_free(copy, count);
        return NULL;
    }
    return copy;
}

static struct stamp stamp_of(const char *file)
{
    struct stat stat_;
    struct stamp stamp;
    memset(&stamp, 0, sizeof stamp); /* the padding too: stamps are compared as bytes */
    if (file != NULL && stat(file, &stat_) == 0) {
        stamp.device = stat_.st_dev;
        stamp.inode = stat_.st_ino;
        stamp.size = stat_.st_size;
        stamp.written = stat_.st_mtim;
        stamp.changed = stat_.st_ctim;
    }
    return stamp;
}

/* Stamps all files anew; whether any is another. */
static bool stamp_files(const struct weir_tls_options *options, struct stamp *stamps)
{
    bool changed = false;
    for (uint32_t i = 0; i < 2 * options->count; i++) {
        const struct weir_tls_pair *pair = &options->pairs[i / 2];
        struct stamp stamp = stamp_of(i % 2 == 0 ? pair->certificate : pair->key);
        changed = changed || memcmp(&stamp, &stamps[i], sizeof stamp) != 0;
        memcpy(&stamps[i], &stamp, sizeof stamp);
    }
    return changed;
}

/* How many have expired; *ret_file is the first one's (unchanged where there is none). */
static uint32_t expired_count(const struct weir_tls_set *set, const char **ret_file)
{
    int64_t now_ns = weir_clock_wall_ns();
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct weir_tls_look *look = &set->certificates[i].look;
        if (look->expires_ns <= now_ns && count++ == 0) {
            *ret_file = look->file;
        }
    }
    return count;
}

static enum weir_status load_set(const struct weir_tls_options *options, struct weir_buf *why,
                                 struct weir_tls_set **ret)
{
    struct weir_tls_set *set =
        weir_mem_zalloc(1, sizeof *set + options->count * sizeof set->certificates[0]);
    if (set == NULL) {
        weir_buf_printf(why, "out of memory");
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < options->count; i++) {
        set->count = i + 1; /* this one too, half loaded as it may be */
        enum weir_status status =
            weir_tls_certificate_load(&options->pairs[i], why, &set->certificates[i]);
        if (status != WEIR_OK) {
            weir_tls_set_free(set);
            return status;
        }
    }
    *ret = set;
    return WEIR_OK;
}

/* Files to a context; `in_use` (may be NULL) is what it would replace. */
static enum weir_status load(const struct weir_tls_options *options, struct weir_tickets *tickets,
                             const struct weir_tls_set *in_use, struct weir_buf *why, SSL_CTX **ret)
{
    struct weir_tls_set *set = NULL;
    WEIR_TRY(load_set(options, why, &set));
    enum weir_status status = WEIR_OK;
    const char *file = "";
    const char *ignored = "";
    if (in_use != NULL && expired_count(set, &file) > expired_count(in_use, &ignored)) {
        weir_buf_printf(why, "has expired, and the one in use has not: %.200s", file);
        status = WEIR_EINVAL;
    }
    if (status == WEIR_OK) {
        status = weir_tls_context_new(set, options, tickets, why, ret);
    }
    if (status != WEIR_OK) {
        weir_tls_set_free(set);
    }
    return status;
}

SSL_CTX *weir_tls_take(struct weir_tls *tls)
{
    WEIR_ASSERT(pthread_mutex_lock(&tls->lock) == 0);
    SSL_CTX *context = tls->context;
    WEIR_ASSERT(SSL_CTX_up_ref(context) == 1);
    WEIR_ASSERT(pthread_mutex_unlock(&tls->lock) == 0);
    return context;
}

static void publish(struct weir_tls *tls, SSL_CTX *context, int64_t ticket_ns)
{
    weir_tickets_period(tls->tickets, ticket_ns);
    WEIR_ASSERT(pthread_mutex_lock(&tls->lock) == 0);
    SSL_CTX *old = tls->context;
    tls->context = context;
    WEIR_ASSERT(pthread_mutex_unlock(&tls->lock) == 0);
    SSL_CTX_free(old);
    tls->failing_ns = 0;
    tls->told = false;
}

/* Loads what `options` name and makes it what `tls` has. */
static enum weir_status take_over(struct weir_tls *tls, const struct weir_tls_options *options,
                                  struct weir_buf *why)
{
    struct weir_tls_pair *pairs = pairs_copy(options->pairs, options->count);
    struct stamp *stamps = weir_mem_zalloc(2 * (size_t)options->count, sizeof *stamps);
    SSL_CTX *context = NULL;
    enum weir_status status = WEIR_ENOMEM;
    if (pairs == NULL || stamps == NULL) {
        weir_buf_printf(why, "out of memory");
    } else {
        (void)stamp_files(options, stamps);
        const struct weir_tls_set *in_use =
            tls->context == NULL ? NULL : weir_tls_context_set(tls->context);
        status = load(options, tls->tickets, in_use, why, &context);
    }
    if (status != WEIR_OK) {
        pairs_free(pairs, options->count);
        weir_mem_free(stamps);
        return status;
    }
    pairs_free(tls->options.pairs, tls->options.count);
    weir_mem_free(tls->stamps);
    tls->options = *options;
    tls->options.pairs = pairs;
    tls->stamps = stamps;
    publish(tls, context, options->ticket_ns);
    return WEIR_OK;
}

enum weir_status weir_tls_new(const struct weir_tls_options *options, struct weir_buf *why,
                              struct weir_tls **ret)
{
    WEIR_ASSERT(options->count > 0);
    WEIR_ASSERT(options->count <= WEIR_TLS_CERTIFICATES_MAX);
    struct weir_tls *tls = weir_mem_zalloc(1, sizeof *tls);
    if (tls == NULL || weir_tickets_new(&tls->tickets) != WEIR_OK) {
        weir_buf_printf(why, "out of memory");
        weir_mem_free(tls);
        return WEIR_ENOMEM;
    }
    WEIR_ASSERT(pthread_mutex_init(&tls->lock, NULL) == 0);
    enum weir_status status = take_over(tls, options, why);
    if (status != WEIR_OK) {
        weir_tls_free(tls);
        return status;
    }
    *ret = tls;
    return WEIR_OK;
}

enum weir_status weir_tls_reload(struct weir_tls *tls, const struct weir_tls_options *options,
                                 struct weir_buf *why)
{
    WEIR_ASSERT(options->count > 0);
    WEIR_ASSERT(options->count <= WEIR_TLS_CERTIFICATES_MAX);
    return take_over(tls, options, why);
}

/* The files cannot be used: whether it is time to say so. */
static enum weir_tls_watched failing(struct weir_tls *tls, int64_t now_ns)
{
    if (tls->failing_ns == 0) {
        tls->failing_ns = now_ns;
    }
    if (tls->told || now_ns - tls->failing_ns < WEIR_TLS_PATIENCE_NS) {
        return WEIR_TLS_SAME;
    }
    tls->told = true;
    return WEIR_TLS_REFUSED;
}

enum weir_tls_watched weir_tls_watch(struct weir_tls *tls, int64_t now_ns, struct weir_buf *why)
{
    if (now_ns < tls->look_ns) {
        return WEIR_TLS_SAME;
    }
    tls->look_ns = now_ns + WEIR_TLS_WATCH_NS;
    bool changed = stamp_files(&tls->options, tls->stamps);
    bool again = tls->failing_ns != 0 && !tls->told;
    if (!changed && !again) {
        return WEIR_TLS_SAME;
    }
    if (changed && tls->told) {
        tls->failing_ns = 0; /* somebody is at work: patience anew */
        tls->told = false;
    }
    SSL_CTX *context = NULL;
    char words[512];
    struct weir_buf reason = weir_buf_fixed(words, sizeof words);
    enum weir_status status =
        load(&tls->options, tls->tickets, weir_tls_context_set(tls->context), &reason, &context);
    if (status == WEIR_OK) {
        publish(tls, context, tls->options.ticket_ns);
        return WEIR_TLS_TAKEN;
    }
    enum weir_tls_watched watched = failing(tls, now_ns);
    if (watched == WEIR_TLS_REFUSED) {
        weir_buf_put(why, weir_buf_view(&reason));
    }
    return watched;
}

bool weir_tls_look(struct weir_tls *tls, uint32_t index, struct weir_tls_look *ret)
{
    WEIR_ASSERT(pthread_mutex_lock(&tls->lock) == 0);
    const struct weir_tls_set *set = weir_tls_context_set(tls->context);
    bool there = index < set->count;
    if (there) {
        *ret = set->certificates[index].look;
    }
    WEIR_ASSERT(pthread_mutex_unlock(&tls->lock) == 0);
    return there;
}

void weir_tls_free(struct weir_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->context);
    weir_tickets_unref(tls->tickets);
    pairs_free(tls->options.pairs, tls->options.count);
    weir_mem_free(tls->stamps);
    WEIR_ASSERT(pthread_mutex_destroy(&tls->lock) == 0);
    weir_mem_free(tls);
}
