/* Starting a program through the sandbox's own dynamic loader, with this shim in it (ld.so(8)). */

#include "shim.h"
#include <elf.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#define MULTIARCH "x86_64-linux-gnu"
#else
#define OWN_MACHINE EM_AARCH64
#define MULTIARCH "aarch64-linux-gnu"
#endif

/* What the kernel reads of a file to tell what it is (BINPRM_BUF_SIZE, execve(2)); here with room for program headers. */
#define SCRIPT_LINE 256
#define HEAD 4096

/* As many interpreters of interpreters are started (execve(2)). */
#define MOST_SCRIPTS 5

/* Where a loader looks at the end, of itself. Its own default is the host's. */
static const char *const DEFAULTS[] = {
    "/lib/" MULTIARCH, "/usr/lib/" MULTIARCH, "/lib64", "/usr/lib64", "/lib", "/usr/lib",
};

#define LIBRARIES (8 * GG_PATH)

void gg_unfit(const char *what, const char *path) {
    char name[GG_PATH];
    size_t length = strlen(gg.run);
    memcpy(name, gg.run, length);
    memcpy(name + length, "/unfit", sizeof "/unfit");
    /* The first reason is the one. */
    long fd = gg_sys(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    gg_sys(SYS_write, fd, path, strlen(path), 0);
    gg_sys(SYS_write, fd, " ", 1, 0);
    gg_sys(SYS_write, fd, what, strlen(what), 0);
    gg_sys(SYS_close, fd, 0, 0, 0);
}

static size_t count(char *const list[]) {
    size_t number = 0;
    while (list && list[number])
        number++;
    return number;
}

/* A bump allocator over the caller's memory, which `gg_launch_size` has measured. */
struct memory {
    char *next;
};

static char *take(struct memory *memory, size_t bytes) {
    char *taken = memory->next;
    memory->next += (bytes + 15) & ~(size_t)15;
    return taken;
}

static const char *join(struct memory *memory, const char *left, const char *right) {
    size_t first = strlen(left), second = strlen(right);
    char *text = take(memory, first + second + 1);
    memcpy(text, left, first);
    memcpy(text + first, right, second + 1);
    return text;
}

size_t gg_launch_size(char *const argv[], char *const envp[]) {
    size_t strings = argv && argv[0] ? strlen(argv[0]) : 0;
    return (count(argv) + count(envp) + 64) * (sizeof(char *) + 1) + strings + LIBRARIES +
           (MOST_SCRIPTS + 8) * (GG_PATH + SCRIPT_LINE);
}

/* A program's file. */
struct image {
    long fd;
    char head[HEAD];
    long length; /* of the head */
    Elf64_Ehdr header;
    Elf64_Phdr phdrs[32];
    int count;
};

static int read_at(const struct image *image, void *to, size_t bytes, uint64_t offset) {
    if (offset <= (uint64_t)image->length && bytes <= (uint64_t)image->length - offset) {
        memcpy(to, image->head + offset, bytes);
        return 0;
    }
    return gg_sys(SYS_pread64, image->fd, to, bytes, offset) == (long)bytes ? 0 : -ENOEXEC;
}

static int read_text(const struct image *image, char *to, uint64_t offset) {
    long got = gg_sys(SYS_pread64, image->fd, to, GG_PATH - 1, offset);
    if (got < 0)
        return -ENOEXEC;
    to[got] = 0;
    return 0;
}

static uint64_t offset_of(const struct image *image, uint64_t address) {
    for (int at = 0; at < image->count; at++) {
        const Elf64_Phdr *phdr = &image->phdrs[at];
        if (phdr->p_type == PT_LOAD && address >= phdr->p_vaddr && address - phdr->p_vaddr < phdr->p_filesz)
            return address - phdr->p_vaddr + phdr->p_offset;
    }
    return 0;
}

struct libraries {
    char *text;
    size_t length;
};

/* Adds a virtual directory to what the loader searches, if it is there. */
static void add_directory(struct libraries *libraries, const char *virt) {
    struct gg_place place;
    if (*virt != '/' || gg_resolve(AT_FDCWD, virt, 0, &place))
        return;
    while (place.real_length > 1 && place.real[place.real_length - 1] == '/')
        place.real[--place.real_length] = 0;
    /* The list has no way to quote these (ld.so(8)). */
    if (strpbrk(place.real, ":;$") || libraries->length + place.real_length + 2 > LIBRARIES)
        return;
    const char *at = libraries->text;
    while ((at = strstr(at, place.real))) {
        const char *end = at + place.real_length;
        if ((at == libraries->text || at[-1] == ':') && (!*end || *end == ':'))
            return;
        at = end;
    }
    if (gg_sys(SYS_faccessat, AT_FDCWD, place.real, 0, 0) < 0)
        return;
    if (libraries->length)
        libraries->text[libraries->length++] = ':';
    memcpy(libraries->text + libraries->length, place.real, place.real_length + 1);
    libraries->length += place.real_length;
}

/* Adds each directory of a list as the loader reads it; $ORIGIN is where the program lies. */
static void add_list(struct libraries *libraries, const char *list, const char *program) {
    while (list && *list) {
        char directory[GG_PATH];
        size_t length = 0;
        int fits = 1;
        for (; *list && *list != ':' && *list != ';'; list++) {
            const char *origin = !strncmp(list, "$ORIGIN", 7) ? list + 7 : !strncmp(list, "${ORIGIN}", 9) ? list + 9 : 0;
            const char *from = list;
            size_t bytes = 1;
            if (origin) {
                from = program;
                bytes = (size_t)(strrchr(program, '/') - program);
                list = origin - 1;
            }
            if (length + bytes < sizeof directory) {
                memcpy(directory + length, from, bytes);
                length += bytes;
            } else {
                fits = 0;
            }
        }
        directory[length] = 0;
        if (fits)
            add_directory(libraries, directory);
        if (*list)
            list++;
    }
}

/* Finds the loader, and where it is to look for libraries. */
static int read_program(struct image *image, const struct gg_place *place, const char *library_path, const char **loader,
                        struct libraries *libraries, struct memory *memory) {
    if (read_at(image, &image->header, sizeof image->header, 0))
        return -ENOEXEC;
    if (image->header.e_ident[EI_CLASS] != ELFCLASS64 || image->header.e_machine != OWN_MACHINE) {
        gg_unfit("is a program for another processor", place->virt);
        return -ENOEXEC;
    }
    image->count = image->header.e_phnum;
    if (image->header.e_phentsize != sizeof(Elf64_Phdr) || image->count > 32 ||
        read_at(image, image->phdrs, (size_t)image->count * sizeof(Elf64_Phdr), image->header.e_phoff))
        return -ENOEXEC;
    const Elf64_Phdr *interpreter = 0, *dynamic = 0;
    for (int at = 0; at < image->count; at++) {
        if (image->phdrs[at].p_type == PT_INTERP)
            interpreter = &image->phdrs[at];
        if (image->phdrs[at].p_type == PT_DYNAMIC)
            dynamic = &image->phdrs[at];
    }
    if (!interpreter) {
        gg_unfit("is statically linked, so its paths cannot be mapped", place->virt);
        return -ENOEXEC;
    }
    char text[GG_PATH];
    struct gg_place found;
    if (read_text(image, text, interpreter->p_offset))
        return -ENOEXEC;
    int failed = gg_resolve(AT_FDCWD, text, 0, &found);
    if (failed)
        return failed;
    const char *name = strrchr(text, '/');
    name = name ? name + 1 : text;
    if (strncmp(name, "ld-linux", 8) && strncmp(name, "ld64", 4) && strncmp(name, "ld.so", 5) && strncmp(name, "ld-2", 4)) {
        gg_unfit("has a dynamic loader that is not the GNU C library's", place->virt);
        return -ENOEXEC;
    }
    long there = gg_sys(SYS_faccessat, AT_FDCWD, found.real, 1, 0);
    if (there < 0)
        return (int)there;
    *loader = join(memory, found.real, "");

    uint64_t strings = 0, rpath = 0, runpath = 0;
    for (uint64_t at = 0; dynamic && at + sizeof(Elf64_Dyn) <= dynamic->p_filesz; at += 32 * sizeof(Elf64_Dyn)) {
        Elf64_Dyn tags[32];
        size_t bytes = dynamic->p_filesz - at < sizeof tags ? dynamic->p_filesz - at : sizeof tags;
        if (read_at(image, tags, bytes, dynamic->p_offset + at))
            return -ENOEXEC;
        for (size_t tag = 0; tag < bytes / sizeof *tags; tag++) {
            if (tags[tag].d_tag == DT_NULL) {
                at = dynamic->p_filesz;
                break;
            }
            uint64_t value = tags[tag].d_un.d_val;
            strings = tags[tag].d_tag == DT_STRTAB ? value : strings;
            rpath = tags[tag].d_tag == DT_RPATH ? value : rpath;
            runpath = tags[tag].d_tag == DT_RUNPATH ? value : runpath;
        }
    }
    strings = offset_of(image, strings);
    if (rpath && !runpath && strings && !read_text(image, text, strings + rpath))
        add_list(libraries, text, place->virt);
    add_list(libraries, library_path, place->virt);
    if (runpath && strings && !read_text(image, text, strings + runpath))
        add_list(libraries, text, place->virt);
    for (size_t at = 0; at < sizeof DEFAULTS / sizeof *DEFAULTS; at++)
        add_directory(libraries, DEFAULTS[at]);
    add_list(libraries, gg_text(gg.map->libraries), place->virt);
    return 0;
}

/* The interpreter of a script, and its argument or 0, cut out of the line. */
static const char *read_script(char *line, long length, const char **argument) {
    line[length < SCRIPT_LINE ? length : SCRIPT_LINE - 1] = 0;
    char *at = line + 2, *end = strchr(at, '\n');
    if (end)
        *end = 0;
    else
        end = at + strlen(at);
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = 0;
    at += strspn(at, " \t");
    char *gap = at + strcspn(at, " \t");
    *argument = 0;
    if (*gap) {
        *gap++ = 0;
        *argument = gap + strspn(gap, " \t");
    }
    return at;
}

static const char *value_of(const char *variable, const char *name) {
    size_t length = strlen(name);
    return strncmp(variable, name, length) ? 0 : variable + length;
}

int gg_prepare(const char *path, char *const argv[], char *const envp[], void *buffer, struct gg_launch *out) {
    struct memory memory = {buffer};
    struct gg_place place;
    struct image image;
    /* What comes before the arguments: for each script its interpreter, an argument, its own path. */
    const char *front[3 * MOST_SCRIPTS];
    int fronts = 0, scripts = 0;
    const char *name = path, *loader = 0, *library_path = 0;
    for (char *const *variable = envp; variable && *variable; variable++) {
        const char *value = value_of(*variable, "LD_LIBRARY_PATH=");
        library_path = value ? value : library_path;
        if (((value = value_of(*variable, "LD_PRELOAD=")) && *value) || ((value = value_of(*variable, "LD_AUDIT=")) && *value)) {
            gg_unfit("preloads libraries of its own (LD_PRELOAD, LD_AUDIT)", path);
            return -ENOEXEC;
        }
    }
    struct libraries libraries = {take(&memory, LIBRARIES), 0};
    libraries.text[0] = 0;
    for (;;) {
        int failed = gg_resolve(AT_FDCWD, name, 0, &place);
        if (failed)
            return failed;
        struct stat stat;
        long done = gg_sys(SYS_newfstatat, AT_FDCWD, place.real, &stat, 0);
        if (done < 0)
            return (int)done;
        if (!S_ISREG(stat.st_mode) || gg_sys(SYS_faccessat, AT_FDCWD, place.real, 1, 0) < 0)
            return -EACCES;
        image.fd = gg_sys(SYS_openat, AT_FDCWD, place.real, O_RDONLY | O_CLOEXEC, 0);
        if (image.fd < 0) {
            gg_unfit("may be started but not read", place.virt);
            return (int)image.fd;
        }
        image.length = gg_sys(SYS_pread64, image.fd, image.head, HEAD, 0);
        if (image.length >= 4 && !memcmp(image.head, ELFMAG, SELFMAG)) {
            failed = read_program(&image, &place, library_path, &loader, &libraries, &memory);
            gg_sys(SYS_close, image.fd, 0, 0, 0);
            if (failed)
                return failed;
            break;
        }
        gg_sys(SYS_close, image.fd, 0, 0, 0);
        if (image.length < 3 || memcmp(image.head, "#!", 2))
            return -ENOEXEC;
        if (++scripts >= MOST_SCRIPTS)
            return -ELOOP;
        const char *argument, *interpreter = read_script(image.head, image.length, &argument);
        if (!*interpreter)
            return -ENOEXEC;
        /* The script's own path takes the place of the name that its interpreter was to get. */
        int added = argument ? 3 : 2;
        memmove(front + added, front + (fronts ? 1 : 0), sizeof *front * (size_t)(fronts ? fronts - 1 : 0));
        fronts += added - (fronts ? 1 : 0);
        front[0] = join(&memory, interpreter, "");
        if (argument)
            front[1] = join(&memory, argument, "");
        front[added - 1] = name;
        name = front[0];
    }

    size_t arguments = count(argv), variables = count(envp), at = 0;
    out->loader = loader;
    out->argv = (const char **)take(&memory, (arguments + (size_t)fronts + 6) * sizeof(char *));
    out->argv[at++] = loader;
    out->argv[at++] = "--inhibit-cache";
    out->argv[at++] = "--library-path";
    out->argv[at++] = libraries.text;
    out->argv[at++] = join(&memory, place.real, "");
    for (int part = 1; part < fronts; part++)
        out->argv[at++] = front[part];
    for (size_t argument = 1; argument < arguments; argument++)
        out->argv[at++] = argv[argument];
    out->argv[at] = 0;

    const char *argv0 = fronts ? front[0] : arguments ? argv[0] : "";
    at = 0;
    out->envp = (const char **)take(&memory, (variables + GG_VARIABLES + 1) * sizeof(char *));
    out->envp[at++] = join(&memory, GG_PRELOAD, gg_text(gg.map->shim));
    out->envp[at++] = join(&memory, GG_RUN, gg.run);
    out->envp[at++] = join(&memory, GG_ARGV0, argv0);
    out->envp[at++] = join(&memory, GG_EXE, place.virt);
    for (size_t variable = 0; variable < variables; variable++)
        if (strncmp(envp[variable], "GG_SANDBOX_", 11))
            out->envp[at++] = envp[variable];
    out->envp[at] = 0;
    return 0;
}
