/* Executes LAUNCHER TOOL ARGUMENTS..., for a compiler cache that does not go by compilers' names itself. */
#include <string.h>
#include <unistd.h>

int main(int count, char **given)
{
	char *arguments[count + 2];

	arguments[0] = LAUNCHER;
	arguments[1] = TOOL;
	memcpy(arguments + 2, given + 1, count * sizeof *given);
	execv(LAUNCHER, arguments);
	return 127;
}
