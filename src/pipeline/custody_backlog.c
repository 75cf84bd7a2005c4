/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which record is read back when.
 *
 *   d = 0 .. 61   deliverable? rings under a quarter of the share? ─► next ─► take it through
 *   d = gone      its name is not configured any more  ─► next ─► to the dead letter
 *   d = letter    what was quarantined                 ─► next ─► to the dead letter
 *   and round again; a round without a record: a nap
 *
 * Invariants
 *   I1  one record is in hand at a time; the next is begun when it is published, lettered or given
 *       back
 *   I2  over any time, the bytes read are at most backlog_rate times that time and one record
 *   I3  a destination whose record was given back is left alone for a moment, twice as long each
 *       time up to PAUSE_MAX_NS, so that a full ring or a sick disk is not asked in a circle, and a
 *       record that has no place is not read ten times a second
 *
 *   I4  nothing is read for a slot that is not deliverable, and who takes a slot out of those waits
 *       until its record is out of hand: the router's row and the exporter's machine may go then
 *
 *   gate   slots [1 0 1 1 ...]   in_hand 3 ──deliver(without 3)──► waits ──out──► returns
 *
 * So live data goes first: it may fill the rings to the whole share, this thread only to a quarter,
 * and one record beyond. While the letterbox is full nothing is read, since what comes of it may
 * have to go there.
 *
 * The backlog's thread alone, but for the gate: a mutex that is held for no longer than a look. It
 * polls, several times a second: an outage's backlog is minutes old at least, and nobody has to
 * remember to ring.
 */
#include "custody_internal.h"

#include "weir/clock.h"
#include "weir/panic.h"
#include "weir/pulse.h"

#define NAP_NS          (150 * WEIR_NS_PER_MS)
#define PAUSE_LATER_NS  (50 * WEIR_NS_PER_MS)
#define PAUSE_FAILED_NS (500 * WEIR_NS_PER_MS)
#define PAUSE_MAX_NS    (3 * WEIR_NS_PER_S)

enum weir_status weir_custody_backlog_prepare(struct weir_custody *custody)
{
    WEIR_TRY(weir_inflater_new(&custody->inflater));
    enum weir_status status = weir_mail_init(&custody->mail, custody->options.letterbox);
    if (status != WEIR_OK) {
        weir_inflater_free(custody->inflater);
        custody->inflater = NULL;
    }
    return status;
}

void weir_custody_backlog_finish(struct weir_custody *custody)
{
    weir_mail_done(&custody->mail);
    weir_inflater_free(custody->inflater);
    custody->inflater = NULL;
}

static bool may_read(const struct weir_custody *custody, uint32_t destination, int64_t now_ns)
{
    const struct weir_custody_options *options = &custody->options;
    if (now_ns < custody->pace.paused_until_ns[destination]) {
        return false;
    }
    return destination >= WEIR_BACKLOG_GONE ||
           weir_router_queued_bytes(options->router, destination) <
               options->destination_share / 4 + 1;
}

/* Waits until the rate allows one more record; false when the thread is to end. */
static bool wait_for_rate(struct weir_custody *custody)
{
    int64_t wait_ns;
    while ((wait_ns = custody->pace.read_at_ns - weir_clock_mono_ns()) > 0) {
        if (!weir_custody_sleep(&custody->backlog, wait_ns)) {
            return false;
        }
    }
    return !weir_custody_is_stopping(&custody->backlog);
}

/* `size` bytes are read now; the next record waits until they were due. */
static void pay(struct weir_custody *custody, uint64_t size)
{
    uint64_t rate = custody->options.backlog_rate;
    if (rate > 0) {
        double seconds = (double)size / (double)rate;
        seconds = seconds < 3600 ? seconds : 3600;
        custody->pace.read_at_ns =
            weir_clock_mono_ns() + (int64_t)(seconds * (double)WEIR_NS_PER_S);
    }
}

static void pause_after(struct weir_custody *custody, uint32_t destination,
                        enum weir_custody_outcome outcome)
{
    struct weir_custody_pace *pace = &custody->pace;
    int64_t pause_ns = outcome == WEIR_CUSTODY_LATER ? PAUSE_LATER_NS : PAUSE_FAILED_NS;
    for (uint32_t i = 0; i < pace->refused[destination] && pause_ns < PAUSE_MAX_NS; i++) {
        pause_ns *= 2;
    }
    pace->refused[destination]++;
    pace->paused_until_ns[destination] =
        weir_clock_mono_ns() + (pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
}

/* One record for one destination; false when there was none to read. */
static bool step(struct weir_custody *custody, uint32_t destination)
{
    struct weir_backlog_place place;
    if (!may_read(custody, destination, weir_clock_mono_ns()) ||
        weir_backlog_next(custody->options.spool, destination, &place) != WEIR_OK) {
        return false;
    }
    pay(custody, place.size);
    enum weir_custody_outcome outcome = weir_custody_take(custody, &place);
    if (outcome != WEIR_CUSTODY_TAKEN) {
        pause_after(custody, destination, outcome);
        return false;
    }
    custody->pace.refused[destination] = 0;
    return true;
}

static bool letterbox_is_full(const struct weir_custody *custody)
{
    return custody->options.letterbox != NULL &&
           weir_letterbox_look(custody->options.letterbox).full;
}

/* -- the gate ------------------------------------------------------------------------------- */

static void gate_lock(struct weir_custody_gate *gate)
{
    int locked = pthread_mutex_lock(&gate->mutex);
    WEIR_ASSERT(locked == 0);
}

static void gate_unlock(struct weir_custody_gate *gate)
{
    int unlocked = pthread_mutex_unlock(&gate->mutex);
    WEIR_ASSERT(unlocked == 0);
}

void weir_custody_gate_init(struct weir_custody_gate *gate, uint32_t destination_count)
{
    int made = pthread_mutex_init(&gate->mutex, NULL);
    WEIR_ASSERT(made == 0);
    made = pthread_cond_init(&gate->out, NULL);
    WEIR_ASSERT(made == 0);
    WEIR_ASSERT(destination_count <= WEIR_BACKLOG_GONE);
    gate->slots = (UINT64_C(1) << destination_count) - 1;
    gate->in_hand = WEIR_SPOOL_LETTER;
}

void weir_custody_gate_done(struct weir_custody_gate *gate)
{
    (void)pthread_cond_destroy(&gate->out);
    (void)pthread_mutex_destroy(&gate->mutex);
}

void weir_custody_deliver(struct weir_custody *custody, uint64_t slots)
{
    struct weir_custody_gate *gate = &custody->gate;
    gate_lock(gate);
    gate->slots = slots;
    while (gate->in_hand < WEIR_BACKLOG_GONE && (gate->slots >> gate->in_hand & 1) == 0) {
        int woken = pthread_cond_wait(&gate->out, &gate->mutex);
        WEIR_ASSERT(woken == 0);
    }
    gate_unlock(gate);
}

static uint64_t gate_slots(struct weir_custody *custody)
{
    gate_lock(&custody->gate);
    uint64_t slots = custody->gate.slots;
    gate_unlock(&custody->gate);
    return slots;
}

/* False: it is not deliverable any more. */
static bool gate_enter(struct weir_custody_gate *gate, uint32_t slot)
{
    gate_lock(gate);
    bool open = slot >= WEIR_BACKLOG_GONE || (gate->slots >> slot & 1) != 0;
    gate->in_hand = open ? slot : WEIR_SPOOL_LETTER;
    gate_unlock(gate);
    return open;
}

static void gate_leave(struct weir_custody_gate *gate)
{
    gate_lock(gate);
    gate->in_hand = WEIR_SPOOL_LETTER;
    int told = pthread_cond_broadcast(&gate->out);
    WEIR_ASSERT(told == 0);
    gate_unlock(gate);
}

/* -- the rounds ----------------------------------------------------------------------------- */

/* A slot whose next owner is not to wait for what its last one was refused. */
static void forget_refusals(struct weir_custody_pace *pace, uint32_t slot)
{
    pace->refused[slot] = 0;
    pace->paused_until_ns[slot] = 0;
}

/* One record for each destination that has one; false when none had. */
static bool round_of_all(struct weir_custody *custody)
{
    bool worked = false;
    uint64_t slots = gate_slots(custody);
    for (uint32_t slot = 0; slot < WEIR_CUSTODY_PLACES; slot++) {
        if (slot < WEIR_BACKLOG_GONE && (slots >> slot & 1) == 0) {
            forget_refusals(&custody->pace, slot);
            continue;
        }
        if (letterbox_is_full(custody) || !wait_for_rate(custody)) {
            return false;
        }
        if (gate_enter(&custody->gate, slot)) {
            worked = step(custody, slot) || worked;
            gate_leave(&custody->gate);
        }
    }
    return worked;
}

void weir_custody_backlog_run(struct weir_custody *custody)
{
    _Static_assert(WEIR_BACKLOG_GONE < WEIR_CUSTODY_PLACES, "a place for removed destinations");
    _Static_assert(WEIR_SPOOL_LETTER < WEIR_CUSTODY_PLACES, "a place for the dead letter");
    bool runs = true;
    while (runs) {
        weir_pulse_beat();
        runs = round_of_all(custody) ? !weir_custody_is_stopping(&custody->backlog)
                                     : weir_custody_sleep(&custody->backlog, NAP_NS);
    }
}
