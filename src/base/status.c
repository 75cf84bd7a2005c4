/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/status.h"

const char *weir_status_text(enum weir_status status)
{
    switch (status) {
    case WEIR_OK: return "ok";
    case WEIR_EAGAIN: return "more needed";
    case WEIR_EEND: return "end";
    case WEIR_EINVAL: return "invalid argument";
    case WEIR_EMALFORMED: return "malformed";
    case WEIR_ELIMIT: return "over a limit";
    case WEIR_EFULL: return "no room";
    case WEIR_ENOMEM: return "out of memory";
    case WEIR_EIO: return "input or output error";
    case WEIR_ENOTFOUND: return "not found";
    case WEIR_EEXIST: return "exists already";
    case WEIR_EDENIED: return "not allowed";
    case WEIR_ETIMEOUT: return "timed out";
    case WEIR_ECLOSED: return "closed";
    case WEIR_EUNSUPPORTED: return "not supported";
    }
    return "unknown status";
}
