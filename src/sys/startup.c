/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/startup.h"
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Only segments that nobody may write to: private pages of a file that were never changed are the
 * file's own, and giving them back loses nothing (madvise(2), MADV_DONTNEED). */
static int forget_object(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    uintptr_t page = *(const uintptr_t *)argument;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t begin = (info->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_filesz) & ~(page - 1);
        if (end > begin) {
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    return 0;
}

void weir_startup_forget(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)dl_iterate_phdr(forget_object, &page);
}
