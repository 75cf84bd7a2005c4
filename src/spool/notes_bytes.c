/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the release log. All numbers little-endian; docs/formats/spool.md is the reference.
 *
 *   file    [ header 64 ][ frame: the snapshot ][ frame ] ... [ frame ]
 *   frame   [ size 4 | CRC-32C 4 | notes: size bytes ]
 *   note    [ kind 1 | size 2 | fields: size bytes ]          kind 0: padding, zeros
 *
 *   I1  a frame's checksum covers its size and its notes, and is seeded with the file's salt
 *   I2  fields are only ever added behind the known ones: a longer note is read as far as it is
 *       known, a kind that is not known is skipped
 *   I3  what does not fit (a note over the frame's end, a name over the note's) is skipped, never
 *       an error: the checksum was right, so it is what a later version meant
 *   I4  a frame ends where a sector does: what one sync made durable is never written again, so a
 *       power cut during the next frame's write cannot tear it
 *
 * Pure. Deliberately believes no value: whoever is visited checks what the numbers say.
 */
#include "notes_internal.h"
#include "weir/crc32c.h"
#include "weir/panic.h"

#include <endian.h>

enum { NOTE_HEADER = 3 };

static const uint8_t magic[8] = {'W', 'E', 'I', 'R', 'n', 'o', 't', 'e'};

/* `size` is 8 at most, and known where it is called: then this is one store. */
static inline void store(uint8_t *at, uint64_t value, size_t size)
{
    uint64_t little = htole64(value);
    memcpy(at, &little, size);
}

static uint64_t load(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

/* -- header and frame ---------------------------------------------------------------------- */

void weir_notes_header_write(const struct weir_notes_header *header, uint8_t *out)
{
    memset(out, 0, WEIR_NOTES_HEADER);
    memcpy(out, magic, sizeof magic);
    store(out + 8, header->version, 4);
    store(out + 16, header->number, 8);
    store(out + 24, header->hash_key[0], 8);
    store(out + 32, header->hash_key[1], 8);
    store(out + 40, header->salt, 8);
    store(out + 60, weir_crc32c(0, weir_bytes_of(out, 60)), 4);
}

enum weir_status weir_notes_header_read(struct weir_bytes bytes, struct weir_notes_header *ret)
{
    if (bytes.size < WEIR_NOTES_HEADER || memcmp(bytes.data, magic, sizeof magic) != 0 ||
        load(bytes.data + 60, 4) != weir_crc32c(0, weir_bytes_of(bytes.data, 60))) {
        return WEIR_EMALFORMED;
    }
    unsigned version = (unsigned)load(bytes.data + 8, 4);
    if (version < WEIR_NOTES_VERSION_MIN || version > WEIR_NOTES_VERSION) {
        ret->version = version;
        return WEIR_EUNSUPPORTED;
    }
    *ret = (struct weir_notes_header){
        .version = version,
        .number = load(bytes.data + 16, 8),
        .hash_key = {load(bytes.data + 24, 8), load(bytes.data + 32, 8)},
        .salt = load(bytes.data + 40, 8),
    };
    return WEIR_OK;
}

size_t weir_notes_pad(uint64_t offset, size_t notes_size, uint8_t *out)
{
    size_t over = (size_t)((offset + WEIR_NOTES_FRAME + notes_size) % WEIR_NOTES_SECTOR);
    size_t size = over == 0 ? 0 : WEIR_NOTES_SECTOR - over;
    if (size == 0) {
        return 0;
    }
    size += size < NOTE_HEADER ? WEIR_NOTES_SECTOR : 0;
    memset(out, 0, size);
    store(out + 1, size - NOTE_HEADER, 2);
    return size;
}

static uint32_t frame_checksum(uint64_t salt, const uint8_t *size, struct weir_bytes notes)
{
    uint8_t seed[8];
    store(seed, salt, sizeof seed);
    uint32_t crc = weir_crc32c(0, weir_bytes_of(seed, sizeof seed));
    return weir_crc32c(weir_crc32c(crc, weir_bytes_of(size, 4)), notes);
}

void weir_notes_frame_write(uint64_t salt, struct weir_bytes notes, struct weir_bytes pad,
                            uint8_t *out)
{
    WEIR_ASSERT(pad.size <= WEIR_NOTES_PAD_MAX);
    WEIR_ASSERT(notes.size <= UINT32_MAX - pad.size);
    store(out, notes.size + pad.size, 4);
    store(out + 4, weir_crc32c(frame_checksum(salt, out, notes), pad), 4);
}

enum weir_status weir_notes_frame_read(uint64_t salt, struct weir_bytes *bytes,
                                       struct weir_bytes *ret_notes)
{
    if (bytes->size < WEIR_NOTES_FRAME) {
        return WEIR_EMALFORMED;
    }
    uint64_t size = load(bytes->data, 4);
    if (size > bytes->size - WEIR_NOTES_FRAME) {
        return WEIR_EMALFORMED;
    }
    struct weir_bytes notes = weir_bytes_of(bytes->data + WEIR_NOTES_FRAME, size);
    if (load(bytes->data + 4, 4) != frame_checksum(salt, bytes->data, notes)) {
        return WEIR_EMALFORMED;
    }
    *bytes = weir_bytes_from(*bytes, WEIR_NOTES_FRAME + size);
    *ret_notes = notes;
    return WEIR_OK;
}

/* -- notes out ----------------------------------------------------------------------------- */

enum { NOTE_MAX = 128 };

struct writer {
    uint8_t bytes[NOTE_MAX];
    size_t size;
};

static inline void put_number(struct writer *writer, uint64_t value, size_t size)
{
    WEIR_ASSERT(writer->size + size <= NOTE_MAX);
    store(writer->bytes + writer->size, value, size);
    writer->size += size;
}

static void put_name(struct writer *writer, struct weir_bytes name)
{
    WEIR_ASSERT(name.size <= WEIR_NOTES_NAME_MAX);
    put_number(writer, name.size, 1);
    WEIR_ASSERT(writer->size + name.size <= NOTE_MAX);
    if (name.size > 0) {
        memcpy(writer->bytes + writer->size, name.data, name.size);
        writer->size += name.size;
    }
}

static void put_id(struct writer *writer, const struct weir_id *id)
{
    put_number(writer, id->key[0], 8);
    put_number(writer, id->key[1], 8);
    put_number(writer, id->content_crc, 4);
    put_number(writer, id->content_size, 8);
    put_number(writer, (uint64_t)id->wall_ns, 8);
    put_number(writer, id->lsn, 8);
}

static void put_fields(struct writer *writer, const struct weir_note *note)
{
    if (note->kind == WEIR_NOTE_ID) {
        put_id(writer, &note->id);
        return;
    }
    put_number(writer, note->lsn, 8);
    switch (note->kind) {
    case WEIR_NOTE_DONE:
        put_number(writer, note->last, 8);
        put_name(writer, note->name);
        break;
    case WEIR_NOTE_PART:
        put_number(writer, note->begin, 4);
        put_number(writer, note->end, 4);
        put_number(writer, note->total, 4);
        put_name(writer, note->name);
        break;
    case WEIR_NOTE_ATTEMPTED:
        put_number(writer, (uint64_t)note->used_ns, 8);
        put_number(writer, (uint64_t)note->wall_ns, 8);
        put_number(writer, note->total, 4);
        put_name(writer, note->name);
        break;
    case WEIR_NOTE_SEGMENT:
        put_number(writer, note->segment, 8);
        put_number(writer, note->first, 8);
        break;
    case WEIR_NOTE_ID:
    case WEIR_NOTE_DURABLE:
    case WEIR_NOTE_LOST: break;
    }
}

void weir_notes_put(struct weir_buf *out, const struct weir_note *note)
{
    struct writer writer = {.size = NOTE_HEADER};
    put_fields(&writer, note);
    writer.bytes[0] = (uint8_t)note->kind;
    store(writer.bytes + 1, writer.size - NOTE_HEADER, 2);
    weir_buf_put(out, weir_bytes_of(writer.bytes, writer.size));
}

/* -- notes in ------------------------------------------------------------------------------ */

struct reader {
    struct weir_bytes left;
    bool failed; /* sticky: a field was not there */
};

static uint64_t get_number(struct reader *reader, size_t size)
{
    if (reader->failed || reader->left.size < size) {
        reader->failed = true;
        return 0;
    }
    uint64_t value = load(reader->left.data, size);
    reader->left = weir_bytes_from(reader->left, size);
    return value;
}

static struct weir_bytes get_name(struct reader *reader)
{
    size_t size = get_number(reader, 1);
    if (reader->failed || size > WEIR_NOTES_NAME_MAX || size > reader->left.size) {
        reader->failed = true;
        return weir_bytes_of(NULL, 0);
    }
    struct weir_bytes name = weir_bytes_of(reader->left.data, size);
    reader->left = weir_bytes_from(reader->left, size);
    return name;
}

static void get_id(struct reader *reader, struct weir_id *id)
{
    id->key[0] = get_number(reader, 8);
    id->key[1] = get_number(reader, 8);
    id->content_crc = (uint32_t)get_number(reader, 4);
    id->content_size = get_number(reader, 8);
    id->wall_ns = (int64_t)get_number(reader, 8);
    id->lsn = get_number(reader, 8);
}

static void get_fields(struct reader *reader, struct weir_note *note)
{
    if (note->kind == WEIR_NOTE_ID) {
        get_id(reader, &note->id);
        return;
    }
    note->lsn = get_number(reader, 8);
    switch (note->kind) {
    case WEIR_NOTE_DONE:
        note->last = get_number(reader, 8);
        note->name = get_name(reader);
        break;
    case WEIR_NOTE_PART:
        note->begin = (uint32_t)get_number(reader, 4);
        note->end = (uint32_t)get_number(reader, 4);
        note->total = (uint32_t)get_number(reader, 4);
        note->name = get_name(reader);
        break;
    case WEIR_NOTE_ATTEMPTED:
        note->used_ns = (int64_t)get_number(reader, 8);
        note->wall_ns = (int64_t)get_number(reader, 8);
        note->total = (uint32_t)get_number(reader, 4);
        note->name = get_name(reader);
        break;
    case WEIR_NOTE_SEGMENT:
        note->segment = get_number(reader, 8);
        note->first = get_number(reader, 8);
        break;
    case WEIR_NOTE_ID:
    case WEIR_NOTE_DURABLE:
    case WEIR_NOTE_LOST: break;
    }
}

void weir_notes_each(struct weir_bytes notes,
                     void (*visit)(void *argument, const struct weir_note *note), void *argument)
{
    while (notes.size >= NOTE_HEADER) {
        unsigned kind = notes.data[0];
        size_t size = load(notes.data + 1, 2);
        notes = weir_bytes_from(notes, NOTE_HEADER);
        if (size > notes.size) {
            return;
        }
        struct reader reader = {weir_bytes_of(notes.data, size), false};
        notes = weir_bytes_from(notes, size);
        if (kind < WEIR_NOTE_DONE || kind > WEIR_NOTE_SEGMENT) {
            continue;
        }
        struct weir_note note = {.kind = (enum weir_note_kind)kind};
        get_fields(&reader, &note);
        if (!reader.failed) {
            visit(argument, &note);
        }
    }
}
