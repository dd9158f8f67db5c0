/* Libraries that a program loads, and files that the C library opens inside itself: locales, character sets, messages, time
 * zones, users. Its own calls do not come by the shim, so it is told where to look, or what to find. */

#include "inside.h"
#include <dlfcn.h>
#include <grp.h>
#include <iconv.h>
#include <libintl.h>
#include <link.h>
#include <locale.h>
#include <pwd.h>
#include <stdlib.h>
#include <time.h>

/* ---- dlopen(3) */

typedef void *open_function(const char *, int);

/* Whether a library that was asked for by name alone came from the sandbox. */
static int is_ours(void *library) {
    char virt[GG_PATH];
    const char *name = ((const struct link_map *)library)->l_name;
    if (!name || *name != '/' || gg_virtual(name, virt) >= 0)
        return 1;
    gg_unfit("is a library that is not in the sandbox", name);
    return 0;
}

GG_EXPORT void *dlopen(const char *file, int flags) {
    static open_function *next;
    if (!next && !(next = (open_function *)gg_next("dlopen")))
        return 0;
    struct gg_place place;
    if (!gg.map || !file || !*file)
        return next(file, flags);
    if (strchr(file, '/'))
        /* What is not there is said as the library says it, of a path that is not there either. */
        return next(gg_resolve(AT_FDCWD, file, 0, &place) ? file : place.real, flags);
    void *library = next(file, flags);
    return library && !is_ours(library) ? 0 : library;
}

/* ---- the environment, as the C library is to see it during one call */

static struct {
    char *variables[4096];
    char text[3][GG_PATH + 32];
} given;

static int given_lock;

/* Adds variables in front of the program's own, for one thread at a time. Returns what `take_back` is to be given. */
static char **give(const char *const names[], const char *const virtuals[], int count) {
    while (__atomic_exchange_n(&given_lock, 1, __ATOMIC_ACQUIRE))
        gg_sys(SYS_sched_yield, 0, 0, 0, 0);
    char **before = environ;
    int at = 0, number = 0;
    for (; number < count; number++) {
        struct gg_place place;
        size_t length = strlen(names[number]);
        memcpy(given.text[number], names[number], length);
        const char *value = virtuals[number];
        if (*value == '=')
            value++; /* a real path */
        else if (*value == '/' && !gg_resolve(AT_FDCWD, value, 0, &place))
            value = place.real;
        strcpy(given.text[number] + length, value);
        given.variables[at++] = given.text[number];
    }
    for (char **variable = before; variable && *variable && at < 4095; variable++)
        given.variables[at++] = *variable;
    given.variables[at] = 0;
    environ = given.variables;
    return before;
}

static void take_back(char **before) {
    if (!before)
        return;
    environ = before;
    __atomic_store_n(&given_lock, 0, __ATOMIC_RELEASE);
}

/* Where locales are. With LOCPATH set only directories are looked into (locale(7)); what the program's environment names of an
 * archive, the worker has laid out in RUN/locale, with links to the other directories. */
static char **give_locales(void) {
    static const char *const names[] = {"LOCPATH="};
    static char laid_out[GG_PATH + 1];
    const char *place = "/usr/lib/locale";
    if (!gg.map || getenv("LOCPATH"))
        return 0;
    size_t length = strlen(gg.run);
    laid_out[0] = '=';
    memcpy(laid_out + 1, gg.run, length);
    memcpy(laid_out + 1 + length, "/locale", sizeof "/locale");
    if (gg_sys(SYS_faccessat, AT_FDCWD, laid_out + 1, 0, 0) >= 0)
        place = laid_out;
    return give(names, &place, 1);
}

#define WITH_LOCALES(type, call)                                                                                       \
    char **before = give_locales();                                                                                    \
    type result = call;                                                                                                \
    take_back(before);                                                                                                \
    return result;

/* The library's own messages lie in a place that is built in. */
static void bind_messages(void) {
    static int bound;
    if (gg.map && !bound)
        bindtextdomain("libc", "/usr/share/locale");
    bound = 1;
}

GG_EXPORT char *setlocale(int category, const char *locale) {
    char *(*next)(int, const char *) = GG_NEXT(setlocale);
    if (!locale || !strcmp(locale, "C") || !strcmp(locale, "POSIX"))
        return next(category, locale);
    bind_messages();
    WITH_LOCALES(char *, next(category, locale))
}

GG_EXPORT locale_t newlocale(int mask, const char *locale, locale_t base) {
    locale_t (*next)(int, const char *, locale_t) = GG_NEXT(newlocale);
    if (!locale || !strcmp(locale, "C") || !strcmp(locale, "POSIX"))
        return next(mask, locale, base);
    bind_messages();
    WITH_LOCALES(locale_t, next(mask, locale, base))
}

/* Character sets lie beside the C library. */
GG_EXPORT iconv_t iconv_open(const char *to, const char *from) {
    iconv_t (*next)(const char *, const char *) = GG_NEXT(iconv_open);
    static const char *const names[] = {"GCONV_PATH="};
#if defined(__x86_64__)
    static const char *const places[] = {"/usr/lib/x86_64-linux-gnu/gconv", "/usr/lib64/gconv", "/usr/lib/gconv"};
#else
    static const char *const places[] = {"/usr/lib/aarch64-linux-gnu/gconv", "/usr/lib64/gconv", "/usr/lib/gconv"};
#endif
    if (!gg.map)
        return next(to, from);
    int place = 0;
    struct gg_place found;
    while (place < 2 && (gg_resolve(AT_FDCWD, places[place], 0, &found) ||
                         gg_sys(SYS_faccessat, AT_FDCWD, found.real, 0, 0) < 0))
        place++;
    char **before = give(names, places + place, 1);
    iconv_t result = next(to, from);
    take_back(before);
    return result;
}

/* Messages: the directory is kept as it is given, and given back so. */
GG_EXPORT char *bindtextdomain(const char *domain, const char *directory) {
    char *(*next)(const char *, const char *) = GG_NEXT(bindtextdomain);
    struct gg_place place;
    if (!gg.map || !directory || *directory != '/' || gg_resolve(AT_FDCWD, directory, 0, &place))
        return next(domain, directory);
    return next(domain, place.real);
}

/* ---- time zones: without TZ it is the sandbox's own /etc/localtime, or UTC */

static char **give_zone(void) {
    static const char *const names[] = {"TZ=", "TZDIR="};
    static const char *places[] = {"UTC0", "/usr/share/zoneinfo"};
    static char colon[GG_PATH + 1];
    if (!gg.map)
        return 0;
    if (getenv("TZ"))
        return give(names + 1, places + 1, 1);
    struct gg_place place;
    if (!gg_resolve(AT_FDCWD, "/etc/localtime", 0, &place) && gg_sys(SYS_faccessat, AT_FDCWD, place.real, 0, 0) >= 0) {
        colon[0] = ':';
        memcpy(colon + 1, place.real, place.real_length + 1);
        places[0] = colon;
    }
    return give(names, places, 2);
}

#define ZONED(type, name, declared, passed)                                                                            \
    GG_EXPORT type name declared {                                                                                     \
        static __typeof__(&name) next;                                                                                 \
        if (!next)                                                                                                     \
            next = GG_NEXT(name);                                                                                      \
        char **before = give_zone();                                                                                   \
        type result = next passed;                                                                                     \
        take_back(before);                                                                                            \
        return result;                                                                                                 \
    }
ZONED(struct tm *, localtime, (const time_t *time), (time))
ZONED(struct tm *, localtime_r, (const time_t *restrict time, struct tm *restrict out), (time, out))
ZONED(time_t, mktime, (struct tm * time), (time))
ZONED(char *, ctime, (const time_t *time), (time))
ZONED(char *, ctime_r, (const time_t *restrict time, char *restrict out), (time, out))
ZONED(size_t, strftime, (char *restrict out, size_t size, const char *restrict format, const struct tm *restrict time),
      (out, size, format, time))
GG_EXPORT void tzset(void) {
    void (*next)(void) = GG_NEXT(tzset);
    char **before = give_zone();
    next();
    take_back(before);
}

/* ---- users and groups: a sandbox has none */

GG_EXPORT struct passwd *getpwuid(uid_t user) { return (void)user, (struct passwd *)0; }
GG_EXPORT struct passwd *getpwnam(const char *name) { return (void)name, (struct passwd *)0; }
GG_EXPORT struct group *getgrgid(gid_t group) { return (void)group, (struct group *)0; }
GG_EXPORT struct group *getgrnam(const char *name) { return (void)name, (struct group *)0; }

#define NOBODY(name, key, type)                                                                                        \
    GG_EXPORT int name(key, struct type *entry, char *buffer, size_t size, struct type **result) {                     \
        (void)entry, (void)buffer, (void)size;                                                                         \
        *result = 0;                                                                                                   \
        return 0;                                                                                                      \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
NOBODY(getpwuid_r, uid_t key, passwd)
NOBODY(getpwnam_r, const char *key, passwd)
NOBODY(getgrgid_r, gid_t key, group)
NOBODY(getgrnam_r, const char *key, group)
