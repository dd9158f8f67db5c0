/* The path shim of the relocated sandbox: what its parts share.
 *
 * A relocated sandbox is an ordinary directory, RUN:
 *
 *     RUN/root    what the program sees as /; a symbolic link where something that many sandboxes share is mapped in
 *     RUN/map     the table that says so, see `struct gg_map`
 *     RUN/unfit   why the result must not be used, once that is known
 *
 * Paths that the program names are virtual; those that the kernel is given are real. Nothing here allocates memory or keeps
 * state that changes, so everything may be called in a child of vfork(2), in a signal handler and in any thread. Functions
 * return a negative errno(3) number for an error, like system calls.
 */
#ifndef GG_SHIM_H
#define GG_SHIM_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define GG_PATH 4096
#define GG_HIDDEN __attribute__((visibility("hidden")))
#define GG_EXPORT __attribute__((visibility("default")))

/* A system call with the kernel's own result. */
static inline long gg_sys6(long n, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "the relocated sandbox knows x86-64 and aarch64 only"
#endif
}

#define gg_sys(n, a, b, c, d) gg_sys6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* The file RUN/map, in this machine's own byte order. Offsets are from its beginning; strings end with a NUL. */
struct gg_map {
    uint32_t magic;
    uint32_t buckets; /* how many, a power of two; each is an entry's number plus one, or 0 */
    uint32_t entries;
    uint32_t first_bucket;
    uint32_t first_entry;
    uint32_t binds; /* how many entries are mapped from elsewhere; their numbers, the longest target first, are at: */
    uint32_t first_bind;
    uint32_t shim;      /* the shim's real path */
    uint32_t libraries; /* virtual directories for the loader to search at the end, with colons */
    uint32_t size;      /* of the file */
};

#define GG_MAGIC 0x6d676731u

struct gg_entry {
    uint32_t hash; /* of its path */
    uint32_t next; /* in the same bucket: an entry's number plus one, or 0 */
    uint32_t path; /* virtual */
    uint32_t path_length;
    uint32_t target;
    uint32_t target_length;
    uint32_t kind;
};

enum gg_kind {
    GG_DIRECTORY = 'd', /* a directory of the sandbox's own */
    GG_LINK = 'l',      /* a symbolic link to the target, which the one below RUN/root only resembles */
    GG_BIND = 'b',      /* a file or directory elsewhere, read-only */
    GG_SYSTEM = 's',    /* a file or directory of the system's: devices, /proc */
};

struct gg_config {
    const struct gg_map *map; /* 0 where there is no sandbox */
    const char *run;
    char root[GG_PATH];
    size_t root_length;
    const char *exe; /* the running program's virtual path */
};

extern GG_HIDDEN struct gg_config gg;

/* Where a path leads. */
struct gg_place {
    char real[GG_PATH];
    char virt[GG_PATH]; /* absolute, without symbolic links as far as it exists */
    size_t real_length, virt_length;
    char area;      /* GG_DIRECTORY, GG_BIND or GG_SYSTEM */
    char is_point;  /* whether it is itself mapped from elsewhere */
    const struct gg_entry *link; /* the planned link that it is, not followed */
};

static inline const char *gg_text(uint32_t offset) { return (const char *)gg.map + offset; }

/* map.c */
GG_HIDDEN int gg_open_map(const char *run);
GG_HIDDEN void gg_close_map(void);
GG_HIDDEN const struct gg_entry *gg_find(const char *virt, size_t length);
/* The virtual path of a real one; its length. */
GG_HIDDEN long gg_virtual(const char *real, char *out);

/* path.c */
enum { GG_NOFOLLOW = 1 };
GG_HIDDEN int gg_resolve(int dir, const char *path, int flags, struct gg_place *place);
GG_HIDDEN int gg_copy(char *out, const char *text, size_t length);
/* The virtual target of one of /proc's own links to files; its length, or -EINVAL for any other path. */
GG_HIDDEN long gg_proc_link(const struct gg_place *place, char *out);

/* exec.c */
struct gg_launch {
    const char *loader;
    const char **argv;
    const char **envp;
};
GG_HIDDEN size_t gg_launch_size(char *const argv[], char *const envp[]);
GG_HIDDEN int gg_prepare(const char *path, char *const argv[], char *const envp[], void *memory, struct gg_launch *out);
GG_HIDDEN void gg_unfit(const char *what, const char *path);

#define GG_PRELOAD "LD_PRELOAD="
#define GG_RUN "GG_SANDBOX_RUN="
#define GG_ARGV0 "GG_SANDBOX_ARGV0="
#define GG_EXE "GG_SANDBOX_EXE="
/* How many variables go first in a program's environment, in the order above, and are taken out before it looks. */
#define GG_VARIABLES 4

#endif
