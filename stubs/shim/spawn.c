/* Starting other programs: each goes through the sandbox's loader, as the first one did. */

#include "inside.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What execvp and its kin search where PATH is not set (environ(7)). */
#define USUAL_PATH "/bin:/usr/bin"

static long start(const char *path, char *const argv[], char *const envp[]) {
    if (!gg.map)
        return gg_sys(SYS_execve, path, argv, envp, 0);
    size_t size = gg_launch_size(argv, envp);
    void *memory = GG_TAKE(size);
    if (!memory)
        return -ENOMEM;
    struct gg_launch launch;
    long failed = gg_prepare(path, argv, envp, memory, &launch);
    if (!failed)
        failed = gg_sys(SYS_execve, launch.loader, launch.argv, launch.envp, 0);
    GG_GIVE(memory, size);
    return failed;
}

GG_EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
    return (int)gg_result(start(path, argv, envp));
}
GG_EXPORT int execv(const char *path, char *const argv[]) { return (int)gg_result(start(path, argv, environ)); }

static long start_text(const char *path, char *const argv[], char *const envp[]) {
    size_t count = 0;
    while (argv[count])
        count++;
    size_t size = (count + 3) * sizeof(char *);
    char **shell = GG_TAKE(size);
    if (!shell)
        return -ENOMEM;
    shell[0] = "/bin/sh";
    shell[1] = (char *)path;
    for (size_t at = 1; at <= count; at++)
        shell[at + 1] = argv[at];
    if (!count)
        shell[2] = 0;
    long failed = start("/bin/sh", shell, envp);
    GG_GIVE(shell, size);
    return failed;
}

/* Each place of PATH in turn, as execvp(3): `attempt` returns an error, or what ends the search. */
struct attempt {
    char *const *argv;
    char *const *envp;
    long (*with)(const struct attempt *, const char *);
    void *more;
};

static long search(const char *file, const struct attempt *attempt) {
    if (!*file)
        return -ENOENT;
    if (strchr(file, '/'))
        return attempt->with(attempt, file);
    const char *path = getenv("PATH");
    size_t length = strlen(file);
    int denied = 0;
    long failed = -ENOENT;
    for (path = path ? path : USUAL_PATH;; path++) {
        size_t directory = strcspn(path, ":");
        char full[GG_PATH];
        if (directory + length + 2 <= sizeof full) {
            memcpy(full, path, directory);
            full[directory] = '/';
            memcpy(full + directory + (directory > 0), file, length + 1);
            failed = attempt->with(attempt, full);
            if (failed == -EACCES)
                denied = 1;
            else if (failed != -ENOENT && failed != -ENOTDIR && failed != -ESTALE && failed != -ENODEV && failed != -ETIMEDOUT)
                return failed;
        }
        path += directory;
        if (!*path)
            return denied ? -EACCES : failed;
    }
}

static long exec_or_shell(const struct attempt *attempt, const char *path) {
    long failed = start(path, attempt->argv, attempt->envp);
    return failed == -ENOEXEC ? start_text(path, attempt->argv, attempt->envp) : failed;
}

GG_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
    struct attempt attempt = {argv, envp, exec_or_shell, 0};
    return (int)gg_result(search(file, &attempt));
}
GG_EXPORT int execvp(const char *file, char *const argv[]) { return execvpe(file, argv, environ); }

/* The arguments of execl and its kin, up to the null pointer. */
#define LISTED(first, then)                                                                                            \
    va_list list;                                                                                                      \
    size_t count = 1;                                                                                                  \
    va_start(list, first);                                                                                             \
    while (first && va_arg(list, const char *))                                                                        \
        count++;                                                                                                       \
    va_end(list);                                                                                                      \
    size_t size = (count + 1) * sizeof(char *);                                                                        \
    char **argv = GG_TAKE(size);                                                                                       \
    if (!argv) {                                                                                                       \
        errno = ENOMEM;                                                                                                \
        return -1;                                                                                                     \
    }                                                                                                                  \
    argv[0] = (char *)first;                                                                                           \
    va_start(list, first);                                                                                             \
    for (size_t at = 1; at <= count && first; at++)                                                                    \
        argv[at] = va_arg(list, char *);                                                                               \
    then;                                                                                                              \
    va_end(list);                                                                                                      \
    GG_GIVE(argv, size);                                                                                               \
    return result;

GG_EXPORT int execl(const char *path, const char *first, ...) {
    LISTED(first, int result = execve(path, argv, environ))
}
GG_EXPORT int execlp(const char *file, const char *first, ...) {
    LISTED(first, int result = execvpe(file, argv, environ))
}
GG_EXPORT int execle(const char *path, const char *first, ...) {
    LISTED(first, int result = execve(path, argv, va_arg(list, char **)))
}

GG_EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
    char link[40], path[GG_PATH];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return -1;
    path[length] = 0;
    return execve(path, argv, envp);
}
GG_EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags) {
    struct gg_place place;
    if (!*path && flags & AT_EMPTY_PATH)
        return fexecve(dir, argv, envp);
    long failed = gg.map ? gg_resolve(dir, path, 0, &place) : -ENOSYS;
    return (int)gg_result(failed ? failed : start(place.virt, argv, envp));
}

/* ---- posix_spawn(3) */

typedef int spawn_function(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                           char *const *, char *const *);

struct spawn {
    spawn_function *next;
    pid_t *pid;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
};

static long spawn(const struct attempt *attempt, const char *path) {
    const struct spawn *spawn = attempt->more;
    if (!gg.map)
        return -spawn->next(spawn->pid, path, spawn->actions, spawn->attributes, attempt->argv, attempt->envp);
    size_t size = gg_launch_size(attempt->argv, attempt->envp);
    void *memory = GG_TAKE(size);
    if (!memory)
        return -ENOMEM;
    struct gg_launch launch;
    long failed = gg_prepare(path, attempt->argv, attempt->envp, memory, &launch);
    if (!failed)
        failed = -spawn->next(spawn->pid, launch.loader, spawn->actions, spawn->attributes, (char *const *)launch.argv,
                              (char *const *)launch.envp);
    GG_GIVE(memory, size);
    return failed;
}

GG_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct spawn details = {GG_NEXT(posix_spawn), pid, actions, attributes};
    struct attempt attempt = {argv, envp, spawn, &details};
    return details.next ? (int)-spawn(&attempt, path) : ENOSYS;
}
GG_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct spawn details = {GG_NEXT(posix_spawn), pid, actions, attributes};
    struct attempt attempt = {argv, envp, spawn, &details};
    return details.next ? (int)-search(file, &attempt) : ENOSYS;
}

/* The real path of one that is named absolutely; a relative one is left to the kernel, which goes from the directory of then. */
static const char *mapped(const char *path, struct gg_place *place) {
    return gg.map && *path == '/' && !gg_resolve(AT_FDCWD, path, 0, place) ? place->real : path;
}

GG_EXPORT int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *restrict actions, int fd,
                                               const char *restrict path, int flags, mode_t mode) {
    struct gg_place place;
    return GG_NEXT(posix_spawn_file_actions_addopen)(actions, fd, mapped(path, &place), flags, mode);
}
GG_EXPORT int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *restrict actions,
                                                   const char *restrict path) {
    struct gg_place place;
    return GG_NEXT(posix_spawn_file_actions_addchdir_np)(actions, mapped(path, &place));
}

/* ---- system(3), popen(3) */

static pid_t shell(const char *command, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes) {
    char *argv[] = {"sh", "-c", (char *)command, 0};
    pid_t pid;
    int failed = posix_spawn(&pid, "/bin/sh", actions, attributes, argv, environ);
    if (!failed)
        return pid;
    errno = failed;
    return -1;
}

GG_EXPORT int system(const char *command) {
    if (!command)
        return access("/bin/sh", X_OK) == 0;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    sigset_t child, before, defaults;
    posix_spawnattr_t attributes;
    sigemptyset(&ignore.sa_mask);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    sigprocmask(SIG_BLOCK, &child, &before);
    sigemptyset(&defaults);
    if (interrupt.sa_handler != SIG_IGN)
        sigaddset(&defaults, SIGINT);
    if (quit.sa_handler != SIG_IGN)
        sigaddset(&defaults, SIGQUIT);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &before);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int status = 127 << 8;
    pid_t pid = shell(command, 0, &attributes);
    if (pid >= 0)
        while (waitpid(pid, &status, 0) < 0)
            if (errno != EINTR) {
                status = -1;
                break;
            }
    posix_spawnattr_destroy(&attributes);
    sigaction(SIGINT, &interrupt, 0);
    sigaction(SIGQUIT, &quit, 0);
    sigprocmask(SIG_SETMASK, &before, 0);
    return status;
}

/* The streams that popen has opened. More than these at once are an error (EMFILE). */
static struct {
    FILE *stream;
    pid_t pid;
} opened[64];
static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;

GG_EXPORT FILE *popen(const char *command, const char *mode) {
    int ends[2], reads = *mode == 'r', place = 0;
    if ((!reads && *mode != 'w') || strchr(mode, '+')) {
        errno = EINVAL;
        return 0;
    }
    pthread_mutex_lock(&opened_lock);
    while (place < 64 && opened[place].stream)
        place++;
    FILE *stream = 0;
    if (place == 64) {
        errno = EMFILE;
    } else if (pipe2(ends, O_CLOEXEC) == 0) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[reads], reads);
        pid_t pid = shell(command, &actions, 0);
        posix_spawn_file_actions_destroy(&actions);
        close(ends[reads]);
        int here = ends[!reads];
        if (pid < 0) {
            int error = errno;
            close(here);
            errno = error;
        } else {
            if (!strchr(mode, 'e'))
                fcntl(here, F_SETFD, 0);
            stream = fdopen(here, reads ? "r" : "w");
            opened[place].stream = stream;
            opened[place].pid = pid;
        }
    }
    pthread_mutex_unlock(&opened_lock);
    return stream;
}

GG_EXPORT int pclose(FILE *stream) {
    pid_t pid = -1;
    pthread_mutex_lock(&opened_lock);
    for (int at = 0; at < 64; at++)
        if (opened[at].stream == stream) {
            pid = opened[at].pid;
            opened[at].stream = 0;
        }
    pthread_mutex_unlock(&opened_lock);
    if (pid < 0) {
        errno = ECHILD;
        return -1;
    }
    fclose(stream);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}
