/* SPDX-License-Identifier: Apache-2.0 */
#include "load/backup.h"
#include "weir/file.h"
#include "weir/rand.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { LINES_MAX = 1 << 30, MESSAGE_MAX = 1000, PATH_SIZE = 1024 };

static const char key[] = "{\"data\":\"";

/* One record's line; `data` is its base64 as it was sent. */
static void put_line(const struct weir_load_failure *failure, uint32_t record,
                     struct weir_bytes data, struct weir_buf *out)
{
    weir_buf_printf(out, "{\"attemptsMade\":%" PRIu32 ",\"arrivalTimestamp\":%" PRId64,
                    failure->attempts, failure->arrival_ms);
    weir_buf_printf(out, ",\"errorCode\":\"%s\",\"errorMessage\":", failure->code);
    weir_buf_put_json_string(out, failure->message, MESSAGE_MAX);
    weir_buf_printf(out, ",\"attemptEndingTimestamp\":%" PRId64 ",\"rawData\":\"",
                    failure->ending_ms);
    weir_buf_put(out, data);
    weir_buf_printf(out,
                    "\",\"subsequenceNumber\":0,\"dataId\":\"4965%013" PRId64 "%020" PRIu64
                    "%012" PRIu32 ".0\"}\n",
                    failure->arrival_ms, failure->number, record);
}

enum weir_status weir_load_backup_lines(const struct weir_load_failure *failure,
                                        struct weir_bytes json, struct weir_buf *out)
{
    uint32_t record = 0;
    const uint8_t *at = memmem(json.data, json.size, key, sizeof key - 1);
    while (at != NULL) {
        const uint8_t *end = json.data + json.size;
        const uint8_t *data = at + sizeof key - 1;
        const uint8_t *quote = memchr(data, '"', (size_t)(end - data));
        if (quote == NULL) {
            return WEIR_EMALFORMED;
        }
        put_line(failure, record++, weir_bytes_of(data, (size_t)(quote - data)), out);
        at = memmem(quote, (size_t)(end - quote), key, sizeof key - 1);
    }
    if (out->failed) {
        return WEIR_ENOMEM;
    }
    return record == 0 ? WEIR_EMALFORMED : WEIR_OK;
}

/* Makes every folder of the path, not its last part. */
static enum weir_status make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made != 0 && errno != EEXIST) {
            return WEIR_EIO;
        }
    }
    return WEIR_OK;
}

static bool name_object(const char *directory, const struct weir_load_failure *failure, char *ret)
{
    struct tm utc;
    time_t seconds = (time_t)(failure->ending_ms / 1000);
    char folder[32];
    char moment[32];
    uint64_t random;
    weir_rand_system(&random, sizeof random);
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(folder, sizeof folder, "%Y/%m/%d/%H", &utc);
    (void)strftime(moment, sizeof moment, "%Y-%m-%d-%H-%M-%S", &utc);
    int size = snprintf(ret, PATH_SIZE, "%s/http-endpoint-failed/%s/%s-1-%s-%016" PRIx64, directory,
                        folder, failure->stream, moment, random);
    return size > 0 && size < PATH_SIZE;
}

enum weir_status weir_load_backup_write(const char *directory,
                                        const struct weir_load_failure *failure,
                                        struct weir_bytes json)
{
    char path[PATH_SIZE];
    if (!name_object(directory, failure, path)) {
        errno = ENAMETOOLONG;
        return WEIR_EIO;
    }
    struct weir_buf lines = weir_buf_grow_init(LINES_MAX);
    int fd = -1;
    enum weir_status status = weir_load_backup_lines(failure, json, &lines);
    if (status == WEIR_OK) {
        status = make_folders(path);
    }
    if (status == WEIR_OK) {
        status = weir_file_append_open(path, &fd);
    }
    if (status == WEIR_OK) {
        status = weir_file_write(fd, weir_buf_view(&lines));
    }
    weir_file_close(fd);
    weir_buf_done(&lines);
    return status;
}
