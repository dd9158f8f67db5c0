/* Opening files: open(2), creat, fopen(3), opendir(3), and temporary files. */

#include "inside.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#undef open
#undef openat

int gg_refuse(const struct gg_place *place) { return place->area == GG_BIND ? -EROFS : 0; }

static int is_there(const char *real) { return gg_sys(SYS_faccessat, AT_FDCWD, real, 0, 0) >= 0; }

long gg_open(int dir, const char *path, int flags, unsigned mode) {
    if (!gg.map)
        return gg_sys(SYS_openat, dir, path, flags, mode);
    struct gg_place place;
    int exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    int failed = gg_resolve(dir, path, flags & O_NOFOLLOW || exclusive ? GG_NOFOLLOW : 0, &place);
    if (failed)
        return failed;
    if (place.area == GG_BIND) {
        if ((flags & O_TMPFILE) == O_TMPFILE)
            return -EROFS;
        if (exclusive && is_there(place.real))
            return -EEXIST;
        int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
        if (writes || flags & O_CREAT) {
            /* What is wrong besides is told first. */
            long fd = gg_sys(SYS_openat, AT_FDCWD, place.real, (flags & (O_DIRECTORY | O_NOFOLLOW | O_PATH)) | O_CLOEXEC, 0);
            if (fd >= 0) {
                struct stat stat;
                long done = gg_sys(SYS_fstat, fd, &stat, 0, 0);
                gg_sys(SYS_close, fd, 0, 0, 0);
                if (writes)
                    return done >= 0 && S_ISDIR(stat.st_mode) ? -EISDIR : -EROFS;
            } else if (fd != -ENOENT || !(flags & O_CREAT)) {
                return fd;
            } else {
                char *slash = strrchr(place.real, '/');
                *slash = 0;
                return is_there(place.real) ? -EROFS : -ENOENT;
            }
        }
        flags &= ~(O_CREAT | O_EXCL);
    }
    /* A mapped directory is a link below RUN/root. */
    return gg_sys(SYS_openat, AT_FDCWD, place.real, flags, mode);
}

#define MODE_OF(flags, mode)                                                                                           \
    unsigned mode = 0;                                                                                                 \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                     \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, unsigned);                                                                                 \
        va_end(list);                                                                                                  \
    }

#define OPEN(name)                                                                                                     \
    GG_EXPORT int name(const char *path, int flags, ...) {                                                             \
        MODE_OF(flags, mode)                                                                                           \
        return (int)gg_result(gg_open(AT_FDCWD, path, flags, mode));                                                   \
    }
#define OPENAT(name)                                                                                                   \
    GG_EXPORT int name(int dir, const char *path, int flags, ...) {                                                    \
        MODE_OF(flags, mode)                                                                                           \
        return (int)gg_result(gg_open(dir, path, flags, mode));                                                        \
    }
OPEN(open)
OPEN(open64)
OPEN(__open)
OPEN(__open64)
OPENAT(openat)
OPENAT(openat64)

#define OPEN_2(name)                                                                                                   \
    GG_EXPORT int name(const char *path, int flags);                                                                   \
    GG_EXPORT int name(const char *path, int flags) { return (int)gg_result(gg_open(AT_FDCWD, path, flags, 0)); }
OPEN_2(__open_2)
OPEN_2(__open64_2)

#define OPENAT_2(name)                                                                                                 \
    GG_EXPORT int name(int dir, const char *path, int flags);                                                          \
    GG_EXPORT int name(int dir, const char *path, int flags) { return (int)gg_result(gg_open(dir, path, flags, 0)); }
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

#define CREAT(name)                                                                                                    \
    GG_EXPORT int name(const char *path, mode_t mode) {                                                                \
        return (int)gg_result(gg_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode));                            \
    }
CREAT(creat)
CREAT(creat64)

/* The flags of fopen's mode; -1 for a mode that it does not know. */
static int stream_flags(const char *mode) {
    int flags;
    switch (*mode) {
    case 'r': flags = O_RDONLY; break;
    case 'w': flags = O_WRONLY | O_CREAT | O_TRUNC; break;
    case 'a': flags = O_WRONLY | O_CREAT | O_APPEND; break;
    default: return -1;
    }
    /* No more than these are looked at (fopen in the C library). */
    for (int at = 1; at < 7 && mode[at] && mode[at] != ','; at++) {
        if (mode[at] == '+')
            flags = (flags & ~O_ACCMODE) | O_RDWR;
        if (mode[at] == 'x')
            flags |= O_EXCL;
        if (mode[at] == 'e')
            flags |= O_CLOEXEC;
    }
    return flags;
}

static FILE *open_stream(const char *path, const char *mode) {
    int flags = stream_flags(mode);
    if (flags < 0) {
        errno = EINVAL;
        return 0;
    }
    int fd = (int)gg_result(gg_open(AT_FDCWD, path, flags, 0666));
    if (fd < 0)
        return 0;
    FILE *stream = fdopen(fd, mode);
    if (!stream) {
        int error = errno;
        gg_sys(SYS_close, fd, 0, 0, 0);
        errno = error;
    }
    return stream;
}

GG_EXPORT FILE *fopen(const char *path, const char *mode) { return open_stream(path, mode); }
GG_EXPORT FILE *fopen64(const char *path, const char *mode) { return open_stream(path, mode); }

/* The library's own opens what the kernel knows. */
static FILE *reopen(FILE *(*next)(const char *, const char *, FILE *), const char *path, const char *mode, FILE *stream) {
    struct gg_place place;
    int failed = 0, flags = stream_flags(mode);
    if (!next) {
        errno = ENOSYS;
        return 0;
    }
    if (!path || !gg.map)
        return next(path, mode, stream);
    if (!(failed = gg_resolve(AT_FDCWD, path, 0, &place)) && flags >= 0 && flags & (O_ACCMODE | O_CREAT))
        failed = gg_refuse(&place);
    if (failed) {
        /* It closes the stream whatever happens. */
        fclose(stream);
        errno = -failed;
        return 0;
    }
    return next(place.real, mode, stream);
}

GG_EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream) {
    return reopen(GG_NEXT(freopen), path, mode, stream);
}
GG_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream) {
    return reopen(GG_NEXT(freopen64), path, mode, stream);
}

GG_EXPORT DIR *opendir(const char *path) {
    int fd = (int)gg_result(gg_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC, 0));
    if (fd < 0)
        return 0;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int error = errno;
        gg_sys(SYS_close, fd, 0, 0, 0);
        errno = error;
    }
    return dir;
}

/* What is mapped in is no link for the program. */
static void correct(DIR *dir, const char *name, unsigned char *type) {
    struct gg_place place;
    if (*type != DT_LNK || !gg.map || gg_resolve(dirfd(dir), name, GG_NOFOLLOW, &place) || !place.is_point)
        return;
    struct stat stat;
    if (gg_sys(SYS_newfstatat, AT_FDCWD, place.real, &stat, 0) >= 0)
        *type = (unsigned char)((stat.st_mode & S_IFMT) >> 12);
}

#define READDIR(name, entry)                                                                                           \
    GG_EXPORT struct entry *name(DIR *dir) {                                                                           \
        static __typeof__(&name) next;                                                                                 \
        if (!next)                                                                                                     \
            next = GG_NEXT(name);                                                                                      \
        struct entry *found = next(dir);                                                                               \
        if (found) {                                                                                                   \
            int error = errno;                                                                                         \
            correct(dir, found->d_name, &found->d_type);                                                               \
            errno = error;                                                                                             \
        }                                                                                                              \
        return found;                                                                                                  \
    }
READDIR(readdir, dirent)
READDIR(readdir64, dirent64)

#define SCANDIR(name, at, entry, read)                                                                                 \
    GG_EXPORT int at(int base, const char *path, struct entry ***list, int (*wanted)(const struct entry *),            \
                     int (*order)(const struct entry **, const struct entry **)) {                                     \
        int fd = (int)gg_result(gg_open(base, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));                           \
        if (fd < 0)                                                                                                    \
            return -1;                                                                                                 \
        DIR *dir = fdopendir(fd);                                                                                      \
        struct entry **found = 0, *each;                                                                               \
        size_t count = 0, room = 0;                                                                                    \
        while (dir && (each = read(dir))) {                                                                            \
            if (wanted && !wanted(each))                                                                               \
                continue;                                                                                              \
            if (count == room) {                                                                                       \
                room = room ? 2 * room : 16;                                                                           \
                struct entry **more = realloc(found, room * sizeof *found);                                            \
                if (!more)                                                                                             \
                    break;                                                                                             \
                found = more;                                                                                          \
            }                                                                                                          \
            size_t bytes = offsetof(struct entry, d_name) + strlen(each->d_name) + 1;                                  \
            if (!(found[count] = malloc(bytes)))                                                                       \
                break;                                                                                                 \
            memcpy(found[count++], each, bytes);                                                                       \
        }                                                                                                              \
        if (!dir)                                                                                                      \
            return -1;                                                                                                 \
        closedir(dir);                                                                                                 \
        if (order && count)                                                                                            \
            qsort(found, count, sizeof *found, (int (*)(const void *, const void *))order);                            \
        *list = found ? found : malloc(1);                                                                             \
        return (int)count;                                                                                             \
    }                                                                                                                  \
    GG_EXPORT int name(const char *path, struct entry ***list, int (*wanted)(const struct entry *),                    \
                       int (*order)(const struct entry **, const struct entry **)) {                                   \
        return at(AT_FDCWD, path, list, wanted, order);                                                                \
    }
SCANDIR(scandir, scandirat, dirent, readdir)
SCANDIR(scandir64, scandirat64, dirent64, readdir64)

/* As mkstemp(3): six letters, at the end or before a suffix. */
static char *random_name(char *template, int suffix) {
    size_t length = strlen(template);
    if (suffix < 0 || length < 6 + (size_t)suffix || strncmp(template + length - 6 - (size_t)suffix, "XXXXXX", 6)) {
        errno = EINVAL;
        return 0;
    }
    return template + length - 6 - (size_t)suffix;
}

static void fill(char *letters) {
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    unsigned char noise[6] = {0};
    gg_sys(SYS_getrandom, noise, sizeof noise, 0, 0);
    for (int at = 0; at < 6; at++)
        letters[at] = LETTERS[noise[at] % (sizeof LETTERS - 1)];
}

static int temporary(char *template, int suffix, int flags) {
    char *letters = random_name(template, suffix);
    for (int tries = 0; letters && tries < 200; tries++) {
        fill(letters);
        long fd = gg_open(AT_FDCWD, template, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd != -EEXIST)
            return (int)gg_result(fd);
    }
    if (letters)
        errno = EEXIST;
    return -1;
}

GG_EXPORT int mkstemp(char *template) { return temporary(template, 0, 0); }
GG_EXPORT int mkstemp64(char *template) { return temporary(template, 0, 0); }
GG_EXPORT int mkostemp(char *template, int flags) { return temporary(template, 0, flags); }
GG_EXPORT int mkostemp64(char *template, int flags) { return temporary(template, 0, flags); }
GG_EXPORT int mkstemps(char *template, int suffix) { return temporary(template, suffix, 0); }
GG_EXPORT int mkstemps64(char *template, int suffix) { return temporary(template, suffix, 0); }
GG_EXPORT int mkostemps(char *template, int suffix, int flags) { return temporary(template, suffix, flags); }
GG_EXPORT int mkostemps64(char *template, int suffix, int flags) { return temporary(template, suffix, flags); }

GG_EXPORT char *mkdtemp(char *template) {
    char *letters = random_name(template, 0);
    for (int tries = 0; letters && tries < 200; tries++) {
        fill(letters);
        if (mkdir(template, 0700) == 0)
            return template;
        if (errno != EEXIST)
            return 0;
    }
    return 0;
}

GG_EXPORT char *mktemp(char *template) {
    char *letters = random_name(template, 0);
    struct gg_place place;
    for (int tries = 0; letters && tries < 200; tries++) {
        fill(letters);
        if (!gg.map || gg_resolve(AT_FDCWD, template, GG_NOFOLLOW, &place) || !is_there(place.real))
            return template;
    }
    *template = 0;
    return template;
}

static FILE *temporary_stream(void) {
    char template[] = "/tmp/tmpfXXXXXX";
    int fd = temporary(template, 0, 0);
    if (fd < 0)
        return 0;
    unlink(template);
    return fdopen(fd, "w+");
}

GG_EXPORT FILE *tmpfile(void) { return temporary_stream(); }
GG_EXPORT FILE *tmpfile64(void) { return temporary_stream(); }
