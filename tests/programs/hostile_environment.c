/* SPDX-License-Identifier: MIT */
/* Does away with its environment, then goes on. */
#include "hostile.h"

int main(int argc, char **argv)
{
	char *const empty[] = {NULL};

	if (is_mode(argc, argv, "null"))
		environ = NULL;
	else if (is_mode(argc, argv, "clearenv"))
		expect(clearenv() == 0);
	else if (is_mode(argc, argv, "overwrite"))
		/* As programs do that show their state in the command line. */
		memset(argv[0], 'x', strlen(argv[0]));
	else
		return 2;
	use_all();
	use_exec(empty);
	expect(system("exit 3") == 3 << 8);
	expect(setenv("NAME", "value", 1) == 0 && strcmp(getenv("NAME"), "value") == 0);
	expect(putenv((char *)"OTHER=1") == 0 && system("test \"$OTHER\" = 1") == 0);
	use_exec(environ);
	return wrongs != 0;
}
