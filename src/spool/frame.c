/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment headers and record headers, to bytes and back. docs/formats/spool.md is the page to read
 * with it; the offsets below are its tables. All numbers are little-endian.
 *
 *   copy of a segment's header, 4096 bytes, twice
 *     0 magic "WEIRSEG\n" | 8 version | 12 checksum of 0..12 | 16 number | 24 salt | 32 size
 *     40 created | 48 names | 52 checksum of all, salted | 56 zero | 64 62 x 65 names | 4094 zero
 *
 *   record's header
 *     0 magic, salted | 4 checksum of all, salted | 8 header size | 12 flags | 16 lsn | 24 durable
 *     32 commit index | 36 commit count | 40 owed | 48 received | 56 points | 60 content crc
 *     64 content size | 72 payload size | 80 request id size | 84 stream size | 88 attributes size
 *     92 key name size (version 1: zero) | 96 checksums of the payload | strings | zeros to 64
 *     (versions 1 and 2: to 8)
 *
 *   I1  the first 16 bytes of a segment's header mean the same in every version there will be, so
 *       "of a version that we cannot read" is told from "damaged"
 *   I2  a record's length is the one thing looked at before its checksum is right, and it is within
 *       WEIR_FRAME_HEADER_MIN..MAX by then
 *   I3  sizes are compared by subtraction from what is left, or summed in 64 bits from parts of 32,
 *       so that none can wrap
 *   I4  what read accepts, write makes: every byte that carries nothing is zero, and is checked
 *
 * The salt counts twice for a record: its upper half is mixed into the magic, and all eight bytes
 * are what every checksum begins with. Who sends us a body does not know it, and so would have to
 * guess 64 bits to have a piece of it taken for a record when a damaged segment is searched.
 *
 * Pure: no allocation, no state, any thread. Not here: whether an lsn is plausible, what a damaged
 * record means, and where the next one is looked for; that is recovery's.
 */
#include "weir/frame.h"
#include "weir/crc32c.h"
#include "weir/panic.h"

enum {
    PAGE = 4096, /* of one copy of the segment's header */
    PREAMBLE = 12,
    NAME = 65,
    SEGMENT_CRC = 52,
    NAMES_AT = 64,
    NAMES_END = NAMES_AT + WEIR_FRAME_NAMES_MAX * NAME,
    RECORD_CRC = 4,
    CRC = 4, /* bytes of a checksum */
};

_Static_assert(NAMES_END <= PAGE, "the roster fits its page");
_Static_assert(2 * PAGE == WEIR_FRAME_SEGMENT_HEADER, "two copies");

static const uint8_t SEGMENT_MAGIC[8] = {'W', 'E', 'I', 'R', 'S', 'E', 'G', '\n'};
static const uint32_t RECORD_MAGIC = UINT32_C(0x43455257); /* "WREC" */

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

static void put64(uint8_t *out, uint64_t value)
{
    put32(out, (uint32_t)value);
    put32(out + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static uint64_t get64(const uint8_t *in)
{
    return get32(in) | (uint64_t)get32(in + 4) << 32;
}

static bool all_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static uint32_t seed_of(uint64_t salt)
{
    uint8_t bytes[8];
    put64(bytes, salt);
    return weir_crc32c(0, weir_bytes_of(bytes, sizeof bytes));
}

/* The checksum of a header whose own four bytes at `hole` count as zeros. */
static uint32_t crc_around(uint64_t salt, struct weir_bytes header, size_t hole)
{
    static const uint8_t zeros[CRC] = {0};
    uint32_t crc = weir_crc32c(seed_of(salt), weir_bytes_of(header.data, hole));
    crc = weir_crc32c(crc, weir_bytes_of(zeros, CRC));
    return weir_crc32c(crc, weir_bytes_from(header, hole + CRC));
}

static bool version_is_known(unsigned version)
{
    return version >= WEIR_FRAME_VERSION_MIN && version <= WEIR_FRAME_VERSION;
}

/* ---- segment ---- */

void weir_frame_segment_write(const struct weir_frame_segment *segment, uint8_t *out)
{
    WEIR_ASSERT(version_is_known(segment->version));
    WEIR_ASSERT(segment->name_count <= WEIR_FRAME_NAMES_MAX);
    memset(out, 0, WEIR_FRAME_SEGMENT_HEADER);
    memcpy(out, SEGMENT_MAGIC, sizeof SEGMENT_MAGIC);
    put32(out + 8, segment->version);
    put32(out + PREAMBLE, weir_crc32c(0, weir_bytes_of(out, PREAMBLE)));
    put64(out + 16, segment->number);
    put64(out + 24, segment->salt);
    put64(out + 32, segment->size);
    put64(out + 40, (uint64_t)segment->created_wall_ns);
    put32(out + 48, segment->name_count);
    for (uint32_t i = 0; i < segment->name_count; i++) {
        size_t size = strnlen(segment->names[i], NAME);
        WEIR_ASSERT(size < NAME);
        memcpy(out + NAMES_AT + (size_t)i * NAME, segment->names[i], size);
    }
    put32(out + SEGMENT_CRC, crc_around(segment->salt, weir_bytes_of(out, PAGE), SEGMENT_CRC));
    memcpy(out + PAGE, out, PAGE);
}

/* A name ends within its slot and is followed by zeros; slots past the last name are zeros. */
static bool roster_is_good(const uint8_t *page, uint32_t count)
{
    if (count > WEIR_FRAME_NAMES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *slot = page + NAMES_AT + (size_t)i * NAME;
        size_t size = strnlen((const char *)slot, NAME);
        if (size == NAME || !all_zero(slot + size, NAME - size)) {
            return false;
        }
    }
    size_t end = NAMES_AT + (size_t)count * NAME;
    return all_zero(page + end, PAGE - end);
}

/* WEIR_EUNSUPPORTED: of version *ret_version, and that much is certain. */
static enum weir_status check_page(const uint8_t *page, unsigned *ret_version)
{
    if (memcmp(page, SEGMENT_MAGIC, sizeof SEGMENT_MAGIC) != 0 ||
        get32(page + PREAMBLE) != weir_crc32c(0, weir_bytes_of(page, PREAMBLE))) {
        return WEIR_EMALFORMED;
    }
    *ret_version = get32(page + 8);
    if (!version_is_known(*ret_version)) {
        return WEIR_EUNSUPPORTED;
    }
    uint32_t crc = crc_around(get64(page + 24), weir_bytes_of(page, PAGE), SEGMENT_CRC);
    if (get32(page + SEGMENT_CRC) != crc) {
        return WEIR_EMALFORMED;
    }
    uint64_t size = get64(page + 32);
    bool size_is_good = size > WEIR_FRAME_SEGMENT_HEADER && size % WEIR_FRAME_COMMIT_ALIGN == 0;
    bool is_good = size_is_good && all_zero(page + 56, 8) && roster_is_good(page, get32(page + 48));
    return is_good ? WEIR_OK : WEIR_EMALFORMED;
}

static void read_page(const uint8_t *page, struct weir_frame_segment *ret)
{
    *ret = (struct weir_frame_segment){
        .version = get32(page + 8),
        .number = get64(page + 16),
        .salt = get64(page + 24),
        .size = get64(page + 32),
        .created_wall_ns = (int64_t)get64(page + 40),
        .name_count = get32(page + 48),
    };
    memcpy(ret->names, page + NAMES_AT, sizeof ret->names);
}

enum weir_status weir_frame_segment_read(struct weir_bytes bytes, struct weir_frame_segment *ret)
{
    if (bytes.size < WEIR_FRAME_SEGMENT_HEADER) {
        return WEIR_EMALFORMED;
    }
    const uint8_t *first = bytes.data;
    const uint8_t *second = bytes.data + PAGE;
    unsigned versions[2] = {0, 0};
    enum weir_status one = check_page(first, &versions[0]);
    enum weir_status two = check_page(second, &versions[1]);
    if (one != WEIR_OK && two != WEIR_OK) {
        if (one != WEIR_EUNSUPPORTED && two != WEIR_EUNSUPPORTED) {
            return WEIR_EMALFORMED;
        }
        ret->version = versions[one == WEIR_EUNSUPPORTED ? 0 : 1];
        return WEIR_EUNSUPPORTED;
    }
    bool second_is_newer = one != WEIR_OK || get64(second + 16) > get64(first + 16);
    read_page(two == WEIR_OK && second_is_newer ? second : first, ret);
    ret->mended = memcmp(first, second, PAGE) != 0;
    return WEIR_OK;
}

/* ---- record ---- */

static uint64_t chunks_of(unsigned version, uint64_t payload_size)
{
    if (version == 1) {
        return 1; /* for nothing, too */
    }
    return payload_size / WEIR_FRAME_CHUNK + (payload_size % WEIR_FRAME_CHUNK != 0);
}

/* The payload's part that chunk `index` is the checksum of. */
static struct weir_bytes chunk_at(unsigned version, struct weir_bytes payload, size_t index)
{
    if (version == 1) {
        return payload;
    }
    struct weir_bytes rest = weir_bytes_from(payload, index * WEIR_FRAME_CHUNK);
    rest.size = rest.size < WEIR_FRAME_CHUNK ? rest.size : WEIR_FRAME_CHUNK;
    return rest;
}

static uint64_t round_up(uint64_t size, uint64_t align)
{
    return (size + align - 1) & ~(align - 1);
}

/* What a header's size is a multiple of. */
static size_t header_align(unsigned version)
{
    return version < 3 ? 8 : WEIR_FRAME_RECORD_ALIGN;
}

size_t weir_frame_record_header(const struct weir_frame_segment *segment,
                                const struct weir_frame_record *record)
{
    size_t key_name = segment->version == 1 ? 0 : record->key_name.size;
    uint64_t chunks = chunks_of(segment->version, record->payload_size);
    if (record->request_id.size > WEIR_FRAME_STRING_MAX ||
        record->stream.size > WEIR_FRAME_STRING_MAX || key_name > WEIR_FRAME_STRING_MAX ||
        record->attributes.size > WEIR_FRAME_HEADER_MAX || chunks > WEIR_FRAME_HEADER_MAX) {
        return 0;
    }
    uint64_t size = WEIR_FRAME_HEADER_MIN + chunks * CRC + record->request_id.size +
                    record->stream.size + key_name + record->attributes.size;
    size = round_up(size, header_align(segment->version));
    return size > WEIR_FRAME_HEADER_MAX ? 0 : (size_t)size;
}

uint64_t weir_frame_record_extent(size_t header_size, uint64_t payload_size)
{
    uint64_t size;
    if (__builtin_add_overflow(payload_size, header_size + WEIR_FRAME_RECORD_ALIGN, &size)) {
        return UINT64_MAX & ~(uint64_t)(WEIR_FRAME_RECORD_ALIGN - 1);
    }
    return round_up(header_size + payload_size, WEIR_FRAME_RECORD_ALIGN);
}

static uint32_t magic_of(const struct weir_frame_segment *segment)
{
    return RECORD_MAGIC ^ (uint32_t)(segment->salt >> 32);
}

static uint8_t *put_text(uint8_t *out, struct weir_bytes text)
{
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    return out + text.size;
}

static void put_fixed(const struct weir_frame_segment *segment,
                      const struct weir_frame_record *record, uint8_t *out)
{
    put32(out, magic_of(segment));
    put32(out + 12, record->flags);
    put64(out + 16, record->lsn);
    put64(out + 24, record->durable);
    put32(out + 32, record->commit_index);
    put32(out + 36, record->commit_count);
    put64(out + 40, record->owed);
    put64(out + 48, (uint64_t)record->received_wall_ns);
    put32(out + 56, record->points);
    put32(out + 60, record->content_crc);
    put64(out + 64, record->content_size);
    put64(out + 72, record->payload_size);
    put32(out + 80, (uint32_t)record->request_id.size);
    put32(out + 84, (uint32_t)record->stream.size);
    put32(out + 88, (uint32_t)record->attributes.size);
}

void weir_frame_record_write(const struct weir_frame_segment *segment,
                             const struct weir_frame_record *record, struct weir_bytes payload,
                             uint8_t *out)
{
    size_t size = weir_frame_record_header(segment, record);
    WEIR_ASSERT(size > 0);
    WEIR_ASSERT(payload.size == record->payload_size);
    WEIR_ASSERT(record->lsn > record->durable);
    WEIR_ASSERT(record->commit_index < record->commit_count);
    WEIR_ASSERT((record->flags & ~(uint32_t)WEIR_FRAME_GZIP) == 0);
    memset(out, 0, size);
    put_fixed(segment, record, out);
    put32(out + 8, (uint32_t)size);
    uint8_t *end = out + WEIR_FRAME_HEADER_MIN;
    uint32_t seed = seed_of(segment->salt);
    size_t chunks = (size_t)chunks_of(segment->version, payload.size);
    for (size_t i = 0; i < chunks; i++) {
        put32(end, weir_crc32c(seed, chunk_at(segment->version, payload, i)));
        end += CRC;
    }
    end = put_text(end, record->request_id);
    end = put_text(end, record->stream);
    if (segment->version > 1) {
        put32(out + 92, (uint32_t)record->key_name.size);
        end = put_text(end, record->key_name);
    }
    end = put_text(end, record->attributes);
    WEIR_ASSERT(size - (size_t)(end - out) < header_align(segment->version));
    put32(out + RECORD_CRC, crc_around(segment->salt, weir_bytes_of(out, size), RECORD_CRC));
}

/* The next `size` bytes of a header that was measured. */
static struct weir_bytes take(const uint8_t **position, uint64_t size)
{
    struct weir_bytes taken = weir_bytes_of(*position, (size_t)size);
    *position += size;
    return taken;
}

/* The parts after the fixed one, when they fill the header exactly. */
static bool read_parts(const struct weir_frame_segment *segment, struct weir_bytes header,
                       struct weir_frame_record *record)
{
    uint64_t request_id = get32(header.data + 80);
    uint64_t stream = get32(header.data + 84);
    uint64_t attributes = get32(header.data + 88);
    uint64_t key_name = get32(header.data + 92);
    uint64_t chunks = chunks_of(segment->version, record->payload_size);
    if (chunks > WEIR_FRAME_HEADER_MAX / CRC || request_id > WEIR_FRAME_STRING_MAX ||
        stream > WEIR_FRAME_STRING_MAX || key_name > WEIR_FRAME_STRING_MAX ||
        (segment->version == 1 && key_name > 0)) {
        return false;
    }
    uint64_t used =
        WEIR_FRAME_HEADER_MIN + chunks * CRC + request_id + stream + key_name + attributes;
    if (used > header.size || header.size - used >= header_align(segment->version)) {
        return false;
    }
    const uint8_t *position = header.data + WEIR_FRAME_HEADER_MIN;
    record->checksums = take(&position, chunks * CRC);
    record->request_id = take(&position, request_id);
    record->stream = take(&position, stream);
    record->key_name = take(&position, key_name);
    record->attributes = take(&position, attributes);
    return all_zero(position, (size_t)(header.size - used));
}

static void read_fixed(const uint8_t *in, struct weir_frame_record *ret)
{
    *ret = (struct weir_frame_record){
        .flags = get32(in + 12),
        .lsn = get64(in + 16),
        .durable = get64(in + 24),
        .commit_index = get32(in + 32),
        .commit_count = get32(in + 36),
        .owed = get64(in + 40),
        .received_wall_ns = (int64_t)get64(in + 48),
        .points = get32(in + 56),
        .content_crc = get32(in + 60),
        .content_size = get64(in + 64),
        .payload_size = get64(in + 72),
    };
}

static bool record_is_good(const struct weir_frame_segment *segment, size_t header_size,
                           const struct weir_frame_record *record)
{
    uint64_t room = segment->size > WEIR_FRAME_SEGMENT_HEADER /* else a file cut to nothing */
                        ? segment->size - WEIR_FRAME_SEGMENT_HEADER
                        : 0;
    return record->lsn > record->durable && record->commit_index < record->commit_count &&
           (record->flags & ~(uint32_t)WEIR_FRAME_GZIP) == 0 &&
           weir_frame_record_extent(header_size, record->payload_size) <= room;
}

enum weir_status weir_frame_record_read(const struct weir_frame_segment *segment,
                                        struct weir_bytes bytes, struct weir_frame_record *ret,
                                        size_t *ret_header_size)
{
    WEIR_ASSERT(version_is_known(segment->version));
    if (bytes.size >= 4 && get32(bytes.data) != magic_of(segment)) {
        return WEIR_EMALFORMED;
    }
    if (bytes.size < WEIR_FRAME_HEADER_MIN) {
        *ret_header_size = WEIR_FRAME_HEADER_MIN;
        return WEIR_EAGAIN;
    }
    size_t size = get32(bytes.data + 8);
    if (size < WEIR_FRAME_HEADER_MIN || size > WEIR_FRAME_HEADER_MAX ||
        size % header_align(segment->version) != 0) {
        return WEIR_EMALFORMED;
    }
    if (size > bytes.size) {
        *ret_header_size = size;
        return WEIR_EAGAIN;
    }
    struct weir_bytes header = weir_bytes_of(bytes.data, size);
    if (get32(header.data + RECORD_CRC) != crc_around(segment->salt, header, RECORD_CRC)) {
        return WEIR_EMALFORMED;
    }
    struct weir_frame_record record;
    read_fixed(header.data, &record);
    if (!record_is_good(segment, size, &record) || !read_parts(segment, header, &record)) {
        return WEIR_EMALFORMED;
    }
    *ret = record;
    *ret_header_size = size;
    return WEIR_OK;
}

bool weir_frame_payload_is_whole(const struct weir_frame_segment *segment,
                                 const struct weir_frame_record *record, struct weir_bytes payload)
{
    uint64_t chunks = chunks_of(segment->version, payload.size);
    if (payload.size != record->payload_size || record->checksums.size != chunks * CRC) {
        return false;
    }
    uint32_t seed = seed_of(segment->salt);
    for (size_t i = 0; i < chunks; i++) {
        uint32_t crc = weir_crc32c(seed, chunk_at(segment->version, payload, i));
        if (get32(record->checksums.data + i * CRC) != crc) {
            return false;
        }
    }
    return true;
}
