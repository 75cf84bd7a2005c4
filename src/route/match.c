/* SPDX-License-Identifier: Apache-2.0 */
#include "match.h"

#include "weir/mem.h"

#include <stdlib.h>

/* Any order will do, if it is always the same: the size first, since that is at hand. */
static int compare(struct weir_bytes a, struct weir_bytes b)
{
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size == 0 ? 0 : memcmp(a.data, b.data, a.size);
}

static int compare_items(const void *a, const void *b)
{
    return compare(*(const struct weir_bytes *)a, *(const struct weir_bytes *)b);
}

static bool is_glob(const char *pattern)
{
    return strpbrk(pattern, "*?") != NULL;
}

static enum weir_status make_list(const char *const *patterns, struct weir_match_list *ret)
{
    struct weir_match_list list = {.text_count = 0};
    for (size_t i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        list.text_count += is_glob(patterns[i]) ? 0 : 1;
        list.glob_count += is_glob(patterns[i]) ? 1 : 0;
    }
    size_t count = (size_t)list.text_count + list.glob_count;
    if (count > 0) {
        list.texts = weir_mem_zalloc(count, sizeof(*list.texts));
        if (list.texts == NULL) {
            return WEIR_ENOMEM;
        }
        list.globs = list.texts + list.text_count;
        struct weir_bytes *text = list.texts;
        struct weir_bytes *glob = list.globs;
        for (size_t i = 0; i < count; i++) {
            *(is_glob(patterns[i]) ? glob++ : text++) = weir_bytes_str(patterns[i]);
        }
        qsort(list.texts, list.text_count, sizeof(*list.texts), compare_items);
    }
    *ret = list;
    return WEIR_OK;
}

enum weir_status weir_match_init(struct weir_match *ret, const struct weir_route_globs *globs)
{
    struct weir_match match = {.includes_all = globs->include == NULL};
    WEIR_TRY(make_list(globs->include, &match.include));
    enum weir_status status = make_list(globs->exclude, &match.exclude);
    if (status != WEIR_OK) {
        weir_mem_free(match.include.texts);
        return status;
    }
    for (uint32_t i = 0; i < match.include.glob_count; i++) {
        match.includes_all |= weir_bytes_eq(match.include.globs[i], WEIR_BYTES("*"));
    }
    *ret = match;
    return WEIR_OK;
}

void weir_match_done(struct weir_match *match)
{
    weir_mem_free(match->include.texts);
    weir_mem_free(match->exclude.texts);
    *match = (struct weir_match){.includes_all = true};
}

bool weir_match_is_filter(const struct weir_match *match)
{
    return !match->includes_all || match->exclude.text_count + match->exclude.glob_count > 0;
}

static bool has_text(const struct weir_match_list *list, struct weir_bytes text)
{
    uint32_t low = 0;
    uint32_t high = list->text_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(list->texts[middle], text);
        if (order == 0) {
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

static bool fits(const struct weir_match_list *list, struct weir_bytes text)
{
    if (has_text(list, text)) {
        return true;
    }
    for (uint32_t i = 0; i < list->glob_count; i++) {
        if (weir_bytes_glob(list->globs[i], text)) {
            return true;
        }
    }
    return false;
}

bool weir_match_takes(const struct weir_match *match, struct weir_bytes text)
{
    return (match->includes_all || fits(&match->include, text)) && !fits(&match->exclude, text);
}

bool weir_match_names(const struct weir_match *match, struct weir_bytes text)
{
    return has_text(&match->include, text);
}
