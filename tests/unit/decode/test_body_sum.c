/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of a gzip body, taken on the envelope's way: whatever is wrong with a body, it is
 * said as if all of it had been inflated and checked first. */
#include "bodies.h"
#include "gzip_twins.h"
#include "support.h"
#include "synthetic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BODY_LIMIT ((size_t)32 << 10)

static struct weir_inflater *inflater;
static struct weir_body_options options;

static int set_up(void **state)
{
    (void)state;
    options = fixture_body_options();
    options.gzip = true;
    options.body_limit = BODY_LIMIT;
    return weir_inflater_new(&inflater) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_inflater_free(inflater);
    return 0;
}

/* A body of records with `points` lines of JSON each. */
static struct weir_buf body_of(unsigned records, unsigned points)
{
    struct weir_rand rand = support_rand(11);
    struct weir_buf body = weir_buf_grow_init(1 << 20);
    synthetic_body_begin(&body);
    for (unsigned i = 0; i < records; i++) {
        struct weir_buf record = weir_buf_grow_init(1 << 20);
        for (unsigned j = 0; j < points; j++) {
            struct synthetic_point point = synthetic_random(&rand);
            synthetic_json(&record, &point);
        }
        bodies_record(&body, i, &record);
    }
    bodies_end(&body);
    return body;
}

static enum weir_status check(const struct weir_buf *packed)
{
    return gzip_twins_check(inflater, weir_buf_view(packed), &options);
}

/* Each bit of it, one at a time. How many of the flips it survived. */
static size_t check_every_flip(struct weir_buf *packed)
{
    size_t survived = 0;
    for (size_t bit = 0; bit < 8 * packed->size; bit++) {
        packed->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        survived += check(packed) == WEIR_OK;
        packed->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    return survived;
}

/* Time, flags of no weight (text; a checksum of two bytes is missed by the deflate data), system:
 * 49 bits of the header, and up to seven that fill up the last byte of the data. */
static void test_every_flipped_bit(void **state)
{
    (void)state;
    struct weir_buf body = body_of(1, 1);
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    assert_int_equal(check(&packed), WEIR_OK);
    assert_in_range(check_every_flip(&packed), 49, 56);
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

/* Nothing of it is JSON, or all of it up to its last byte: what is damaged too is told as that. */
static void test_flipped_bits_in_what_is_no_body(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "x", "{\"requestId\":\"id\",\"records\":[{\"data\":\"*\"}]}",
        "{\"requestId\":\"i\\u0064\",\"records\":[{\"data\":\"Zm9v\"},{\"data\":\"Zm9vCg==\"}]",
        "{\"r\\u0065cords\":[{\"d\\u0061ta\":\"e30\\/\"}]}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct weir_buf packed = bodies_gzip(weir_bytes_str(bodies[i]));
        enum weir_status expected = i == 4 ? WEIR_OK : WEIR_EMALFORMED;
        assert_int_equal(check(&packed), expected);
        check_every_flip(&packed);
        weir_buf_done(&packed);
    }
}

static void test_every_truncation(void **state)
{
    (void)state;
    struct weir_buf body = body_of(2, 1);
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    for (size_t whole = packed.size; packed.size > 0;) {
        packed.size--;
        assert_int_equal(check(&packed), WEIR_EMALFORMED);
        assert_true(packed.size < whole);
    }
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

static void test_members_and_trailing_bytes(void **state)
{
    (void)state;
    struct weir_buf body = body_of(2, 1);
    for (size_t cut = 0; cut <= body.size; cut += body.size / 4) {
        struct weir_buf first = bodies_gzip(weir_bytes_of(body.data, cut));
        struct weir_buf rest = bodies_gzip(weir_bytes_from(weir_buf_view(&body), cut));
        size_t one = first.size;
        weir_buf_put(&first, weir_buf_view(&rest));
        assert_int_equal(check(&first), WEIR_OK);
        first.data[one - 5] ^= 1; /* the first member's checksum, then its size too */
        assert_int_equal(check(&first), WEIR_EMALFORMED);
        first.data[one - 5] ^= 1;
        first.data[one - 1] ^= 1;
        assert_int_equal(check(&first), WEIR_EMALFORMED);
        first.data[one - 1] ^= 1;
        for (unsigned i = 0; i < 30; i++) {
            weir_buf_put_byte(&first, (uint8_t)(i == 0 ? 0x1F : i));
            assert_int_equal(check(&first), WEIR_EMALFORMED);
        }
        weir_buf_done(&rest);
        weir_buf_done(&first);
    }
    weir_buf_done(&body);
}

/* A member with the header's optional fields that `flags` names. */
static struct weir_buf with_fields(struct weir_bytes packed, unsigned flags)
{
    struct weir_buf member = weir_buf_grow_init(1 << 24);
    weir_buf_put(&member, weir_bytes_of(packed.data, 10));
    member.data[3] = (uint8_t)flags;
    if ((flags & 0x04) != 0) {
        weir_buf_put(&member, WEIR_BYTES("\x05\x00"
                                         "extra"));
    }
    if ((flags & 0x08) != 0) {
        weir_buf_put(&member, WEIR_BYTES("name\0"));
    }
    if ((flags & 0x10) != 0) {
        weir_buf_put(&member, WEIR_BYTES("\0"));
    }
    if ((flags & 0x02) != 0) {
        weir_buf_put(&member, WEIR_BYTES("##"));
    }
    weir_buf_put(&member, weir_bytes_from(packed, 10));
    assert_false(member.failed);
    return member;
}

/* Every set of flags, with the fields and without them; those that there are cut off everywhere;
 * and all of them with each bit flipped. */
static void test_every_header(void **state)
{
    (void)state;
    struct weir_buf packed = bodies_gzip(WEIR_BYTES("{\"records\":[{\"data\":\"\"}]}"));
    for (unsigned flags = 0; flags < 256; flags++) {
        struct weir_buf member = with_fields(weir_buf_view(&packed), flags);
        size_t whole = member.size;
        assert_int_equal(check(&member), flags < 0x20 ? WEIR_OK : WEIR_EMALFORMED);
        for (member.size = 0; flags < 0x20 && member.size < whole; member.size++) {
            assert_int_equal(check(&member), WEIR_EMALFORMED);
        }
        if (flags == 0x1F) {
            check_every_flip(&member);
        }
        weir_buf_done(&member);
        packed.data[3] = (uint8_t)flags;
        check(&packed);
        packed.data[3] = 0;
    }
    weir_buf_done(&packed);
}

/* Larger than a limit, and damaged as well. */
static void test_limits_and_damage(void **state)
{
    (void)state;
    struct weir_buf body = body_of(1, 2);
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    for (size_t limit = body.size + 2; limit >= body.size - 2; limit--) {
        options.body_limit = limit;
        assert_int_equal(check(&packed), limit < body.size ? WEIR_ELIMIT : WEIR_OK);
        for (size_t at = packed.size - 8; at < packed.size; at++) {
            packed.data[at] ^= 0x10;
            assert_int_not_equal(check(&packed), WEIR_OK);
            packed.data[at] ^= 0x10;
        }
    }
    options.body_limit = BODY_LIMIT;
    options.limits.record_bytes = 100;
    assert_int_equal(check(&packed), WEIR_ELIMIT);
    packed.data[packed.size - 8] ^= 1;
    assert_int_equal(check(&packed), WEIR_EMALFORMED);
    options.limits = fixture_body_options().limits;
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

/* Without memory for its points a damaged body is damaged all the same. */
static void test_damage_before_want_of_memory(void **state)
{
    (void)state;
    struct weir_buf body = body_of(1, 60);
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    unsigned seen[2] = {0, 0};
    packed.data[packed.size - 8] ^= 1;
    for (size_t budget = 0; budget < (size_t)512 << 10; budget += 8192) {
        struct fixture fixture;
        struct weir_body_result result = {0};
        fixture_open_bare(&fixture, budget);
        enum weir_status status =
            weir_body_decode(inflater, fixture.arena, weir_buf_view(&packed), &options, &result);
        seen[status == WEIR_EMALFORMED]++;
        assert_true(status == WEIR_EFULL || status == WEIR_EMALFORMED);
        assert_true(seen[1] == 0 || status == WEIR_EMALFORMED); /* as soon as there is its text */
        assert_int_equal(result.request_id.size, 0);
        fixture_close(&fixture);
    }
    assert_true(seen[0] > 0);
    assert_true(seen[1] > 0);
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

/* Records of some pieces each, and damage at places all over the text. */
static void test_large_records(void **state)
{
    (void)state;
    options.body_limit = (size_t)1 << 20;
    for (unsigned points = 10; points <= 160; points *= 4) {
        struct weir_buf body = body_of(3, points);
        for (size_t at = 0; at < body.size; at += body.size / 19) {
            uint8_t before = body.data[at];
            struct weir_buf sound = bodies_gzip(weir_buf_view(&body));
            body.data[at] = '*'; /* a sender's fault, with a sum of its own; and then not */
            struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
            assert_int_equal(check(&sound), WEIR_OK);
            check(&packed);
            memcpy(packed.data + packed.size - 8, sound.data + sound.size - 8, 4);
            assert_int_equal(check(&packed), before == '*' ? WEIR_OK : WEIR_EMALFORMED);
            body.data[at] = before;
            weir_buf_done(&packed);
            weir_buf_done(&sound);
        }
        weir_buf_done(&body);
    }
    options.body_limit = BODY_LIMIT;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_flipped_bits_in_what_is_no_body),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_members_and_trailing_bytes),
        cmocka_unit_test(test_every_header),
        cmocka_unit_test(test_limits_and_damage),
        cmocka_unit_test(test_damage_before_want_of_memory),
        cmocka_unit_test(test_large_records),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
