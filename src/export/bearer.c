/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token from a file.
 *
 *   asked ──a second since the last look──► stat ──not the file that was read──► read
 *                                                                                 │
 *          the header as it was, and a trouble ◄──no token── trimmed, checked ◄───┘
 *                                                               └─► header; the old one is wiped
 *
 *   I1  `seen` is what the file was like before it was last read to the end: a change meanwhile
 *       makes another one of it, which the next look sees
 *   I2  a file that could not be read is looked at as new a second later; one that holds no token
 *       is left alone until it changes
 *
 * stat once a second, and no inotify: the files come by symbolic links that are switched (as
 * Kubernetes does), over network file systems, from shells; stat sees all of that alike.
 *
 * Does no more I/O than that. One thread.
 */
#include "weir/bearer.h"
#include "weir/bytes.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/mem.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOOK_NS WEIR_NS_PER_S
#define LEAD    "Authorization: Bearer "

enum { TOKEN_MAX = 32 << 10, TROUBLE_MAX = 256 };

/* What a file is known by: a writer who replaces it changes the inode, one who writes in place the
 * times, and one who does so twice within a tick of the clock, mostly, the size. */
struct look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    struct timespec modified;
};

struct weir_bearer {
    const char *path;
    char *header; /* or NULL */
    size_t header_size;
    struct look seen;
    int64_t look_ns; /* when to look next */
    char trouble[TROUBLE_MAX];
};

enum weir_status weir_bearer_new(const char *path, struct weir_bearer **ret)
{
    struct weir_bearer *bearer = weir_mem_zalloc(1, sizeof(*bearer));
    if (bearer == NULL) {
        return WEIR_ENOMEM;
    }
    bearer->path = path;
    bearer->look_ns = INT64_MIN;
    *ret = bearer;
    return WEIR_OK;
}

static void wipe(char *memory, size_t size)
{
    if (memory != NULL) {
        explicit_bzero(memory, size);
        weir_mem_free(memory);
    }
}

void weir_bearer_free(struct weir_bearer *bearer)
{
    if (bearer != NULL) {
        wipe(bearer->header, bearer->header_size);
        weir_mem_free(bearer);
    }
}

static bool time_eq(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool look_eq(const struct look *a, const struct look *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           time_eq(a->changed, b->changed) && time_eq(a->modified, b->modified);
}

static void say(struct weir_bearer *bearer, const char *what)
{
    (void)snprintf(bearer->trouble, sizeof(bearer->trouble), "%s: %s", bearer->path, what);
}

static struct weir_bytes trimmed(struct weir_bytes text)
{
    while (text.size > 0 && text.data[0] <= ' ') {
        text = weir_bytes_from(text, 1);
    }
    while (text.size > 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

static bool is_visible(struct weir_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F) {
            return false;
        }
    }
    return true;
}

/* Makes the header of the file's content, or says why not. */
static bool install(struct weir_bearer *bearer, struct weir_bytes content)
{
    struct weir_bytes token = trimmed(content);
    if (token.size == 0 || !is_visible(token)) {
        say(bearer, token.size == 0 ? "is empty" : "does not hold one token");
        return true; /* until it changes */
    }
    size_t lead = sizeof(LEAD) - 1;
    char *header = weir_mem_alloc(lead + token.size + 1);
    if (header == NULL) {
        say(bearer, weir_status_text(WEIR_ENOMEM));
        return false;
    }
    memcpy(header, LEAD, lead);
    memcpy(header + lead, token.data, token.size);
    header[lead + token.size] = '\0';
    wipe(bearer->header, bearer->header_size);
    bearer->header = header;
    bearer->header_size = lead + token.size + 1;
    bearer->trouble[0] = '\0';
    return true;
}

/* Whether the content needs no second reading before the file changes. */
static bool read_token(struct weir_bearer *bearer)
{
    uint8_t *data;
    size_t size;
    enum weir_status status = weir_file_read(bearer->path, TOKEN_MAX, &data, &size);
    if (status != WEIR_OK) {
        say(bearer, status == WEIR_ELIMIT ? "is too long" : weir_status_text(status));
        return false;
    }
    bool is_read = install(bearer, weir_bytes_of(data, size));
    wipe((char *)data, size);
    return is_read;
}

/* Reads the file if it is not the one that was read. What changes while it is read is another one
 * at the next look. */
static void look(struct weir_bearer *bearer, int64_t now_ns)
{
    struct stat info;
    bearer->look_ns = now_ns + LOOK_NS;
    if (stat(bearer->path, &info) != 0) {
        const char *why = strerrordesc_np(errno);
        say(bearer, why == NULL ? "cannot be looked at" : why);
        bearer->seen = (struct look){.inode = 0};
        return;
    }
    const struct look is = {info.st_dev, info.st_ino, info.st_size, info.st_ctim, info.st_mtim};
    if (look_eq(&is, &bearer->seen)) {
        return;
    }
    bearer->seen = is;
    if (!read_token(bearer)) {
        bearer->seen = (struct look){.inode = 0};
    }
}

const char *weir_bearer_header(struct weir_bearer *bearer, int64_t now_ns)
{
    if (now_ns >= bearer->look_ns) {
        look(bearer, now_ns);
    }
    return bearer->header;
}

bool weir_bearer_rejected(struct weir_bearer *bearer, const char *header, int64_t now_ns)
{
    const char *is = weir_bearer_header(bearer, now_ns);
    return is != NULL && strcmp(is, header) != 0;
}

const char *weir_bearer_trouble(const struct weir_bearer *bearer)
{
    return bearer->trouble;
}
