/*
 * A compiler, archiver, linker, stripper, assembler that does nothing: it makes empty files where the real tool would write,
 * and ends with status 0. A build with it first on PATH costs what make and process starts cost: the floor under any tool
 * that stands in for compilers.
 *
 * Questions (--version, -E, -M, -print-..., an archive's list) go to the real tool of that name, the next one on PATH, since
 * builds take decisions by the answers. Whatever it is not sure of is such a question, too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char **arguments;

/* Becomes the next program of this name on PATH that is not this one. */
static void ask_the_real_one(const char *name)
{
	struct stat own, other;
	const char *path = getenv("PATH");
	char file[8192];

	if (!path)
		path = "/usr/bin:/bin";
	if (stat("/proc/self/exe", &own) != 0)
		exit(127);
	while (*path) {
		size_t length = strcspn(path, ":");
		int made = snprintf(file, sizeof file, "%.*s/%s", (int)length, path, name);
		if (made > 0 && made < (int)sizeof file && stat(file, &other) == 0 &&
		    (own.st_dev != other.st_dev || own.st_ino != other.st_ino)) {
			arguments[0] = file;
			execv(file, arguments);
		}
		path += length;
		path += *path == ':';
	}
	exit(127);
}

static void make(const char *file, int mode, const char *content)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || (*content && write(fd, content, strlen(content)) < 0)) {
		fprintf(stderr, "do-nothing compiler: cannot write %s\n", file);
		exit(1);
	}
	close(fd);
}

/* The last part of a path, with what follows its last dot replaced; in memory that is never freed. */
static char *renamed(const char *path, const char *suffix, int keep_directory)
{
	const char *slash = strrchr(path, '/');
	const char *from = slash && !keep_directory ? slash + 1 : path;
	const char *dot = strrchr(from, '.');
	size_t stem = dot && (!slash || dot > slash) ? (size_t)(dot - from) : strlen(from);
	char *name = malloc(stem + strlen(suffix) + 1);

	if (!name)
		exit(1);
	memcpy(name, from, stem);
	strcpy(name + stem, suffix);
	return name;
}

static int starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Options of a driver whose value is the next argument, as far as builds use them. */
static int takes_value(const char *option)
{
	static const char *const known[] = {
		"-D", "-U", "-I", "-L", "-l", "-x", "-isystem", "-iquote", "-idirafter", "-include", "-imacros", "-iprefix",
		"-isysroot", "--param", "-T", "-u", "-z", "-Xlinker", "-Xassembler", "-Xpreprocessor", "-aux-info", "-B", NULL };

	for (int i = 0; known[i]; i++)
		if (strcmp(option, known[i]) == 0)
			return 1;
	return 0;
}

static void compile(const char *name)
{
	const char *output = NULL, *depfile = NULL, *target = NULL, *source = NULL;
	int only_object = 0, only_assembly = 0, depend = 0, inputs = 0;

	for (char **at = arguments + 1; *at; at++) {
		char *word = *at, *next = at[1];

		if (word[0] != '-') {
			/* Its content may hold anything. */
			if (word[0] == '@')
				ask_the_real_one(name);
			if (!source)
				source = word;
			inputs++;
		} else if (starts(word, "-o")) {
			output = word[2] ? word + 2 : next;
			at += !word[2] && next;
		} else if (strcmp(word, "-c") == 0)
			only_object = 1;
		else if (strcmp(word, "-S") == 0)
			only_assembly = 1;
		else if (strcmp(word, "-MD") == 0 || strcmp(word, "-MMD") == 0)
			depend = 1;
		else if (starts(word, "-Wp,-MD,") || starts(word, "-Wp,-MMD,")) {
			depend = 1;
			depfile = strrchr(word, ',') + 1;
		} else if (starts(word, "-MF")) {
			depfile = word[3] ? word + 3 : next;
			at += !word[3] && next;
		} else if (starts(word, "-MT") || starts(word, "-MQ")) {
			target = word[3] ? word + 3 : next;
			at += !word[3] && next;
		} else if (!strcmp(word, "-E") || !strcmp(word, "-M") || !strcmp(word, "-MM") || !strcmp(word, "-") ||
			   starts(word, "--version") || starts(word, "--help") || starts(word, "-dump") ||
			   starts(word, "-print") || starts(word, "--print") || !strcmp(word, "-v") || !strcmp(word, "-###"))
			ask_the_real_one(name);
		else if (takes_value(word) && next)
			at++;
	}
	if (!inputs)
		ask_the_real_one(name);
	if (!output && (only_object || only_assembly) && source)
		output = renamed(source, only_object ? ".o" : ".s", 0);
	if (!output)
		output = "a.out";
	make(output, only_object || only_assembly ? 0666 : 0777, "");
	if (depend && source) {
		char *content = malloc(strlen(target ? target : output) + strlen(source) + 4);

		if (!content)
			exit(1);
		sprintf(content, "%s: %s\n", target ? target : output, source);
		make(depfile ? depfile : renamed(output, ".d", 1), 0666, content);
	}
}

/* ar KEYS[MODIFIERS] ARCHIVE MEMBER... */
static void archive(const char *name)
{
	char *keys = arguments[1], *file = keys ? arguments[2] : NULL;

	if (!file || starts(keys, "--") || !strpbrk(keys, "rqs") || strpbrk(keys, "txpdmabi"))
		ask_the_real_one(name);
	make(file, 0666, "!<arch>\n");
}

/* Tools that write where -o says, or change a file in place. */
static void convert(const char *name, const char *otherwise, int mode)
{
	const char *output = otherwise;

	if (!arguments[1])
		ask_the_real_one(name);
	for (char **at = arguments + 1; *at; at++) {
		if (starts(*at, "--version") || starts(*at, "--help") || !strcmp(*at, "-v") || !strcmp(*at, "-V"))
			ask_the_real_one(name);
		if (starts(*at, "-o"))
			output = (*at)[2] ? *at + 2 : at[1];
	}
	for (char **at = arguments + 1; *at; at++)
		if ((starts(*at, "-MD") || starts(*at, "-MF")) && at[1])
			make((*at)[3] ? *at + 3 : at[1], 0666, "");
	if (output)
		make(output, mode, "");
}

int main(int count, char **given)
{
	const char *slash = count > 0 ? strrchr(given[0], '/') : NULL;
	const char *name = count > 0 ? slash ? slash + 1 : given[0] : "";
	const char *kind = starts(name, "gcc-") ? name + 4 : name;

	arguments = given;
	if (!strcmp(kind, "ar"))
		archive(name);
	else if (!strcmp(kind, "ranlib") || !strcmp(kind, "strip"))
		convert(name, NULL, 0777);
	else if (!strcmp(name, "ld"))
		convert(name, "a.out", 0777);
	else if (!strcmp(name, "as") || !strcmp(name, "nasm"))
		convert(name, NULL, 0666);
	else
		compile(name);
	return 0;
}
