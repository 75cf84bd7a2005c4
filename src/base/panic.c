/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/panic.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 512 };

/* Appends as much of `text` as fits and gives the new length. stdio is left out: it may hold a lock
 * that the failing thread took, or want memory that is no longer sound. */
static size_t append(char *line, size_t length, const char *text)
{
    size_t size = strlen(text);
    size_t room = LINE_SIZE - 1 - length; /* one byte stays for the line's end */
    if (size > room) {
        size = room;
    }
    memcpy(line + length, text, size);
    return length + size;
}

static size_t append_number(char *line, size_t length, unsigned number)
{
    char digits[12];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return append(line, length, digits + at);
}

void weir_panic(const char *file, int line, const char *what)
{
    char text[LINE_SIZE];
    size_t length = append(text, 0, "weir: panic at ");
    length = append(text, length, file);
    length = append(text, length, ":");
    length = append_number(text, length, line < 0 ? 0 : (unsigned)line);
    length = append(text, length, ": ");
    length = append(text, length, what);
    text[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* nobody is left to tell */
    abort();
}
