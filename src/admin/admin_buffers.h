/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ADMIN_ADMIN_BUFFERS_H
#define WEIR_ADMIN_ADMIN_BUFFERS_H

/* Gives back the input buffers that libh2o keeps for the calling thread: all are taken out, then
 * returned to a list that keeps none. When the thread's loop is gone. */
void weir_admin_drop_buffers(void);

#endif
