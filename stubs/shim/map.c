/* The table of what a sandbox's paths stand for. */

#include "shim.h"
#include <sys/mman.h>

struct gg_config gg;

static uint32_t hash_of(const char *text, size_t length) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t at = 0; at < length; at++)
        hash = (hash ^ (unsigned char)text[at]) * 16777619u;
    return hash;
}

int gg_open_map(const char *run) {
    size_t length = strlen(run);
    if (length + sizeof "/root" > GG_PATH)
        return -ENAMETOOLONG;
    memcpy(gg.root, run, length);
    memcpy(gg.root + length, "/map", sizeof "/map");
    long fd = gg_sys(SYS_openat, AT_FDCWD, gg.root, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return (int)fd;
    struct gg_map head;
    long got = gg_sys(SYS_pread64, fd, &head, sizeof head, 0);
    if (got != sizeof head || head.magic != GG_MAGIC) {
        gg_sys(SYS_close, fd, 0, 0, 0);
        return -EINVAL;
    }
    long map = gg_sys6(SYS_mmap, 0, head.size, PROT_READ, MAP_PRIVATE, fd, 0);
    gg_sys(SYS_close, fd, 0, 0, 0);
    if (map < 0 && map > -4096)
        return (int)map;
    memcpy(gg.root + length, "/root", sizeof "/root");
    gg.root_length = length + strlen("/root");
    gg.run = run;
    gg.map = (const struct gg_map *)map;
    return 0;
}

void gg_close_map(void) {
    gg_sys(SYS_munmap, gg.map, gg.map->size, 0, 0);
    gg.map = 0;
}

static const struct gg_entry *entries(void) { return (const struct gg_entry *)gg_text(gg.map->first_entry); }

const struct gg_entry *gg_find(const char *virt, size_t length) {
    const uint32_t *buckets = (const uint32_t *)gg_text(gg.map->first_bucket);
    uint32_t hash = hash_of(virt, length);
    for (uint32_t number = buckets[hash & (gg.map->buckets - 1)]; number;) {
        const struct gg_entry *entry = entries() + number - 1;
        if (entry->hash == hash && entry->path_length == length && !memcmp(gg_text(entry->path), virt, length))
            return entry;
        number = entry->next;
    }
    return 0;
}

static int is_below(const char *path, size_t length, const char *above, size_t above_length) {
    return length >= above_length && !memcmp(path, above, above_length) &&
           (length == above_length || path[above_length] == '/');
}

long gg_virtual(const char *real, char *out) {
    size_t length = strlen(real);
    if (is_below(real, length, gg.root, gg.root_length)) {
        if (length == gg.root_length) {
            memcpy(out, "/", 2);
            return 1;
        }
        memcpy(out, real + gg.root_length, length - gg.root_length + 1);
        return (long)(length - gg.root_length);
    }
    const uint32_t *binds = (const uint32_t *)gg_text(gg.map->first_bind);
    for (uint32_t at = 0; at < gg.map->binds; at++) {
        const struct gg_entry *entry = entries() + binds[at];
        if (!is_below(real, length, gg_text(entry->target), entry->target_length))
            continue;
        size_t rest = length - entry->target_length;
        if (entry->path_length + rest >= GG_PATH)
            return -ENAMETOOLONG;
        memcpy(out, gg_text(entry->path), entry->path_length);
        memcpy(out + entry->path_length, real + entry->target_length, rest + 1);
        return (long)(entry->path_length + rest);
    }
    return -ENOENT;
}
