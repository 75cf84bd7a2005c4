/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration. Oracle: what is accepted prints to a text that reads back and prints the same;
 * what is refused has a message with a place. Files that the text names are not looked at. */
#include "weir/config.h"
#include "weir/machine.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <ctype.h>

static struct weir_config_report report;

/* In place of the real one, which reads the cgroup's files: half of the time, and another answer on
 * another machine. */
size_t weir_machine_memory(void)
{
    return (size_t)1 << 30;
}

static bool has_place(const struct weir_config_message *message)
{
    return !message->warning && message->place.line > 0 &&
           strncmp(message->text, "fuzz:", 5) == 0 && isdigit((unsigned char)message->text[5]);
}

/* The printed form of a text; a buffer without memory when it is refused. */
static struct weir_buf print_of(struct weir_bytes text)
{
    struct weir_buf out = weir_buf_grow_init((size_t)64 << 20);
    struct weir_config *config;
    if (weir_config_parse("fuzz", text, true, &report, &config) != WEIR_OK) {
        bool placed = false;
        for (uint32_t i = 0; i < report.count; i++) {
            placed = placed || has_place(&report.messages[i]);
        }
        WEIR_ASSERT(placed);
        return out;
    }
    weir_config_print(config, &out);
    weir_config_free(config);
    WEIR_ASSERT(!out.failed);
    WEIR_ASSERT(out.size > 0);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_buf first = print_of(weir_bytes_of(data, size));
    if (first.size > 0) {
        struct weir_buf second = print_of(weir_buf_view(&first));
        WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&first), weir_buf_view(&second)));
        weir_buf_done(&second);
    }
    weir_buf_done(&first);
    return 0;
}
