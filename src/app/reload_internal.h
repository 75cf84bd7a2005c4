/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_RELOAD_INTERNAL_H
#define WEIR_APP_RELOAD_INTERNAL_H

#include "config_internal.h"
#include "lifecycle_internal.h"

/* What the three files of the reload share. */
#define WEIR_NOT_WANTED UINT32_MAX

/* What a reload came to, in names. */
struct weir_reload_changes {
    struct weir_buf added, removed, changed, routed;        /* destinations */
    struct weir_buf keys_added, keys_removed, keys_changed; /* access keys */
    uint8_t memory[6][WEIR_RELOAD_WORDS_MAX];
};

/* The destination of a slot that is not FREE, as its exporter has it. */
const struct weir_config_destination *weir_slot_destination(const struct weir_slot *slot);

/* What a slot's destination and destination `index` of a generation differ in, files included. */
enum weir_config_difference weir_slot_compare(const struct weir_slot *slot,
                                              const struct weir_generation *generation,
                                              uint32_t index);

/* Gives a slot a phase and what its options point into, for all to see. */
void weir_slot_put(struct weir_service *service, uint32_t number, enum weir_slot_phase phase,
                   struct weir_generation *generation, uint32_t index);

/* Opens the exporter of a slot for destination `index` of `generation`, and makes it ON. Fails as
 * weir_exporter_open does, and changes nothing. */
WEIR_MUST_USE enum weir_status weir_slot_open(struct weir_service *service, uint32_t number,
                                              struct weir_generation *generation, uint32_t index);

/* Tells the custody which slots it may bring what they are owed: those that are ON, and in
 * `slots`. */
void weir_slots_deliver(struct weir_service *service, uint64_t slots);

/* A slot's exporter is now for this name: what the one before had delivered is added up. */
void weir_slot_note_name(struct weir_reload *reload, uint32_t number, const char *name,
                         uint64_t delivered);

/* A set of the router with all that is wanted now, tenants among them, and what the custody may
 * bring. False: no memory, and nothing has changed. */
bool weir_slots_route(struct weir_service *service);

/* Whether no request goes by a set with this slot any more. */
bool weir_slots_left(const struct weir_reload *reload, uint32_t number);

/* Frees generations and records that nothing points into any more. */
void weir_reload_collect(struct weir_service *service);

/* A generation of a loaded configuration, which is its from now on; held by nobody yet. NULL: no
 * memory. */
struct weir_generation *weir_generation_new(struct weir_reload *reload, struct weir_config *config,
                                            bool is_first);

/* Compares what is live with what is to be, before it is. */
void weir_reload_changes_of(const struct weir_service *service, const struct weir_generation *fresh,
                            struct weir_reload_changes *ret);

/* The log's lines. */
void weir_reload_tell_report(const struct weir_config_report *report);
void weir_reload_tell_taken(const struct weir_service *service,
                            const struct weir_reload_changes *changes);

#endif
