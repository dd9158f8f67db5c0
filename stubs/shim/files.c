/* Library functions that take paths and open nothing. */

#include "inside.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

/* Looks at something: `place` is where, unless the error `failed` is set. */
#define LOOK(dir, path, flags)                                                                                         \
    struct gg_place place;                                                                                             \
    long failed = gg_at(dir, path, flags, &place)

static long gg_at(int dir, const char *path, int flags, struct gg_place *place) {
    if (gg.map)
        return gg_resolve(dir, path, flags, place);
    place->area = GG_DIRECTORY;
    place->link = 0;
    place->is_point = 0;
    int copied = gg_copy(place->real, path, strlen(path));
    return copied ? copied : *path ? 0 : -ENOENT;
}

static long there(const struct gg_place *place) { return gg_sys(SYS_faccessat, AT_FDCWD, place->real, 0, 0); }

/* For changing what is there: the error that a read-only mount gives. */
static long refuse_change(const struct gg_place *place) {
    if (place->area != GG_BIND)
        return 0;
    long found = there(place);
    return found < 0 ? found : -EROFS;
}

/* For making something new. */
static long refuse_new(const struct gg_place *place) {
    if (place->area != GG_BIND)
        return 0;
    if (there(place) >= 0)
        return -EEXIST;
    struct gg_place above = *place;
    char *slash = strrchr(above.real, '/');
    *slash = 0;
    long found = there(&above);
    return found < 0 ? found : -EROFS;
}

/* For taking something away. */
static long refuse_removal(const struct gg_place *place) {
    return place->is_point ? -EBUSY : refuse_change(place);
}

#define RETURN(call) return (int)gg_result(failed ? failed : (call))

/* ---- stat(2) */

static long do_stat(int dir, const char *path, struct stat *stat, int flags) {
    if (!gg.map || (flags & AT_EMPTY_PATH && (!path || !*path)))
        return gg_sys(SYS_newfstatat, dir, path ? path : "", stat, flags);
    LOOK(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : 0);
    if (failed)
        return failed;
    long done = gg_sys(SYS_newfstatat, AT_FDCWD, place.real, stat, flags);
    if (done >= 0 && place.link)
        stat->st_size = place.link->target_length;
    return done;
}

#define STAT(name, type, flags)                                                                                        \
    GG_EXPORT int name(const char *path, struct type *stat);                                                           \
    GG_EXPORT int name(const char *path, struct type *stat) {                                                          \
        return (int)gg_result(do_stat(AT_FDCWD, path, (struct stat *)stat, flags));                                    \
    }
STAT(stat, stat, 0)
STAT(stat64, stat64, 0)
STAT(lstat, stat, AT_SYMLINK_NOFOLLOW)
STAT(lstat64, stat64, AT_SYMLINK_NOFOLLOW)

#define FSTATAT(name, type)                                                                                            \
    GG_EXPORT int name(int dir, const char *path, struct type *stat, int flags) {                                      \
        return (int)gg_result(do_stat(dir, path, (struct stat *)stat, flags));                                         \
    }
FSTATAT(fstatat, stat)
FSTATAT(fstatat64, stat64)

/* What these were before glibc 2.33. */
#define XSTAT(name, type, flags)                                                                                       \
    GG_EXPORT int name(int version, const char *path, struct type *stat);                                              \
    GG_EXPORT int name(int version, const char *path, struct type *stat) {                                             \
        (void)version;                                                                                                 \
        return (int)gg_result(do_stat(AT_FDCWD, path, (struct stat *)stat, flags));                                    \
    }
XSTAT(__xstat, stat, 0)
XSTAT(__xstat64, stat64, 0)
XSTAT(__lxstat, stat, AT_SYMLINK_NOFOLLOW)
XSTAT(__lxstat64, stat64, AT_SYMLINK_NOFOLLOW)

#define FXSTATAT(name, type)                                                                                           \
    GG_EXPORT int name(int version, int dir, const char *path, struct type *stat, int flags);                          \
    GG_EXPORT int name(int version, int dir, const char *path, struct type *stat, int flags) {                         \
        (void)version;                                                                                                 \
        return (int)gg_result(do_stat(dir, path, (struct stat *)stat, flags));                                         \
    }
FXSTATAT(__fxstatat, stat)
FXSTATAT(__fxstatat64, stat64)

GG_EXPORT int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict out) {
    if (!gg.map || !path || (flags & AT_EMPTY_PATH && !*path))
        return (int)gg_result(gg_sys6(SYS_statx, dir, (long)path, flags, mask, (long)out, 0));
    LOOK(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : 0);
    long done = failed ? failed : gg_sys6(SYS_statx, AT_FDCWD, (long)place.real, flags, mask, (long)out, 0);
    if (done >= 0 && place.link)
        out->stx_size = place.link->target_length;
    return (int)gg_result(done);
}

/* ---- access(2) */

static long do_access(int dir, const char *path, int mode, int flags) {
    if (gg.map && flags & AT_EMPTY_PATH && !*path)
        flags &= ~AT_EMPTY_PATH, path = ".";
    LOOK(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : 0);
    if (failed)
        return failed;
    long done;
#ifdef SYS_faccessat2
    if (flags) {
        done = gg_sys(SYS_faccessat2, AT_FDCWD, place.real, mode, flags);
        if (done != -ENOSYS)
            goto out;
    }
#endif
    done = gg_sys(SYS_faccessat, AT_FDCWD, place.real, mode, 0);
    goto out;
out:
    return done >= 0 && mode & W_OK && place.area == GG_BIND ? -EROFS : done;
}

GG_EXPORT int access(const char *path, int mode) { return (int)gg_result(do_access(AT_FDCWD, path, mode, 0)); }
GG_EXPORT int euidaccess(const char *path, int mode) {
    return (int)gg_result(do_access(AT_FDCWD, path, mode, AT_EACCESS));
}
GG_EXPORT int eaccess(const char *path, int mode) {
    return (int)gg_result(do_access(AT_FDCWD, path, mode, AT_EACCESS));
}
GG_EXPORT int faccessat(int dir, const char *path, int mode, int flags) {
    return (int)gg_result(do_access(dir, path, mode, flags));
}

/* ---- links and names */

static long do_readlink(int dir, const char *path, char *out, size_t size) {
    if (!gg.map)
        return gg_sys(SYS_readlinkat, dir, path, out, size);
    char target[GG_PATH];
    LOOK(dir, path, GG_NOFOLLOW);
    if (failed)
        return failed;
    long length;
    if (place.is_point) {
        long found = there(&place);
        return found < 0 ? found : -EINVAL;
    }
    if (place.link) {
        length = place.link->target_length;
        memcpy(out, gg_text(place.link->target), (size_t)length < size ? (size_t)length : size);
    } else if (place.area == GG_SYSTEM && (length = gg_proc_link(&place, target)) != -EINVAL) {
        if (length < 0)
            return length;
        memcpy(out, target, (size_t)length < size ? (size_t)length : size);
    } else {
        return gg_sys(SYS_readlinkat, AT_FDCWD, place.real, out, size);
    }
    return (size_t)length < size ? length : (long)size;
}

GG_EXPORT ssize_t readlink(const char *restrict path, char *restrict out, size_t size) {
    return gg_result(do_readlink(AT_FDCWD, path, out, size));
}
GG_EXPORT ssize_t readlinkat(int dir, const char *restrict path, char *restrict out, size_t size) {
    return gg_result(do_readlink(dir, path, out, size));
}
GG_EXPORT ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t room);
GG_EXPORT ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t room) {
    if (size > room)
        abort();
    return gg_result(do_readlink(AT_FDCWD, path, out, size));
}
GG_EXPORT ssize_t __readlinkat_chk(int dir, const char *path, char *out, size_t size, size_t room);
GG_EXPORT ssize_t __readlinkat_chk(int dir, const char *path, char *out, size_t size, size_t room) {
    if (size > room)
        abort();
    return gg_result(do_readlink(dir, path, out, size));
}

static char *do_realpath(const char *path, char *out) {
    if (!path) {
        errno = EINVAL;
        return 0;
    }
    LOOK(AT_FDCWD, path, 0);
    failed = failed ? failed : there(&place);
    if (gg_result(failed) < 0)
        return 0;
    if (!out && !(out = malloc(PATH_MAX)))
        return 0;
    return strcpy(out, place.virt);
}

GG_EXPORT char *realpath(const char *restrict path, char *restrict out) { return do_realpath(path, out); }
GG_EXPORT char *__realpath_chk(const char *path, char *out, size_t room);
GG_EXPORT char *__realpath_chk(const char *path, char *out, size_t room) {
    if (room < PATH_MAX)
        abort();
    return do_realpath(path, out);
}
GG_EXPORT char *canonicalize_file_name(const char *path) { return do_realpath(path, 0); }

static char *do_getcwd(char *out, size_t size) {
    char real[GG_PATH], virt[GG_PATH];
    long length = gg_sys(SYS_getcwd, real, sizeof real, 0, 0);
    if (length > 0 && gg.map)
        length = gg_virtual(real, virt);
    if (gg_result(length) < 0)
        return 0;
    const char *found = gg.map ? virt : real;
    size_t bytes = strlen(found) + 1;
    if (out ? bytes > size : size && bytes > size) {
        errno = out && !size ? EINVAL : ERANGE;
        return 0;
    }
    if (!out && !(out = malloc(size ? size : bytes)))
        return 0;
    return memcpy(out, found, bytes);
}

GG_EXPORT char *getcwd(char *out, size_t size) { return do_getcwd(out, size); }
GG_EXPORT char *__getcwd_chk(char *out, size_t size, size_t room);
GG_EXPORT char *__getcwd_chk(char *out, size_t size, size_t room) {
    if (size > room)
        abort();
    return do_getcwd(out, size);
}
GG_EXPORT char *getwd(char *out) { return do_getcwd(out, PATH_MAX); }
GG_EXPORT char *get_current_dir_name(void) {
    const char *pwd = getenv("PWD");
    struct stat named, here;
    if (pwd && !do_stat(AT_FDCWD, pwd, &named, 0) && !do_stat(AT_FDCWD, ".", &here, 0) && named.st_dev == here.st_dev &&
        named.st_ino == here.st_ino)
        return strdup(pwd);
    return do_getcwd(0, 0);
}

static long do_symlink(const char *target, int dir, const char *path) {
    LOOK(dir, path, GG_NOFOLLOW);
    failed = failed ? failed : refuse_new(&place);
    return failed ? failed : gg_sys(SYS_symlinkat, target, AT_FDCWD, place.real, 0);
}
GG_EXPORT int symlink(const char *target, const char *path) { return (int)gg_result(do_symlink(target, AT_FDCWD, path)); }
GG_EXPORT int symlinkat(const char *target, int dir, const char *path) {
    return (int)gg_result(do_symlink(target, dir, path));
}

static long do_link(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    struct gg_place source, target;
    long failed = gg_at(from_dir, from, flags & AT_SYMLINK_FOLLOW ? 0 : GG_NOFOLLOW, &source);
    failed = failed ? failed : gg_at(to_dir, to, GG_NOFOLLOW, &target);
    failed = failed ? failed : refuse_new(&target);
    if (!failed && (source.area == GG_BIND) != (target.area == GG_BIND))
        failed = there(&source) < 0 ? -ENOENT : there(&target) >= 0 ? -EEXIST : -EXDEV;
    return failed ? failed : gg_sys6(SYS_linkat, AT_FDCWD, (long)source.real, AT_FDCWD, (long)target.real, 0, 0);
}
GG_EXPORT int link(const char *from, const char *to) { return (int)gg_result(do_link(AT_FDCWD, from, AT_FDCWD, to, 0)); }
GG_EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    return (int)gg_result(do_link(from_dir, from, to_dir, to, flags));
}

static long do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    struct gg_place source, target;
    long failed = gg_at(from_dir, from, GG_NOFOLLOW, &source);
    failed = failed ? failed : gg_at(to_dir, to, GG_NOFOLLOW, &target);
    failed = failed ? failed : there(&source);
    failed = failed == -ENOENT && source.link ? 0 : failed;
    if (failed == -ENOENT) {
        /* A link that leads nowhere can be renamed too. */
        struct stat stat;
        failed = gg_sys(SYS_newfstatat, AT_FDCWD, source.real, &stat, AT_SYMLINK_NOFOLLOW);
    }
    if (!failed && (source.area == GG_BIND || target.area == GG_BIND))
        failed = source.is_point || target.is_point ? -EBUSY : source.area != target.area ? -EXDEV : -EROFS;
    return failed ? failed : gg_sys6(SYS_renameat2, AT_FDCWD, (long)source.real, AT_FDCWD, (long)target.real, flags, 0);
}
GG_EXPORT int rename(const char *from, const char *to) {
    return (int)gg_result(do_rename(AT_FDCWD, from, AT_FDCWD, to, 0));
}
GG_EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return (int)gg_result(do_rename(from_dir, from, to_dir, to, 0));
}
GG_EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return (int)gg_result(do_rename(from_dir, from, to_dir, to, flags));
}

static long do_unlink(int dir, const char *path, int flags) {
    LOOK(dir, path, GG_NOFOLLOW);
    failed = failed ? failed : refuse_removal(&place);
    return failed ? failed : gg_sys(SYS_unlinkat, AT_FDCWD, place.real, flags, 0);
}
GG_EXPORT int unlink(const char *path) { return (int)gg_result(do_unlink(AT_FDCWD, path, 0)); }
GG_EXPORT int unlinkat(int dir, const char *path, int flags) { return (int)gg_result(do_unlink(dir, path, flags)); }
GG_EXPORT int rmdir(const char *path) { return (int)gg_result(do_unlink(AT_FDCWD, path, AT_REMOVEDIR)); }
GG_EXPORT int remove(const char *path) {
    long done = do_unlink(AT_FDCWD, path, 0);
    if (done == -EISDIR || done == -EPERM)
        done = do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
    return (int)gg_result(done);
}

static long do_mkdir(int dir, const char *path, mode_t mode) {
    LOOK(dir, path, GG_NOFOLLOW);
    failed = failed ? failed : refuse_new(&place);
    return failed ? failed : gg_sys(SYS_mkdirat, AT_FDCWD, place.real, mode, 0);
}
GG_EXPORT int mkdir(const char *path, mode_t mode) { return (int)gg_result(do_mkdir(AT_FDCWD, path, mode)); }
GG_EXPORT int mkdirat(int dir, const char *path, mode_t mode) { return (int)gg_result(do_mkdir(dir, path, mode)); }

static long do_mknod(int dir, const char *path, mode_t mode, dev_t device) {
    LOOK(dir, path, GG_NOFOLLOW);
    failed = failed ? failed : refuse_new(&place);
    return failed ? failed : gg_sys(SYS_mknodat, AT_FDCWD, place.real, mode, device);
}
GG_EXPORT int mknod(const char *path, mode_t mode, dev_t device) {
    return (int)gg_result(do_mknod(AT_FDCWD, path, mode, device));
}
GG_EXPORT int mknodat(int dir, const char *path, mode_t mode, dev_t device) {
    return (int)gg_result(do_mknod(dir, path, mode, device));
}
GG_EXPORT int __xmknod(int version, const char *path, mode_t mode, dev_t *device);
GG_EXPORT int __xmknod(int version, const char *path, mode_t mode, dev_t *device) {
    (void)version;
    return (int)gg_result(do_mknod(AT_FDCWD, path, mode, *device));
}
GG_EXPORT int mkfifo(const char *path, mode_t mode) {
    return (int)gg_result(do_mknod(AT_FDCWD, path, mode | S_IFIFO, 0));
}
GG_EXPORT int mkfifoat(int dir, const char *path, mode_t mode) {
    return (int)gg_result(do_mknod(dir, path, mode | S_IFIFO, 0));
}

/* ---- changes */

#define CHANGE(dir, path, flags)                                                                                       \
    LOOK(dir, path, flags);                                                                                            \
    failed = failed ? failed : refuse_change(&place)

GG_EXPORT int chdir(const char *path) {
    LOOK(AT_FDCWD, path, 0);
    RETURN(gg_sys(SYS_chdir, place.real, 0, 0, 0));
}
GG_EXPORT int chmod(const char *path, mode_t mode) {
    CHANGE(AT_FDCWD, path, 0);
    RETURN(gg_sys(SYS_fchmodat, AT_FDCWD, place.real, mode, 0));
}
GG_EXPORT int lchmod(const char *path, mode_t mode) {
    CHANGE(AT_FDCWD, path, GG_NOFOLLOW);
    if (!failed && place.link)
        failed = -EOPNOTSUPP;
    RETURN(gg_sys(SYS_fchmodat, AT_FDCWD, place.real, mode, 0));
}
GG_EXPORT int fchmodat(int dir, const char *path, mode_t mode, int flags) {
    CHANGE(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : 0);
    struct stat stat;
    if (!failed && flags & AT_SYMLINK_NOFOLLOW &&
        !gg_sys(SYS_newfstatat, AT_FDCWD, place.real, &stat, AT_SYMLINK_NOFOLLOW) && S_ISLNK(stat.st_mode))
        failed = -EOPNOTSUPP;
    RETURN(gg_sys(SYS_fchmodat, AT_FDCWD, place.real, mode, 0));
}

#define CHOWN(name, dir, declare_dir, flags, declare_flags)                                                            \
    GG_EXPORT int name(declare_dir const char *path, uid_t user, gid_t group declare_flags) {                          \
        CHANGE(dir, path, (flags)&AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : 0);                                              \
        RETURN(gg_sys6(SYS_fchownat, AT_FDCWD, (long)place.real, user, group, flags, 0));                              \
    }
#define NOTHING
#define DIR_ARGUMENT int dir,
#define FLAGS_ARGUMENT , int flags
CHOWN(chown, AT_FDCWD, NOTHING, 0, NOTHING)
CHOWN(lchown, AT_FDCWD, NOTHING, AT_SYMLINK_NOFOLLOW, NOTHING)
CHOWN(fchownat, dir, DIR_ARGUMENT, flags, FLAGS_ARGUMENT)

GG_EXPORT int truncate(const char *path, off_t length) {
    CHANGE(AT_FDCWD, path, 0);
    RETURN(gg_sys(SYS_truncate, place.real, length, 0, 0));
}
GG_EXPORT int truncate64(const char *path, off64_t length) {
    CHANGE(AT_FDCWD, path, 0);
    RETURN(gg_sys(SYS_truncate, place.real, length, 0, 0));
}

static long do_times(int dir, const char *path, const struct timespec *times, int flags) {
    if (!path)
        return gg_sys(SYS_utimensat, dir, 0, times, flags);
    CHANGE(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : 0);
    return failed ? failed : gg_sys(SYS_utimensat, AT_FDCWD, place.real, times, flags);
}
static long do_old_times(int dir, const char *path, const struct timeval *times, int flags) {
    struct timespec exact[2];
    for (int at = 0; times && at < 2; at++)
        exact[at] = (struct timespec){times[at].tv_sec, times[at].tv_usec * 1000};
    return do_times(dir, path, times ? exact : 0, flags);
}
GG_EXPORT int utimensat(int dir, const char *path, const struct timespec times[2], int flags) {
    return (int)gg_result(do_times(dir, path, times, flags));
}
GG_EXPORT int utimes(const char *path, const struct timeval times[2]) {
    return (int)gg_result(do_old_times(AT_FDCWD, path, times, 0));
}
GG_EXPORT int lutimes(const char *path, const struct timeval times[2]) {
    return (int)gg_result(do_old_times(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}
GG_EXPORT int futimesat(int dir, const char *path, const struct timeval times[2]) {
    return (int)gg_result(do_old_times(dir, path, times, 0));
}
GG_EXPORT int utime(const char *path, const struct utimbuf *times) {
    struct timespec exact[2];
    if (times) {
        exact[0] = (struct timespec){times->actime, 0};
        exact[1] = (struct timespec){times->modtime, 0};
    }
    return (int)gg_result(do_times(AT_FDCWD, path, times ? exact : 0, 0));
}

/* ---- attributes and file systems */

#define STATFS(name, type)                                                                                             \
    GG_EXPORT int name(const char *path, struct type *out) {                                                           \
        LOOK(AT_FDCWD, path, 0);                                                                                       \
        RETURN(gg_sys(SYS_statfs, place.real, out, 0, 0));                                                             \
    }
STATFS(statfs, statfs)
STATFS(statfs64, statfs64)

#define STATVFS(name, type, by_descriptor)                                                                             \
    GG_EXPORT int name(const char *restrict path, struct type *restrict out) {                                         \
        int fd = (int)gg_result(gg_open(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0));                                       \
        if (fd < 0)                                                                                                    \
            return -1;                                                                                                 \
        int done = by_descriptor(fd, out);                                                                             \
        gg_sys(SYS_close, fd, 0, 0, 0);                                                                                \
        return done;                                                                                                   \
    }
STATVFS(statvfs, statvfs, fstatvfs)
STATVFS(statvfs64, statvfs64, fstatvfs64)

GG_EXPORT long pathconf(const char *path, int what) {
    int fd = (int)gg_result(gg_open(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0));
    if (fd < 0)
        return -1;
    long found = fpathconf(fd, what);
    gg_sys(SYS_close, fd, 0, 0, 0);
    return found;
}

#define GETXATTR(name, flags)                                                                                          \
    GG_EXPORT ssize_t name(const char *path, const char *attribute, void *value, size_t size) {                        \
        LOOK(AT_FDCWD, path, flags);                                                                                   \
        return gg_result(failed ? failed : gg_sys(SYS_##name, place.real, attribute, value, size));                    \
    }
GETXATTR(getxattr, 0)
GETXATTR(lgetxattr, GG_NOFOLLOW)
#define LISTXATTR(name, flags)                                                                                         \
    GG_EXPORT ssize_t name(const char *path, char *list, size_t size) {                                                \
        LOOK(AT_FDCWD, path, flags);                                                                                   \
        return gg_result(failed ? failed : gg_sys(SYS_##name, place.real, list, size, 0));                             \
    }
LISTXATTR(listxattr, 0)
LISTXATTR(llistxattr, GG_NOFOLLOW)
#define SETXATTR(name, at)                                                                                             \
    GG_EXPORT int name(const char *path, const char *attribute, const void *value, size_t size, int flags) {           \
        CHANGE(AT_FDCWD, path, at);                                                                                    \
        RETURN(gg_sys6(SYS_##name, (long)place.real, (long)attribute, (long)value, (long)size, flags, 0));             \
    }
SETXATTR(setxattr, 0)
SETXATTR(lsetxattr, GG_NOFOLLOW)
#define REMOVEXATTR(name, at)                                                                                          \
    GG_EXPORT int name(const char *path, const char *attribute) {                                                      \
        CHANGE(AT_FDCWD, path, at);                                                                                    \
        RETURN(gg_sys(SYS_##name, place.real, attribute, 0, 0));                                                       \
    }
REMOVEXATTR(removexattr, 0)
REMOVEXATTR(lremovexattr, GG_NOFOLLOW)

/* ---- syscall(2), for programs that are newer than their C library */

GG_EXPORT long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (gg.map)
        switch (number) {
#ifdef SYS_open
        case SYS_open: return gg_result(gg_open(AT_FDCWD, (const char *)a, (int)b, (unsigned)c));
        case SYS_stat: return gg_result(do_stat(AT_FDCWD, (const char *)a, (struct stat *)b, 0));
        case SYS_lstat: return gg_result(do_stat(AT_FDCWD, (const char *)a, (struct stat *)b, AT_SYMLINK_NOFOLLOW));
        case SYS_access: return gg_result(do_access(AT_FDCWD, (const char *)a, (int)b, 0));
        case SYS_readlink: return gg_result(do_readlink(AT_FDCWD, (const char *)a, (char *)b, (size_t)c));
        case SYS_unlink: return gg_result(do_unlink(AT_FDCWD, (const char *)a, 0));
        case SYS_rename: return gg_result(do_rename(AT_FDCWD, (const char *)a, AT_FDCWD, (const char *)b, 0));
        case SYS_mkdir: return gg_result(do_mkdir(AT_FDCWD, (const char *)a, (mode_t)b));
#endif
        case SYS_openat: return gg_result(gg_open((int)a, (const char *)b, (int)c, (unsigned)d));
        case SYS_newfstatat: return gg_result(do_stat((int)a, (const char *)b, (struct stat *)c, (int)d));
        case SYS_statx: return statx((int)a, (const char *)b, (int)c, (unsigned)d, (struct statx *)e);
        case SYS_faccessat: return gg_result(do_access((int)a, (const char *)b, (int)c, 0));
        case SYS_readlinkat: return gg_result(do_readlink((int)a, (const char *)b, (char *)c, (size_t)d));
        case SYS_unlinkat: return gg_result(do_unlink((int)a, (const char *)b, (int)c));
        case SYS_mkdirat: return gg_result(do_mkdir((int)a, (const char *)b, (mode_t)c));
        case SYS_renameat2:
            return gg_result(do_rename((int)a, (const char *)b, (int)c, (const char *)d, (unsigned)e));
        case SYS_execve: return execve((const char *)a, (char *const *)b, (char *const *)c);
#ifdef SYS_faccessat2
        case SYS_faccessat2: return gg_result(do_access((int)a, (const char *)b, (int)c, (int)d));
#endif
#ifdef SYS_openat2
        case SYS_openat2:
            errno = ENOSYS; /* as on a kernel that is too old for it */
            return -1;
#endif
        default: break;
        }
    return gg_result(gg_sys6(number, a, b, c, d, e, f));
}
