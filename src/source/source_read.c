/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a file whole, gzip off: told by 1f 8b and never by the name, since S3 keeps names that
 * lie and browsers take gzip off without a word. */
#include "weir/file.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/source.h"

/* Inflates into memory of its own, twice as much each time it did not fit. */
static enum weir_status inflate(struct weir_bytes input, size_t size_max, uint8_t **ret_data,
                                size_t *ret_size)
{
    struct weir_inflater *inflater = NULL;
    size_t capacity;
    WEIR_TRY(weir_gzip_size_hint(input, size_max, &capacity));
    WEIR_TRY(weir_inflater_new(&inflater));
    enum weir_status status = WEIR_EFULL;
    uint8_t *data = NULL;
    while (status == WEIR_EFULL) {
        weir_mem_free(data);
        data = weir_mem_alloc(capacity + 1);
        status = data == NULL ? WEIR_ENOMEM
                              : weir_gzip_inflate(inflater, input, data, capacity, ret_size);
        if (status == WEIR_EFULL && capacity >= size_max) {
            status = WEIR_ELIMIT;
        }
        capacity = capacity > size_max / 2 ? size_max : capacity * 2;
    }
    weir_inflater_free(inflater);
    if (status != WEIR_OK) {
        weir_mem_free(data);
        return status;
    }
    *ret_data = data;
    return WEIR_OK;
}

enum weir_status weir_source_read(const char *path, size_t size_max, uint8_t **ret_data,
                                  size_t *ret_size)
{
    uint8_t *data;
    size_t size;
    WEIR_TRY(weir_file_read(path, size_max, &data, &size));
    if (size < 2 || data[0] != 0x1f || data[1] != 0x8b) {
        *ret_data = data;
        *ret_size = size;
        return WEIR_OK;
    }
    enum weir_status status = inflate(weir_bytes_of(data, size), size_max, ret_data, ret_size);
    weir_mem_free(data);
    return status;
}
