/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_STATUS_H
#define WEIR_STATUS_H

/*
 * The one result type of the program. A function that can fail returns it, and its callers must
 * look.
 *
 * The value says what kind of thing went wrong, which is what a caller can act on; the words for a
 * person (which byte, which key of which file) travel in an error struct of the module, where it
 * has one. Outputs are untouched on failure and always set on success.
 */
enum weir_status {
    WEIR_OK = 0,
    WEIR_EAGAIN,      /* not a failure: more input, or a later call, is needed */
    WEIR_EEND,        /* not a failure: an iteration has no further item */
    WEIR_EINVAL,      /* the caller's or the configuration's mistake */
    WEIR_EMALFORMED,  /* input from outside that breaks its format */
    WEIR_ELIMIT,      /* input from outside that breaks one of our limits */
    WEIR_EFULL,       /* no room or no credit now; a later try may pass */
    WEIR_ENOMEM,      /* the allocator said no */
    WEIR_EIO,         /* the operating system said no */
    WEIR_ENOTFOUND,   /* no such entry */
    WEIR_EEXIST,      /* there is one already */
    WEIR_EDENIED,     /* not allowed */
    WEIR_ETIMEOUT,    /* the time for it is over */
    WEIR_ECLOSED,     /* the other side, or we, have ended it */
    WEIR_EUNSUPPORTED /* well-formed, but nothing we know */
};

#define WEIR_MUST_USE __attribute__((warn_unused_result))

/* Returns from the calling function with the status of `expr` unless that is WEIR_OK. */
#define WEIR_TRY(expr)                                                                             \
    do {                                                                                           \
        enum weir_status weir_try_status_ = (expr);                                                \
        if (weir_try_status_ != WEIR_OK) {                                                         \
            return weir_try_status_;                                                               \
        }                                                                                          \
    } while (0)

/* A short lower-case English name ("no room"), for logs and tests. Never NULL; static storage. */
const char *weir_status_text(enum weir_status status);

#endif
