/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared state. One lock, held for a batch's booking and never while anything is inflated or
 * decoded; a verdict holds it for as long as it takes, for it is asked for when all is quiet.
 *
 *   kind of fault      booked                           answer      in the accounts
 *   none               all                              200
 *   code               none; refused for good, where    the code    answers, faults, refused
 *                      OTLP says not to retry
 *   reset, stall       none                             none        faults
 *   lost               all, their answers lost          none        faults; later: repeated
 *   partial            all but the last, refused        200         faults, refused
 *   swallow, double    none, twice                      200         faults
 *
 *   I1  the fault is decided, and everything that follows from it is booked, under one hold of the
 *       lock: accounts read at any time are those of whole batches
 *   I2  a batch that is malformed is answered 400, meets no fault and counts as one wrong point
 *   I3  totals are those since the world was set, as its accounts are
 *
 * 413 refuses a batch and not its points: they may come in smaller ones. Only a single point that
 * is too large is refused for good.
 */
#include "sink/ledger.h"
#include "sink/booked.h"
#include "sink/ranges.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <pthread.h>
#include <stdio.h>

enum { CODES = 600, EXAMPLES_MAX = 20 };
#define NUMBERS_MAX (UINT64_C(1) << 32) /* 32 GiB of address space */

struct weir_sink_world {
    struct weir_traffic *traffic;
    const struct weir_sink_shape *shape; /* the ledger's, or NULL */
    struct weir_booked *booked;
    uint64_t references; /* under the ledger's lock */
};

struct weir_sink_ledger {
    pthread_mutex_t lock;
    enum weir_sink_accounts accounts;
    bool has_shape;
    struct weir_sink_shape shape;
    struct weir_sink_world *world; /* NULL until one is set */
    struct weir_faults faults;
    struct weir_sink_totals totals;
    uint64_t malformed;
    uint64_t refused; /* points, without a world */
    uint64_t largest;
    uint64_t answers[CODES];
    uint64_t faults_met[WEIR_FAULTS_KINDS];
    uint64_t delays_met;
    char examples[EXAMPLES_MAX][WEIR_SINK_EXAMPLE_SIZE];
    uint32_t example_count;
};

static void lock(struct weir_sink_ledger *ledger)
{
    WEIR_ASSERT(pthread_mutex_lock(&ledger->lock) == 0);
}

static void unlock(struct weir_sink_ledger *ledger)
{
    WEIR_ASSERT(pthread_mutex_unlock(&ledger->lock) == 0);
}

enum weir_status weir_sink_ledger_new(enum weir_sink_accounts accounts,
                                      const struct weir_sink_shape *shape,
                                      struct weir_sink_ledger **ret)
{
    struct weir_sink_ledger *ledger = weir_mem_zalloc(1, sizeof *ledger);
    if (ledger == NULL) {
        return WEIR_ENOMEM;
    }
    ledger->accounts = accounts;
    ledger->has_shape = shape != NULL;
    ledger->shape = shape == NULL ? (struct weir_sink_shape){.promoted = 0} : *shape;
    struct weir_faults_error error;
    enum weir_status status = weir_faults_parse("", 0, &ledger->faults, &error);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(pthread_mutex_init(&ledger->lock, NULL) == 0);
    *ret = ledger;
    return WEIR_OK;
}

void weir_sink_ledger_free(struct weir_sink_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    weir_sink_world_unref(ledger, ledger->world);
    WEIR_ASSERT(pthread_mutex_destroy(&ledger->lock) == 0);
    weir_mem_free(ledger);
}

/* -- worlds ------------------------------------------------------------------------------------ */

static unsigned parts_of(const void *argument, uint64_t number)
{
    const struct weir_sink_world *world = argument;
    struct weir_traffic_point point;
    weir_traffic_point(world->traffic, number, &point);
    return weir_sink_shape_parts(world->shape, &point);
}

static enum weir_status make_world(const struct weir_sink_ledger *ledger, struct weir_bytes text,
                                   struct weir_sink_world **ret)
{
    struct weir_traffic_options options;
    WEIR_TRY(weir_traffic_parse(text, &options));
    struct weir_sink_world *world = weir_mem_zalloc(1, sizeof *world);
    if (world == NULL) {
        return WEIR_ENOMEM;
    }
    const struct weir_booked_parts parts = {parts_of, world};
    world->references = 1;
    world->shape = ledger->has_shape ? &ledger->shape : NULL;
    enum weir_status status = weir_traffic_new(&options, &world->traffic);
    if (status == WEIR_OK) {
        status = weir_booked_new(NUMBERS_MAX, ledger->has_shape ? &parts : NULL, &world->booked);
    }
    if (status != WEIR_OK) {
        weir_traffic_free(world->traffic);
        weir_mem_free(world);
        return status;
    }
    *ret = world;
    return WEIR_OK;
}

void weir_sink_world_unref(struct weir_sink_ledger *ledger, struct weir_sink_world *world)
{
    if (world == NULL) {
        return;
    }
    lock(ledger);
    WEIR_ASSERT(world->references > 0);
    bool is_last = --world->references == 0;
    unlock(ledger);
    if (is_last) {
        weir_traffic_free(world->traffic);
        weir_booked_free(world->booked);
        weir_mem_free(world);
    }
}

enum weir_status weir_sink_ledger_set_world(struct weir_sink_ledger *ledger, struct weir_bytes text)
{
    struct weir_sink_world *world;
    WEIR_TRY(make_world(ledger, text, &world));
    lock(ledger);
    struct weir_sink_world *old = ledger->world;
    ledger->world = world;
    ledger->totals = (struct weir_sink_totals){.batches = 0};
    ledger->malformed = 0;
    ledger->refused = 0;
    ledger->largest = 0;
    ledger->delays_met = 0;
    ledger->example_count = 0;
    memset(ledger->answers, 0, sizeof ledger->answers);
    memset(ledger->faults_met, 0, sizeof ledger->faults_met);
    unlock(ledger);
    weir_sink_world_unref(ledger, old);
    return WEIR_OK;
}

struct weir_sink_view weir_sink_ledger_view(struct weir_sink_ledger *ledger)
{
    lock(ledger);
    struct weir_sink_view view = {.accounts = ledger->accounts,
                                  .measures = ledger->faults.measures};
    if (view.accounts == WEIR_SINK_FULL && ledger->world == NULL) {
        view.accounts = WEIR_SINK_COUNT;
    } else if (view.accounts == WEIR_SINK_FULL) {
        view.world = ledger->world;
        view.traffic = view.world->traffic;
        view.shape = view.world->shape;
        view.world->references++;
    }
    unlock(ledger);
    return view;
}

void weir_sink_ledger_set_faults(struct weir_sink_ledger *ledger, const struct weir_faults *faults)
{
    lock(ledger);
    ledger->faults = *faults;
    unlock(ledger);
}

/* -- booking ----------------------------------------------------------------------------------- */

static void keep_examples(struct weir_sink_ledger *ledger, const struct weir_sink_batch *batch)
{
    for (uint32_t i = 0; i < batch->example_count && ledger->example_count < EXAMPLES_MAX; i++) {
        memcpy(ledger->examples[ledger->example_count++], batch->examples[i],
               WEIR_SINK_EXAMPLE_SIZE);
    }
}

static void book_malformed(struct weir_sink_ledger *ledger, struct weir_sink_world *world,
                           const struct weir_sink_batch *batch)
{
    ledger->malformed++;
    ledger->answers[400]++;
    if (world != NULL) {
        (void)weir_booked_add(world->booked, UINT64_MAX, false);
    }
    if (ledger->example_count < EXAMPLES_MAX) {
        (void)snprintf(ledger->examples[ledger->example_count++], WEIR_SINK_EXAMPLE_SIZE,
                       "malformed batch: %s", batch->malformed);
    }
}

/* Books the first `taken` points and refuses the others for good. */
static void book_points(struct weir_sink_ledger *ledger, struct weir_sink_world *world,
                        struct weir_sink_batch *batch, uint64_t taken, bool is_lost)
{
    ledger->totals.batches++;
    ledger->totals.points += taken;
    ledger->totals.bytes += batch->size;
    ledger->totals.compressed_bytes += batch->compressed_size;
    keep_examples(ledger, batch);
    for (uint64_t i = 0; batch->numbers != NULL && i < taken; i++) {
        batch->ordinals[i] = weir_booked_add(world->booked, batch->numbers[i], is_lost);
    }
}

static void refuse_points(struct weir_sink_ledger *ledger, struct weir_sink_world *world,
                          const struct weir_sink_batch *batch, uint64_t from)
{
    ledger->refused += batch->points - from;
    for (uint64_t i = from; batch->numbers != NULL && i < batch->points; i++) {
        weir_booked_refuse(world->booked, batch->numbers[i]);
    }
}

/* Whether a batch cannot be made smaller: one point, or parts of one. */
static bool is_one_point(const struct weir_sink_ledger *ledger, const struct weir_sink_batch *batch)
{
    uint64_t i = 1;
    while (ledger->has_shape && batch->numbers != NULL && i < batch->points &&
           batch->numbers[i] / WEIR_BOOKED_PARTS == batch->numbers[0] / WEIR_BOOKED_PARTS) {
        i++;
    }
    return i >= batch->points;
}

/* What OTLP says not to try again: that is the end of the points. */
static bool is_for_good(const struct weir_sink_ledger *ledger, uint32_t code,
                        const struct weir_sink_batch *batch)
{
    bool is_retryable = code == 429 || code == 502 || code == 503 || code == 504;
    return !is_retryable && (code != 413 || is_one_point(ledger, batch));
}

static void book_as(struct weir_sink_ledger *ledger, struct weir_sink_world *world,
                    struct weir_sink_batch *batch, struct weir_faults_what *what)
{
    switch (what->kind) {
    case WEIR_FAULTS_CODE:
        ledger->answers[what->code]++;
        if (is_for_good(ledger, what->code, batch)) {
            refuse_points(ledger, world, batch, 0);
        }
        return;
    case WEIR_FAULTS_RESET:
    case WEIR_FAULTS_STALL: return;
    case WEIR_FAULTS_LOST: book_points(ledger, world, batch, batch->points, true); return;
    case WEIR_FAULTS_PARTIAL:
        what->refused = what->refused < batch->points ? what->refused : (uint32_t)batch->points;
        book_points(ledger, world, batch, batch->points - what->refused, false);
        refuse_points(ledger, world, batch, batch->points - what->refused);
        break;
    case WEIR_FAULTS_SWALLOW: break;
    case WEIR_FAULTS_DOUBLE:
        book_points(ledger, world, batch, batch->points, false);
        book_points(ledger, world, batch, batch->points, false);
        break;
    case WEIR_FAULTS_NONE: book_points(ledger, world, batch, batch->points, false); break;
    case WEIR_FAULTS_DELAY:
    case WEIR_FAULTS_KINDS:
    default: WEIR_UNREACHABLE();
    }
    ledger->answers[200]++;
}

struct weir_faults_what weir_sink_ledger_book(struct weir_sink_ledger *ledger,
                                              struct weir_sink_world *world,
                                              struct weir_sink_batch *batch)
{
    struct weir_faults_what what = {.kind = WEIR_FAULTS_CODE, .code = 400, .retry_after_s = -1};
    if (batch->numbers != NULL) {
        memset(batch->ordinals, 0, batch->points * sizeof *batch->ordinals);
    }
    lock(ledger);
    ledger->totals.requests++;
    ledger->largest = batch->size > ledger->largest ? batch->size : ledger->largest;
    if (batch->malformed != NULL) {
        book_malformed(ledger, world, batch);
    } else {
        what = weir_faults_next(&ledger->faults, batch->size);
        ledger->faults_met[what.kind]++;
        ledger->delays_met += what.delay_ms > 0 ? 1 : 0;
        book_as(ledger, world, batch, &what);
    }
    unlock(ledger);
    return what;
}

void weir_sink_ledger_lose(struct weir_sink_ledger *ledger, struct weir_sink_world *world,
                           const struct weir_sink_batch *batch)
{
    if (world == NULL || batch->numbers == NULL) {
        return;
    }
    lock(ledger);
    for (uint64_t i = 0; i < batch->points; i++) {
        weir_booked_lose(world->booked, batch->numbers[i], batch->ordinals[i]);
    }
    unlock(ledger);
}

struct weir_sink_totals weir_sink_ledger_totals(struct weir_sink_ledger *ledger)
{
    lock(ledger);
    struct weir_sink_totals totals = ledger->totals;
    unlock(ledger);
    return totals;
}

/* -- what is told ------------------------------------------------------------------------------ */

static void print_number(struct weir_buf *out, const char *name, uint64_t number)
{
    weir_buf_printf(out, "\"%s\":%llu,", name, (unsigned long long)number);
}

/* Ends an object or array whose last character is a comma that is one too many. */
static void print_end(struct weir_buf *out, uint8_t end)
{
    if (!out->failed && out->data[out->size - 1] == ',') {
        out->size--;
    }
    weir_buf_put_byte(out, end);
}

static void print_answers(const struct weir_sink_ledger *ledger, struct weir_buf *out)
{
    char name[16];
    weir_buf_printf(out, "\"answers\":{");
    for (uint32_t code = 0; code < CODES; code++) {
        if (ledger->answers[code] > 0) {
            (void)snprintf(name, sizeof name, "%u", code);
            print_number(out, name, ledger->answers[code]);
        }
    }
    print_end(out, '}');
    weir_buf_printf(out, ",\"faults\":{");
    for (int kind = WEIR_FAULTS_NONE + 1; kind < WEIR_FAULTS_KINDS; kind++) {
        uint64_t met = kind == WEIR_FAULTS_DELAY ? ledger->delays_met : ledger->faults_met[kind];
        if (met > 0) {
            print_number(out, weir_faults_name((enum weir_faults_kind)kind), met);
        }
    }
    print_end(out, '}');
}

void weir_sink_ledger_print(struct weir_sink_ledger *ledger, struct weir_buf *out)
{
    static const char *const names[] = {"full", "count", "off"};
    lock(ledger);
    struct weir_booked_counts counts = {.refused = ledger->refused};
    if (ledger->world != NULL) {
        counts = weir_booked_counts(ledger->world->booked);
    }
    bool is_whole = ledger->has_shape && ledger->world != NULL;
    weir_buf_printf(out, "{\"accounts\":\"%s\",", names[ledger->accounts]);
    print_number(out, "requests", ledger->totals.requests);
    print_number(out, "batches", ledger->totals.batches);
    print_number(out, "points", is_whole ? counts.points : ledger->totals.points);
    print_number(out, "data_points", ledger->totals.points);
    print_number(out, "distinct", counts.distinct);
    print_number(out, "repeated", counts.repeated);
    print_number(out, "refused", counts.refused);
    print_number(out, "wrong", counts.wrong);
    print_number(out, "malformed", ledger->malformed);
    print_number(out, "bytes", ledger->totals.bytes);
    print_number(out, "compressed_bytes", ledger->totals.compressed_bytes);
    print_number(out, "largest_batch", ledger->largest);
    print_answers(ledger, out);
    weir_buf_printf(out, ",\"wrong_examples\":[");
    for (uint32_t i = 0; i < ledger->example_count; i++) {
        weir_buf_put_json_string(out, weir_bytes_str(ledger->examples[i]), 0);
        weir_buf_put_byte(out, ',');
    }
    print_end(out, ']');
    weir_buf_printf(out, "}\n");
    unlock(ledger);
}

/* -- the verdict ------------------------------------------------------------------------------- */

static void print_verdict(const struct weir_booked_verdict *verdict, struct weir_buf *out)
{
    bool is_good = verdict->missing == 0 && verdict->duplicated == 0 && verdict->wrong == 0 &&
                   verdict->unpromised == 0 && verdict->refused == 0;
    weir_buf_put_byte(out, '{');
    print_number(out, "expected", verdict->expected);
    print_number(out, "missing", verdict->missing);
    print_number(out, "duplicated", verdict->duplicated);
    print_number(out, "repeated", verdict->repeated);
    print_number(out, "refused", verdict->refused);
    print_number(out, "wrong", verdict->wrong);
    print_number(out, "unpromised", verdict->unpromised);
    weir_buf_printf(out, "\"examples\":[");
    for (uint32_t i = 0; i < verdict->examples; i++) {
        weir_buf_printf(out, "%llu,", (unsigned long long)verdict->example[i]);
    }
    print_end(out, ']');
    weir_buf_printf(out, ",\"exactly_once\":%s}\n", is_good ? "true" : "false");
}

enum weir_status weir_sink_ledger_verdict(struct weir_sink_ledger *ledger, uint8_t *text,
                                          size_t size, struct weir_buf *out)
{
    struct weir_booked_range *ranges = NULL;
    size_t count = 0;
    enum weir_status status = weir_sink_ranges_read(text, size, &ranges, &count);
    struct weir_booked_verdict verdict;
    if (status == WEIR_OK) {
        lock(ledger);
        bool has_world = ledger->world != NULL && ledger->accounts == WEIR_SINK_FULL;
        status = has_world ? weir_booked_verdict(ledger->world->booked, ranges, count, &verdict)
                           : WEIR_ENOTFOUND;
        unlock(ledger);
    }
    weir_mem_free(ranges);
    if (status == WEIR_OK) {
        print_verdict(&verdict, out);
    }
    return status;
}
