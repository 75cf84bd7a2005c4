/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PANIC_H
#define WEIR_PANIC_H

/*
 * What happens when the program finds a bug of its own.
 *
 * Three kinds of check are kept apart: bad input returns a status; our own bug is WEIR_ASSERT,
 * which is compiled in everywhere, in production too, and does not look at NDEBUG; a check that is
 * too dear for a hot path is WEIR_DCHECK, compiled in where WEIR_DCHECKS is set (the debug,
 * sanitizer and fuzz builds). One condition an assert, so that the message says which.
 */

/* Writes one line to standard error (no allocation, no lock) and aborts. Never
 * returns. Any thread. */
__attribute__((noreturn, cold)) void weir_panic(const char *file, int line, const char *what);

#define WEIR_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            weir_panic(__FILE__, __LINE__, #condition);                                            \
        }                                                                                          \
    } while (0)

#ifdef WEIR_DCHECKS
#define WEIR_DCHECK(condition) WEIR_ASSERT(condition)
#else
#define WEIR_DCHECK(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

/* A place that no input can reach. */
#define WEIR_UNREACHABLE() weir_panic(__FILE__, __LINE__, "unreachable")

#endif
