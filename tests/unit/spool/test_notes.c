/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/spool/notes_internal.h"
#include "support.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notes_rig.h"

#define FIRST  "notes.0000000000000001"
#define SECOND "notes.0000000000000002"

/* -- a log and what it says ---------------------------------------------------------------- */

/* DURABLE notes by their numbers, "1,2,3," */
struct said {
    char text[8192];
    size_t size;
};

static void hear(void *argument, const struct weir_note *note)
{
    struct said *said = argument;
    assert_int_equal(note->kind, WEIR_NOTE_DURABLE);
    int size =
        snprintf(said->text + said->size, sizeof said->text - said->size, "%d,", (int)note->lsn);
    said->size += (size_t)size;
    assert_true(said->size < sizeof said->text);
}

struct log {
    struct weir_notes *notes;
    struct weir_notes_reader reader;
    struct said said;
};

static enum weir_status log_open(struct log *log, struct rig *rig)
{
    struct weir_disk disk = {&rig_ops, rig};
    *log = (struct log){.reader = {.visit = hear, .argument = &log->said}};
    return weir_notes_open(&disk, 0, 5, &log->reader, &log->notes);
}

static struct log open_again(struct log *old, struct rig *rig)
{
    static struct log log;
    weir_notes_close(old == NULL ? NULL : old->notes);
    assert_int_equal(log_open(&log, rig), WEIR_OK);
    return log;
}

static struct weir_buf durable(uint64_t lsn)
{
    struct weir_buf out = weir_buf_grow_init(1 << 20);
    weir_notes_put(&out, &(struct weir_note){.kind = WEIR_NOTE_DURABLE, .lsn = lsn});
    return out;
}

static enum weir_status append(struct log *log, uint64_t lsn)
{
    struct weir_buf note = durable(lsn);
    enum weir_status status = weir_notes_append(log->notes, weir_buf_view(&note));
    weir_buf_done(&note);
    return status;
}

static enum weir_status snapshot(struct log *log, uint64_t lsn)
{
    struct weir_buf note = durable(lsn);
    enum weir_status status = weir_notes_snapshot(log->notes, weir_buf_view(&note));
    weir_buf_done(&note);
    return status;
}

static void test_is_read_again(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    struct log log = open_again(NULL, &rig);
    uint64_t key[2];
    uint64_t key_again[2];
    weir_notes_hash_key(log.notes, key);
    assert_string_equal(log.said.text, "");
    assert_int_equal(append(&log, 1), WEIR_OK);
    assert_int_equal(weir_notes_append(log.notes, weir_bytes_of(NULL, 0)), WEIR_OK);
    assert_int_equal(append(&log, 2), WEIR_OK);
    assert_false(weir_notes_wants_snapshot(log.notes));
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "1,2,");
    assert_int_equal(log.reader.torn_bytes, 0);
    assert_int_equal(append(&log, 3), WEIR_OK);
    assert_int_equal(snapshot(&log, 9), WEIR_OK);
    assert_int_equal(append(&log, 10), WEIR_OK);
    assert_true(rig_find(&rig, FIRST) < 0);
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "9,10,");
    weir_notes_hash_key(log.notes, key_again);
    assert_memory_equal(key, key_again, sizeof key);
    weir_notes_close(log.notes);
    rig_done(&rig);
}

static void test_every_cut_of_the_tail_keeps_what_is_before(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    struct log log = open_again(NULL, &rig);
    assert_int_equal(append(&log, 1), WEIR_OK);
    struct rig_file *file = &rig.files[rig_find(&rig, FIRST)];
    size_t whole = file->size;
    for (size_t cut = 1; cut < WEIR_NOTES_SECTOR; cut++) {
        assert_int_equal(append(&log, 2), WEIR_OK);
        file->size -= cut;
        log = open_again(&log, &rig);
        assert_string_equal(log.said.text, "1,");
        assert_int_equal(log.reader.torn_bytes, WEIR_NOTES_SECTOR - cut);
        assert_int_equal(file->size, whole);
    }
    memset(file->data + whole, 0, 4096); /* zeros are no frame */
    file->size = whole + 4096;
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "1,");
    assert_int_equal(append(&log, 3), WEIR_OK);
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "1,3,");
    weir_notes_close(log.notes);
    rig_done(&rig);
}

static void test_every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    struct log log = open_again(NULL, &rig);
    assert_int_equal(append(&log, 1), WEIR_OK);
    assert_int_equal(append(&log, 2), WEIR_OK);
    weir_notes_close(log.notes);
    struct rig_file *file = &rig.files[rig_find(&rig, FIRST)];
    struct support_blob good = {weir_mem_alloc(file->size), file->size};
    memcpy(good.data, file->data, good.size);
    size_t second = good.size - WEIR_NOTES_SECTOR;
    for (size_t bit = 0; bit < good.size * 8; bit++) {
        struct rig again = {.calls = 0};
        file = rig_make(&again, FIRST, good.data, good.size);
        file->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        log = open_again(NULL, &again);
        bool is_late = bit / 8 >= second;
        bool is_head = bit / 8 < WEIR_NOTES_SECTOR;
        assert_string_equal(log.said.text, is_late ? "1," : "");
        assert_true(log.reader.torn_bytes > 0);
        assert_true((rig_find(&again, "set-aside/" FIRST) >= 0) == is_head);
        weir_notes_close(log.notes);
        rig_done(&again);
    }
    weir_mem_free(good.data);
    rig_done(&rig);
}

static void test_unknown_version_is_set_aside(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    uint8_t bytes[WEIR_NOTES_HEADER];
    struct weir_notes_header header = {.version = WEIR_NOTES_VERSION + 1, .number = 1};
    weir_notes_header_write(&header, bytes);
    (void)rig_make(&rig, FIRST, bytes, sizeof bytes);
    struct log log = open_again(NULL, &rig);
    assert_int_equal(log.reader.unreadable, 1);
    assert_true(rig_find(&rig, "set-aside/" FIRST) >= 0);
    assert_true(rig_find(&rig, SECOND) >= 0);
    log = open_again(&log, &rig);
    assert_int_equal(log.reader.unreadable, 0);
    assert_int_equal(snapshot(&log, 1), WEIR_OK);
    weir_notes_close(log.notes);
    rig_done(&rig);
}

/* Before a release goes back the log is written as the older one reads it. */
static void test_a_version_to_write_asks_for_a_new_file(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    struct log log = open_again(NULL, &rig);
    assert_int_equal(append(&log, 1), WEIR_OK);
    weir_notes_close(log.notes);
    struct weir_disk disk = {&rig_ops, &rig};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_notes_open(&disk, 1, 5, &log.reader, &log.notes), WEIR_OK);
        assert_int_equal(weir_notes_wants_snapshot(log.notes), i == 0);
        assert_int_equal(i == 0 ? snapshot(&log, 2) : append(&log, 3), WEIR_OK);
        assert_false(weir_notes_wants_snapshot(log.notes));
        struct weir_notes_header header;
        const struct rig_file *file = &rig.files[rig_find(&rig, SECOND)];
        assert_int_equal(weir_notes_header_read(weir_bytes_of(file->data, file->size), &header),
                         WEIR_OK);
        assert_int_equal(header.version, 1);
        weir_notes_close(log.notes);
    }
    rig_done(&rig);
}

static void test_newest_whole_file_wins(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    struct log log = open_again(NULL, &rig);
    assert_int_equal(append(&log, 1), WEIR_OK);
    struct rig_file old = rig.files[rig_find(&rig, FIRST)];
    struct support_blob copy = {weir_mem_alloc(old.size), old.size};
    memcpy(copy.data, old.data, copy.size);
    assert_int_equal(snapshot(&log, 7), WEIR_OK);
    (void)rig_make(&rig, FIRST, copy.data, copy.size); /* its removal was lost */
    (void)rig_make(&rig, "notes.000000000000000g", "x", 1);
    (void)rig_make(&rig, "notes.1", "x", 1);
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "7,");
    assert_true(rig_find(&rig, FIRST) < 0);
    assert_true(rig_find(&rig, "notes.1") >= 0); /* not ours */
    (void)rig_make(&rig, FIRST, copy.data, copy.size);
    rig.files[rig_find(&rig, SECOND)].size -= 1; /* the new one was not complete */
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "1,");
    assert_true(rig_find(&rig, SECOND) < 0);
    assert_int_equal(snapshot(&log, 8), WEIR_OK);
    /* A file under another's number is not believed. */
    (void)rig_make(&rig, "notes.00000000000000ff", copy.data, copy.size);
    log = open_again(&log, &rig);
    assert_string_equal(log.said.text, "8,");
    weir_notes_close(log.notes);
    weir_mem_free(copy.data);
    rig_done(&rig);
}

static void test_wants_a_snapshot_when_it_has_doubled(void **state)
{
    (void)state;
    struct rig rig = {.calls = 0};
    struct log log = open_again(NULL, &rig);
    struct weir_buf many = weir_buf_grow_init(2 << 20);
    for (uint32_t i = 0; i < 60000; i++) {
        weir_notes_put(&many, &(struct weir_note){.kind = WEIR_NOTE_LOST, .lsn = i});
    }
    struct weir_bytes half = weir_bytes_of(many.data, many.size / 2);
    assert_int_equal(weir_notes_append(log.notes, half), WEIR_OK);
    assert_int_equal(weir_notes_append(log.notes, half), WEIR_OK);
    assert_false(weir_notes_wants_snapshot(log.notes)); /* 660 kB */
    assert_int_equal(weir_notes_append(log.notes, weir_buf_view(&many)), WEIR_OK);
    assert_true(weir_notes_wants_snapshot(log.notes));
    assert_int_equal(weir_notes_snapshot(log.notes, weir_buf_view(&many)), WEIR_OK);
    assert_int_equal(weir_notes_append(log.notes, weir_buf_view(&many)), WEIR_OK);
    assert_false(weir_notes_wants_snapshot(log.notes));
    assert_int_equal(weir_notes_append(log.notes, half), WEIR_OK);
    assert_true(weir_notes_wants_snapshot(log.notes));
    weir_buf_done(&many);
    weir_notes_close(log.notes);
    weir_notes_close(NULL);
    rig_done(&rig);
}

/* -- each call failing once, and from then on ---------------------------------------------- */

/* The log must end with what was last said to be durable, or with something later whose append or
 * snapshot failed only in the end (a snapshot stands for all before it). Returns whether nothing
 * failed. */
static bool life_with_failure(uint32_t fail_at, bool fail_on, int error)
{
    struct rig rig = {.fail_at = fail_at, .fail_on = fail_on, .error = error};
    struct log log;
    enum weir_status opened = log_open(&log, &rig);
    bool clean = opened == WEIR_OK;
    uint64_t last = 0;
    for (uint64_t i = 1; i <= 6 && opened == WEIR_OK; i++) {
        bool is_snapshot = i == 3 || weir_notes_wants_snapshot(log.notes);
        enum weir_status status = is_snapshot ? snapshot(&log, i) : append(&log, i);
        last = status == WEIR_OK ? i : last;
        assert_true(status == WEIR_OK || status == (error == ENOSPC ? WEIR_EFULL : WEIR_EIO));
        clean = clean && status == WEIR_OK;
    }
    if (opened == WEIR_OK) {
        weir_notes_close(log.notes);
    }
    clean = clean && rig.calls < fail_at;
    rig.fail_at = 0;
    for (int i = 0; i < RIG_FILES; i++) {
        rig.files[i].bad = false; /* another process, after a restart */
    }
    assert_int_equal(log_open(&log, &rig), WEIR_OK);
    const char *newest = log.said.size < 2 ? "0," : log.said.text + log.said.size - 2;
    assert_true((uint64_t)(newest[0] - '0') >= last);
    assert_int_equal(append(&log, 77), WEIR_OK);
    log = open_again(&log, &rig);
    assert_non_null(strstr(log.said.text, "77,"));
    weir_notes_close(log.notes);
    rig_done(&rig);
    return clean;
}

static void test_every_call_fails_in_turn(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC};
    for (uint32_t kind = 0; kind < 4; kind++) {
        uint32_t fail_at = 1;
        while (!life_with_failure(fail_at, kind % 2 != 0, errors[kind / 2])) {
            fail_at++;
            assert_true(fail_at < 1000);
        }
        assert_true(fail_at > 10);
    }
}

/* -- bytes --------------------------------------------------------------------------------- */

static void keep(void *argument, const struct weir_note *note)
{
    *(struct weir_note *)argument = *note;
}

static void test_every_kind_comes_back(void **state)
{
    (void)state;
    char name[65] = {0};
    memset(name, 'n', 64);
    for (int kind = WEIR_NOTE_DONE; kind <= WEIR_NOTE_SEGMENT; kind++) {
        struct weir_note note = {.kind = (enum weir_note_kind)kind, .lsn = UINT64_MAX};
        bool has_name = kind <= WEIR_NOTE_ATTEMPTED;
        note.name = has_name ? weir_bytes_str(name) : note.name;
        note.last = kind == WEIR_NOTE_DONE ? 12 : 0;
        note.begin = kind == WEIR_NOTE_PART ? 1 : 0;
        note.end = kind == WEIR_NOTE_PART ? 2 : 0;
        note.total = kind == WEIR_NOTE_PART ? UINT32_MAX : 0;
        note.used_ns = kind == WEIR_NOTE_ATTEMPTED ? INT64_MAX : 0;
        note.wall_ns = kind == WEIR_NOTE_ATTEMPTED ? INT64_MIN : 0;
        note.segment = kind == WEIR_NOTE_SEGMENT ? 4 : 0;
        note.first = kind == WEIR_NOTE_SEGMENT ? 5 : 0;
        if (kind == WEIR_NOTE_ID) {
            note.lsn = 0;
            note.id = (struct weir_id){{1, 2}, 3, 4, -5, 6};
        }
        struct weir_buf out = weir_buf_grow_init(1024);
        weir_notes_put(&out, &note);
        struct weir_note back = {.kind = 0};
        weir_notes_each(weir_buf_view(&out), keep, &back);
        assert_int_equal(back.kind, kind);
        assert_int_equal(back.lsn, note.lsn);
        assert_true(weir_bytes_eq(back.name, note.name));
        back.name = note.name;
        assert_memory_equal(&back.last, &note.last, sizeof note - offsetof(struct weir_note, last));
        weir_buf_done(&out);
    }
}

static void test_odd_notes_are_skipped(void **state)
{
    (void)state;
    static const char odd[] = "c8 0200 0000"           /* a kind of a later version */
                              "06 0700 01020304050607" /* too short */
                              "00 0000"                /* no kind */
                              "01 1200 0100000000000000 0000000000000000 05 61" /* name too long */
                              "06 0a00 0700000000000000 ffff" /* longer than known: read */
                              "06 ff00 0800000000000000";     /* over the end */
    struct support_blob blob = support_hex(odd);
    struct weir_note note = {.kind = 0};
    weir_notes_each(support_view(&blob), keep, &note);
    assert_int_equal(note.kind, WEIR_NOTE_LOST);
    assert_int_equal(note.lsn, 7);
    support_free(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_read_again),
        cmocka_unit_test(test_every_cut_of_the_tail_keeps_what_is_before),
        cmocka_unit_test(test_every_flipped_bit_is_seen),
        cmocka_unit_test(test_unknown_version_is_set_aside),
        cmocka_unit_test(test_a_version_to_write_asks_for_a_new_file),
        cmocka_unit_test(test_newest_whole_file_wins),
        cmocka_unit_test(test_wants_a_snapshot_when_it_has_doubled),
        cmocka_unit_test(test_every_call_fails_in_turn),
        cmocka_unit_test(test_every_kind_comes_back),
        cmocka_unit_test(test_odd_notes_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
