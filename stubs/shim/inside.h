/* What the parts that run inside programs share, beside shim.h. */
#ifndef GG_INSIDE_H
#define GG_INSIDE_H

#include "shim.h"

extern char **environ;

/* From a system call's result to a library function's. */
static inline long gg_result(long result) {
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* The next object's function of this name, after this shim; 0 where there is none. */
GG_HIDDEN void *gg_next(const char *name);

#define GG_NEXT(name) ((__typeof__(&name))gg_next(#name))

/* Whether a change below a place is not allowed: 0, or the error that a read-only mount gives. */
GG_HIDDEN int gg_refuse(const struct gg_place *place);
/* Opens as openat(2). */
GG_HIDDEN long gg_open(int dir, const char *path, int flags, unsigned mode);

/* Memory for one call: on the stack where it is little. */
#define GG_SMALL (96 << 10)
GG_HIDDEN void *gg_map_memory(size_t bytes);
GG_HIDDEN void gg_unmap_memory(void *memory, size_t bytes);
#define GG_TAKE(bytes) ((bytes) <= GG_SMALL ? __builtin_alloca(bytes) : gg_map_memory(bytes))
#define GG_GIVE(memory, bytes) ((bytes) <= GG_SMALL ? (void)0 : gg_unmap_memory((memory), (bytes)))

#endif
