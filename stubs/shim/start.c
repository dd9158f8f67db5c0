/* What happens before the program's first instruction: the shim finds its sandbox and takes its traces away. */

#include "inside.h"
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/prctl.h>

extern char *program_invocation_name, *program_invocation_short_name;

void *gg_map_memory(size_t bytes) {
    long memory = gg_sys6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory < 0 && memory > -4096 ? 0 : (void *)memory;
}

void gg_unmap_memory(void *memory, size_t bytes) { gg_sys(SYS_munmap, memory, bytes, 0, 0); }

static const char *value_of(const char *variable, const char *name) {
    size_t length = strlen(name);
    return variable && !strncmp(variable, name, length) ? variable + length : 0;
}

/* A library of the host's would be found where the sandbox has none. */
static int check(struct dl_phdr_info *object, size_t size, void *failed) {
    (void)size;
    char virt[GG_PATH];
    const char *name = object->dlpi_name;
    if (name && *name == '/' && strcmp(name, gg_text(gg.map->shim)) && gg_virtual(name, virt) < 0)
        *(const char **)failed = name;
    return 0;
}

/* Before every other object's, also the C library's own (ld(1), -z initfirst). */
__attribute__((constructor)) static void start(int argc, char **argv, char **envp) {
    const char *run, *argv0, *exe;
    if (!envp || !value_of(envp[0], GG_PRELOAD) || !(run = value_of(envp[1], GG_RUN)) ||
        !(argv0 = value_of(envp[2], GG_ARGV0)) || !(exe = value_of(envp[3], GG_EXE)))
        return;
    size_t at = 0;
    do {
        envp[at] = envp[at + GG_VARIABLES];
    } while (envp[at++]);
    if (gg_open_map(run) < 0)
        gg_sys(SYS_exit_group, 127, 0, 0, 0);
    gg.exe = exe;
    if (argc > 0)
        argv[0] = (char *)argv0;
    /* Where the C library was quicker. */
    program_invocation_name = (char *)argv0;
    char *slash = strrchr(argv0, '/');
    program_invocation_short_name = slash ? slash + 1 : (char *)argv0;
    const char *failed = 0;
    dl_iterate_phdr(check, &failed);
    if (failed) {
        gg_unfit("uses a library that is not in the sandbox", failed);
        gg_sys(SYS_exit_group, 127, 0, 0, 0);
    }
    const char *base = strrchr(exe, '/');
    gg_sys(SYS_prctl, PR_SET_NAME, base ? base + 1 : exe, 0, 0);
}

/* ---- */

struct search {
    const char *name;
    void *found;
    int past; /* whether the shim itself has been passed */
};

static uint32_t gnu_hash(const char *name) {
    uint32_t hash = 5381;
    while (*name)
        hash = hash * 33 + (unsigned char)*name++;
    return hash;
}

/* Looks a symbol up in one object, by its GNU hash table. */
static void *look_up(ElfW(Addr) base, const ElfW(Dyn) * dynamic, const char *name) {
    const uint32_t *table = 0;
    const ElfW(Sym) *symbols = 0;
    const char *strings = 0;
    const ElfW(Half) *versions = 0;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        ElfW(Addr) value = dynamic->d_un.d_ptr;
        /* The loader has made these absolute, except in objects that it cannot write to. */
        ElfW(Addr) address = value < base ? base + value : value;
        switch (dynamic->d_tag) {
        case DT_GNU_HASH: table = (const uint32_t *)address; break;
        case DT_SYMTAB: symbols = (const ElfW(Sym) *)address; break;
        case DT_STRTAB: strings = (const char *)address; break;
        case DT_VERSYM: versions = (const ElfW(Half) *)address; break;
        default: break;
        }
    }
    if (!table || !symbols || !strings)
        return 0;
    uint32_t buckets = table[0], first = table[1], blooms = table[2], hash = gnu_hash(name);
    const uint32_t *bucket = table + 4 + blooms * (sizeof(ElfW(Addr)) / 4), *chain = bucket + buckets;
    if (!buckets)
        return 0;
    for (uint32_t number = bucket[hash % buckets]; number >= first; number++) {
        uint32_t here = chain[number - first];
        const ElfW(Sym) *symbol = &symbols[number];
        if ((here | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF && !strcmp(strings + symbol->st_name, name) &&
            ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && !(versions && versions[number] & 0x8000))
            return (void *)(base + symbol->st_value);
        if (here & 1)
            return 0;
    }
    return 0;
}

static int search_object(struct dl_phdr_info *object, size_t size, void *data) {
    (void)size;
    struct search *search = data;
    const ElfW(Dyn) *dynamic = 0;
    int own = 0;
    for (int at = 0; at < object->dlpi_phnum; at++) {
        const ElfW(Phdr) *phdr = &object->dlpi_phdr[at];
        ElfW(Addr) begin = object->dlpi_addr + phdr->p_vaddr;
        if (phdr->p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)begin;
        if (phdr->p_type == PT_LOAD && (ElfW(Addr))&gg >= begin && (ElfW(Addr))&gg < begin + phdr->p_memsz)
            own = 1;
    }
    if (own)
        search->past = 1;
    else if (search->past && dynamic && object->dlpi_addr)
        search->found = look_up(object->dlpi_addr, dynamic, search->name);
    return search->found != 0;
}

void *gg_next(const char *name) {
    struct search search = {name, 0, 0};
    dl_iterate_phdr(search_object, &search);
    return search.found;
}
