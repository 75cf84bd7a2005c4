/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/sandbox.h"
#include <sys/prctl.h>
#include <sys/resource.h>

const char *weir_sandbox_unfit(void)
{
#if defined(WEIR_ASAN) || defined(WEIR_TSAN)
    return "this build has a sanitizer in it";
#elif defined(WEIR_COVERAGE)
    return "this build counts coverage";
#else
    return NULL;
#endif
}

void weir_sandbox_harden(bool core_dumps)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (core_dumps || weir_sandbox_unfit() != NULL) {
        return; /* a leak checker looks at its own process like a debugger */
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}
