/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_TENANTS_INTERNAL_H
#define WEIR_APP_TENANTS_INTERNAL_H

#include "reload_internal.h"

/* What the files of the tenants share. Main thread. */

/* The template in the live configuration whose slot this is; NULL: there is none any more.
 * *ret_index is its number there; may be NULL. */
const struct weir_config_destination *weir_tenants_template(const struct weir_service *service,
                                                            uint32_t template_slot,
                                                            uint32_t *ret_index);

/* Gives a slot a phase, for all to see. */
void weir_tenants_put(struct weir_service *service, uint32_t number, enum weir_tenant_phase phase);

/* Opens the exporter of a slot whose tenant is known, or has it HELD. */
void weir_tenants_open(struct weir_service *service, uint32_t number);

/* Whether the files that an open one's headers are made of say something else now. */
bool weir_tenants_tokens_changed(struct weir_service *service, uint32_t number);

/* When its exporter is FREE: what it was opened with goes. */
void weir_tenants_close(struct weir_service *service, uint32_t number);

/* Another exporter in the place of its own. */
void weir_tenants_swap(struct weir_service *service, uint32_t number);

/* No new requests; then closed. */
void weir_tenants_leave(struct weir_service *service, uint32_t number);

#endif
