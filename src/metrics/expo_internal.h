/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_METRICS_EXPO_INTERNAL_H
#define WEIR_METRICS_EXPO_INTERNAL_H

/* Forgets every collector; weir_metrics_stop's, since what they set is gone. */
void weir_expo_forget_collectors(void);

#endif
