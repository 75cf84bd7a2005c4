/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_buffers.h"
#include <h2o.h>
#include <stddef.h>

void weir_admin_drop_buffers(void)
{
    enum { KEPT_MAX = 16 };
    h2o_mem_recycle_t *kept = &h2o_socket_buffer_prototype.allocator;
    void *buffers[KEPT_MAX];
    size_t count = 0;
    while (kept->cnt > 0 && count < KEPT_MAX) {
        buffers[count++] = h2o_mem_alloc_recycle(kept, 1);
    }
    kept->max = 0;
    while (count > 0) {
        h2o_mem_free_recycle(kept, buffers[--count]);
    }
}
