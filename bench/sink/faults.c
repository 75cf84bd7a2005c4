/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and following the list of faults. The text is read by a cursor over a terminated string;
 * every step that does not find what it wants notes its place, once, and the reading ends.
 *
 *   I1  the percentages of rules that are not delays sum to at most 100, and so do the delays'
 *   I2  the same text, seed and sizes give the same decisions: two numbers are drawn for every
 *       batch, whether a rule asks for them or not
 *
 * One thread at a time. Deliberately without times of day: a fault that begins later is asked for
 * when it should begin (PUT /faults).
 */
#include "sink/faults.h"
#include "weir/bytes.h"

struct reader {
    const char *text;
    const char *at;
    const char *error; /* sticky, with the place where it was noted */
    const char *error_at;
};

static const char *const names[WEIR_FAULTS_KINDS] = {
    [WEIR_FAULTS_NONE] = "none",       [WEIR_FAULTS_CODE] = "code",
    [WEIR_FAULTS_RESET] = "reset",     [WEIR_FAULTS_LOST] = "lost",
    [WEIR_FAULTS_PARTIAL] = "partial", [WEIR_FAULTS_STALL] = "stall",
    [WEIR_FAULTS_SWALLOW] = "swallow", [WEIR_FAULTS_DOUBLE] = "double",
    [WEIR_FAULTS_DELAY] = "delay",
};

const char *weir_faults_name(enum weir_faults_kind kind)
{
    return (unsigned)kind < WEIR_FAULTS_KINDS ? names[kind] : "unknown";
}

/* -- reading ----------------------------------------------------------------------------------- */

static void fail(struct reader *reader, const char *what)
{
    if (reader->error == NULL) {
        reader->error = what;
        reader->error_at = reader->at;
    }
}

static void skip_space(struct reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\n') {
        reader->at++;
    }
}

/* Takes `word` where it stands next. */
static bool take(struct reader *reader, const char *word)
{
    size_t size = strlen(word);
    if (reader->error != NULL || strncmp(reader->at, word, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint64_t take_number(struct reader *reader, uint64_t most)
{
    if (!is_digit(*reader->at)) {
        fail(reader, "expected a number");
        return 0;
    }
    uint64_t number = 0;
    const char *start = reader->at;
    while (is_digit(*reader->at)) {
        uint64_t digit = (uint64_t)(*reader->at - '0');
        if (number > (most - digit) / 10) {
            reader->at = start;
            fail(reader, "the number is too large");
            return 0;
        }
        number = number * 10 + digit;
        reader->at++;
    }
    return number;
}

/* "12.5" after which '%' must stand. */
static double take_percent(struct reader *reader)
{
    const char *start = reader->at;
    double percent = (double)take_number(reader, 1000000);
    double place = 0.1;
    if (take(reader, ".")) {
        if (!is_digit(*reader->at)) {
            fail(reader, "expected a digit");
        }
        for (; is_digit(*reader->at); reader->at++) {
            percent += place * (*reader->at - '0');
            place /= 10;
        }
    }
    if (!take(reader, "%")) {
        fail(reader, "expected '%'");
    }
    if (reader->error == NULL && percent > 100) {
        reader->at = start;
        fail(reader, "a percentage is at most 100");
    }
    return percent;
}

static uint64_t take_size(struct reader *reader)
{
    uint64_t size = take_number(reader, UINT64_C(1) << 40);
    if (take(reader, "MiB")) {
        return size << 20;
    }
    return take(reader, "KiB") ? size << 10 : size;
}

static uint32_t take_time_ms(struct reader *reader)
{
    uint64_t time = take_number(reader, 1000000);
    if (take(reader, "ms")) {
        return (uint32_t)time;
    }
    if (!take(reader, "s")) {
        fail(reader, "expected a time in ms or s");
    }
    return (uint32_t)time * 1000;
}

static void read_when(struct reader *reader, struct weir_faults_rule *rule)
{
    static const struct {
        const char *word;
        enum weir_faults_when when;
    } counted[] = {{"first=", WEIR_FAULTS_FIRST},
                   {"after=", WEIR_FAULTS_AFTER},
                   {"every=", WEIR_FAULTS_EVERY}};
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        if (take(reader, counted[i].word)) {
            rule->when = counted[i].when;
            rule->number = take_number(reader, UINT32_MAX);
            if (rule->when == WEIR_FAULTS_EVERY && rule->number == 0) {
                fail(reader, "every=0 is never");
            }
            return;
        }
    }
    if (take(reader, "over=")) {
        rule->when = WEIR_FAULTS_OVER;
        rule->number = take_size(reader);
        return;
    }
    if (!is_digit(*reader->at)) {
        fail(reader, "expected N%, first=N, after=N, every=N or over=SIZE");
    }
    rule->when = WEIR_FAULTS_PERCENT;
    rule->percent = take_percent(reader);
}

static void read_code(struct reader *reader, struct weir_faults_what *what)
{
    const char *start = reader->at;
    what->kind = WEIR_FAULTS_CODE;
    what->code = (uint32_t)take_number(reader, 999);
    if (reader->error == NULL && (what->code < 400 || what->code > 599)) {
        reader->at = start;
        fail(reader, "expected a status from 400 to 599");
    }
    skip_space(reader);
    if (take(reader, "retry-after=")) {
        what->retry_after_s = (int32_t)take_number(reader, 1000000);
    }
}

static void read_what(struct reader *reader, struct weir_faults_what *what)
{
    static const enum weir_faults_kind bare[] = {WEIR_FAULTS_RESET, WEIR_FAULTS_LOST,
                                                 WEIR_FAULTS_STALL, WEIR_FAULTS_SWALLOW,
                                                 WEIR_FAULTS_DOUBLE};
    what->retry_after_s = -1;
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        if (take(reader, names[bare[i]])) {
            what->kind = bare[i];
            return;
        }
    }
    if (take(reader, "partial")) {
        what->kind = WEIR_FAULTS_PARTIAL;
        what->refused = take(reader, "=") ? (uint32_t)take_number(reader, UINT32_MAX) : 1;
    } else if (take(reader, "delay=")) {
        what->kind = WEIR_FAULTS_DELAY;
        what->delay_ms = take_time_ms(reader);
    } else if (is_digit(*reader->at)) {
        read_code(reader, what);
    } else {
        fail(reader, "expected a status, reset, lost, partial, stall, delay=, swallow or double");
    }
}

/* One rule and what separates it from the next; false after the last. */
static bool read_rule(struct reader *reader, struct weir_faults *faults)
{
    skip_space(reader);
    if (faults->count == WEIR_FAULTS_RULES_MAX) {
        fail(reader, "too many rules");
        return false;
    }
    struct weir_faults_rule *rule = &faults->rule[faults->count];
    *rule = (struct weir_faults_rule){.when = WEIR_FAULTS_PERCENT};
    read_when(reader, rule);
    if (!take(reader, ":")) {
        fail(reader, "expected ':'");
    }
    read_what(reader, &rule->what);
    skip_space(reader);
    faults->count++;
    if (take(reader, ",")) {
        return true;
    }
    if (*reader->at != '\0') {
        fail(reader, "expected ',' or the end");
    }
    return false;
}

static bool percentages_fit(const struct weir_faults *faults, bool of_delays)
{
    double sum = 0;
    for (uint32_t i = 0; i < faults->count; i++) {
        bool is_delay = faults->rule[i].what.kind == WEIR_FAULTS_DELAY;
        sum += is_delay == of_delays ? faults->rule[i].percent : 0;
    }
    return sum <= 100 + 1e-9;
}

enum weir_status weir_faults_parse(const char *text, uint64_t seed, struct weir_faults *ret,
                                   struct weir_faults_error *ret_error)
{
    struct reader reader = {.text = text, .at = text};
    struct weir_faults faults = {.count = 0};
    skip_space(&reader);
    bool goes_on = *reader.at != '\0';
    while (goes_on && reader.error == NULL) {
        goes_on = read_rule(&reader, &faults);
    }
    if (!percentages_fit(&faults, false) || !percentages_fit(&faults, true)) {
        fail(&reader, "the percentages are more than 100");
    }
    if (reader.error != NULL) {
        *ret_error =
            (struct weir_faults_error){(size_t)(reader.error_at - reader.text), reader.error};
        return WEIR_EINVAL;
    }
    for (uint32_t i = 0; i < faults.count; i++) {
        faults.measures = faults.measures || faults.rule[i].when == WEIR_FAULTS_OVER;
    }
    weir_rand_init(&faults.rand, seed);
    *ret = faults;
    return WEIR_OK;
}

/* -- following --------------------------------------------------------------------------------- */

static bool rule_counts(const struct weir_faults_rule *rule, uint64_t batch, uint64_t size)
{
    switch (rule->when) {
    case WEIR_FAULTS_FIRST: return batch <= rule->number;
    case WEIR_FAULTS_AFTER: return batch > rule->number;
    case WEIR_FAULTS_EVERY: return batch % rule->number == 0;
    case WEIR_FAULTS_OVER: return size > rule->number;
    case WEIR_FAULTS_PERCENT:
    default: return false;
    }
}

/* The rule that the batch meets, of the delays or of all others. */
static const struct weir_faults_rule *find_rule(const struct weir_faults *faults, bool of_delays,
                                                double dice, uint64_t size)
{
    const struct weir_faults_rule *thrown = NULL;
    double sum = 0;
    for (uint32_t i = 0; i < faults->count; i++) {
        const struct weir_faults_rule *rule = &faults->rule[i];
        if ((rule->what.kind == WEIR_FAULTS_DELAY) != of_delays) {
            continue;
        }
        if (rule_counts(rule, faults->batches, size)) {
            return rule;
        }
        sum += rule->percent;
        thrown = thrown == NULL && dice < sum ? rule : thrown;
    }
    return thrown;
}

struct weir_faults_what weir_faults_next(struct weir_faults *faults, uint64_t size)
{
    faults->batches++;
    double dice = 100 * weir_rand_unit(&faults->rand);
    double delay_dice = 100 * weir_rand_unit(&faults->rand);
    const struct weir_faults_rule *rule = find_rule(faults, false, dice, size);
    const struct weir_faults_rule *delay = find_rule(faults, true, delay_dice, size);
    struct weir_faults_what what = {.kind = WEIR_FAULTS_NONE, .retry_after_s = -1};
    if (rule != NULL) {
        what = rule->what;
    }
    what.delay_ms = delay == NULL ? 0 : delay->what.delay_ms;
    return what;
}
