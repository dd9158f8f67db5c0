/* The worker's own part: the first program of a sandbox. */

#include "shim.h"

/* For what comes before the first program, and after it. */
int gg_sandbox_open(const char *run) { return gg_open_map(run); }
void gg_sandbox_close(void) { gg_close_map(); }

size_t gg_sandbox_size(char *const argv[], char *const envp[]) { return gg_launch_size(argv, envp); }

/* How to start a program: `memory` is as large as `gg_sandbox_size` says, and aligned for pointers. */
int gg_sandbox_launch(const char *path, char *const argv[], char *const envp[], void *memory, struct gg_launch *out) {
    return gg_prepare(path, argv, envp, memory, out);
}

/* The real path of a virtual one, for `GG_PATH` bytes at `out`. */
int gg_sandbox_real(const char *virt, char *out) {
    struct gg_place place;
    int failed = gg_resolve(AT_FDCWD, virt, 0, &place);
    return failed ? failed : gg_copy(out, place.real, place.real_length);
}
