/* From virtual paths to real ones: what the kernel does with a path (path_resolution(7)), over the sandbox's table. */

#include "shim.h"

/* As many links are followed in one path. */
#define MOST_LINKS 40

int gg_copy(char *out, const char *text, size_t length) {
    if (length >= GG_PATH)
        return -ENAMETOOLONG;
    memcpy(out, text, length);
    out[length] = 0;
    return 0;
}

static int set_real(struct gg_place *place, const char *text, size_t length) {
    place->real_length = length;
    return gg_copy(place->real, text, length);
}

static int append(char *text, size_t *length, const char *name, size_t name_length) {
    if (*length + 1 + name_length >= GG_PATH)
        return -ENAMETOOLONG;
    text[(*length)++] = '/';
    memcpy(text + *length, name, name_length);
    *length += name_length;
    text[*length] = 0;
    return 0;
}

/* Goes to what an entry of the table, which is no link, stands for. */
static int enter(struct gg_place *place, const struct gg_entry *entry) {
    place->is_point = entry->kind != GG_DIRECTORY;
    place->area = (char)entry->kind;
    return entry->kind == GG_DIRECTORY ? 0 : set_real(place, gg_text(entry->target), entry->target_length);
}

/* Sets the real path of the virtual one, which has no links in it. */
static int find_real(struct gg_place *place) {
    size_t end = place->virt_length;
    for (; end > 0; end--) {
        if (end != place->virt_length && place->virt[end] != '/')
            continue;
        const struct gg_entry *entry = gg_find(place->virt, end);
        if (entry && (entry->kind == GG_BIND || entry->kind == GG_SYSTEM)) {
            int failed = enter(place, entry);
            if (failed)
                return failed;
            break;
        }
    }
    if (end == 0) {
        place->area = GG_DIRECTORY;
        place->is_point = 0;
        memcpy(place->real, gg.root, gg.root_length + 1);
        place->real_length = gg.root_length;
    } else if (end != place->virt_length) {
        place->is_point = 0;
    }
    size_t rest = place->virt_length - end;
    if (place->real_length + rest >= GG_PATH)
        return -ENAMETOOLONG;
    memcpy(place->real + place->real_length, place->virt + end, rest);
    place->real_length += rest;
    place->real[place->real_length] = 0;
    return 0;
}

static int start(int dir, struct gg_place *place) {
    char real[GG_PATH];
    long length;
    if (dir == AT_FDCWD) {
        length = gg_sys(SYS_getcwd, real, GG_PATH, 0, 0);
    } else {
        char link[40] = "/proc/self/fd/";
        char *at = link + strlen(link), digits[12];
        int count = 0;
        if (dir < 0)
            return -EBADF;
        for (int left = dir; left || !count; left /= 10)
            digits[count++] = (char)('0' + left % 10);
        while (count)
            *at++ = digits[--count];
        *at = 0;
        length = gg_sys(SYS_readlinkat, AT_FDCWD, link, real, GG_PATH - 1);
        if (length == -ENOENT)
            return -EBADF;
        if (length >= 0)
            real[length] = 0;
    }
    if (length < 0)
        return (int)length;
    long virt = gg_virtual(real, place->virt);
    if (virt < 0)
        return (int)virt;
    place->virt_length = virt == 1 ? 0 : (size_t)virt;
    return find_real(place);
}

static int is_number(const char *text, size_t length) {
    for (size_t at = 0; at < length; at++)
        if (text[at] < '0' || text[at] > '9')
            return 0;
    return length > 0;
}

long gg_proc_link(const struct gg_place *place, char *out) {
    const char *virt = place->virt;
    if (place->area != GG_SYSTEM || strncmp(virt, "/proc/", 6))
        return -EINVAL;
    const char *process = virt + 6, *slash = strchr(process, '/');
    size_t length = slash ? (size_t)(slash - process) : 0;
    int self = (length == 4 && !memcmp(process, "self", 4)) || (length == 11 && !memcmp(process, "thread-self", 11));
    if (!self && !is_number(process, length))
        return -EINVAL;
    const char *rest = slash + 1;
    if (!strcmp(rest, "root"))
        return memcpy(out, "/", 2), 1;
    int exe = !strcmp(rest, "exe"), cwd = !strcmp(rest, "cwd"), fd = !strncmp(rest, "fd/", 3) && rest[3];
    if (exe && !self) {
        long own = gg_sys(SYS_getpid, 0, 0, 0, 0), given = 0;
        for (size_t at = 0; at < length && given < 100000000; at++)
            given = given * 10 + (process[at] - '0');
        self = own == given;
    }
    if (exe && self && gg.exe) {
        int failed = gg_copy(out, gg.exe, strlen(gg.exe));
        return failed ? failed : (long)strlen(out);
    }
    if (!exe && !cwd && !fd)
        return -EINVAL;
    char real[GG_PATH];
    long got = gg_sys(SYS_readlinkat, AT_FDCWD, place->real, real, GG_PATH - 1);
    if (got < 0)
        return got;
    real[got] = 0;
    long virtual = gg_virtual(real, out);
    if (virtual >= 0)
        return virtual;
    memcpy(out, real, (size_t)got + 1); /* pipe:[1], /memfd:x, or something that the worker opened */
    return got;
}

/* Whether the component that the walk has come to is a link that leads on; its target's length. */
static long link_target(struct gg_place *place, const struct gg_entry *entry, char *out) {
    if (entry) {
        if (entry->kind != GG_LINK)
            return -EINVAL;
        int failed = gg_copy(out, gg_text(entry->target), entry->target_length);
        return failed ? failed : (long)entry->target_length;
    }
    if (place->area == GG_SYSTEM) {
        /* /proc's links to open files are left to the kernel: not all of them have a path. */
        if (strstr(place->virt, "/fd/"))
            return -EINVAL;
        return gg_proc_link(place, out);
    }
    long got = gg_sys(SYS_readlinkat, AT_FDCWD, place->real, out, GG_PATH - 1);
    if (got >= 0)
        out[got] = 0;
    return got;
}

int gg_resolve(int dir, const char *path, int flags, struct gg_place *place) {
    char todo[2 * GG_PATH], target[GG_PATH];
    size_t length = strlen(path);
    if (!length)
        return -ENOENT;
    if (length >= GG_PATH)
        return -ENAMETOOLONG;
    char *at = todo + GG_PATH;
    memcpy(at, path, length + 1);
    place->link = 0;
    int failed, links = 0, slash = 0, known = 1;
    if (*at == '/') {
        place->virt_length = 0;
        place->virt[0] = 0;
        failed = find_real(place);
    } else {
        failed = start(dir, place);
    }
    if (failed)
        return failed;
    for (;;) {
        while (*at == '/')
            at++, slash = 1;
        if (!*at)
            break;
        char *name = at;
        while (*at && *at != '/')
            at++;
        size_t name_length = (size_t)(at - name);
        slash = 0;
        if (name_length == 1 && name[0] == '.') {
            slash = 1;
            continue;
        }
        if (name_length == 2 && name[0] == '.' && name[1] == '.') {
            slash = 1;
            if (!known) {
                /* What the way back leads out of has to be a directory. */
                if (place->real_length + 2 >= GG_PATH)
                    return -ENAMETOOLONG;
                memcpy(place->real + place->real_length, "/.", 3);
                long there = gg_sys(SYS_faccessat, AT_FDCWD, place->real, 0, 0);
                if (there < 0)
                    return (int)there;
            }
            while (place->virt_length && place->virt[place->virt_length - 1] != '/')
                place->virt_length--;
            if (place->virt_length)
                place->virt_length--;
            place->virt[place->virt_length] = 0;
            if ((failed = find_real(place)))
                return failed;
            known = 0;
            continue;
        }
        size_t virt_before = place->virt_length, real_before = place->real_length;
        char area_before = place->area;
        if ((failed = append(place->virt, &place->virt_length, name, name_length)))
            return failed;
        if ((failed = append(place->real, &place->real_length, name, name_length)))
            return failed;
        const struct gg_entry *entry = gg_find(place->virt, place->virt_length);
        place->is_point = 0;
        known = entry && entry->kind != GG_LINK;
        if (known) {
            if ((failed = enter(place, entry)))
                return failed;
            continue;
        }
        char *end = at;
        while (*end == '/')
            end++;
        if (!*end && end == at && flags & GG_NOFOLLOW) {
            place->link = entry;
            break;
        }
        long got = link_target(place, entry, target);
        if (got < 0)
            continue; /* no link, or nothing: what is done with the path will tell */
        if (++links > MOST_LINKS)
            return -ELOOP;
        size_t rest = strlen(at);
        if (!got)
            return -ENOENT;
        if ((size_t)got + rest >= GG_PATH)
            return -ENAMETOOLONG;
        memmove(todo + (size_t)got, at, rest + 1);
        memcpy(todo, target, (size_t)got);
        /* Room is left in front, never needed: the rest only grows shorter. */
        at = todo;
        place->virt_length = virt_before;
        place->virt[virt_before] = 0;
        place->real_length = real_before;
        place->real[real_before] = 0;
        place->area = area_before;
        if (*at == '/') {
            place->virt_length = 0;
            place->virt[0] = 0;
            if ((failed = find_real(place)))
                return failed;
        }
    }
    if (!place->virt_length) {
        memcpy(place->virt, "/", 2);
        place->virt_length = 1;
    }
    /* "file/" and "file/." are errors that the kernel gives. */
    int dot = length > 1 && path[length - 1] == '.' && path[length - 2] == '/';
    if (slash && place->real_length + 1 < GG_PATH && (dot || path[length - 1] == '/'))
        memcpy(place->real + place->real_length++, "/", 2);
    return 0;
}
