/* SPDX-License-Identifier: MIT */
/* hostile_user HOW: started as root, leaves what root may see and do, for a time
 * ("seteuid") or for good, then goes on in a folder that the other user may write. */
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "hostile.h"

enum { NOBODY = 65534 };

int main(int argc, char **argv)
{
	expect(mkdir("jail", 0777) == 0 && chmod("jail", 0777) == 0 && chdir("jail") == 0);
	use_all();
	if (is_mode(argc, argv, "setuid")) {
		expect(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	} else if (is_mode(argc, argv, "seteuid")) {
		expect(seteuid(NOBODY) == 0);
	} else if (is_mode(argc, argv, "all")) {
		expect(chroot(".") == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
		expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		expect(prctl(PR_SET_DUMPABLE, 0) == 0);
	} else {
		return 2;
	}
	/* They are root's. */
	unlink("file");
	unlink("file.child");
	use_all();
	use_threads(20);
	for (int i = 0; i < 5; i++)
		use_fork("file.child");
	if (is_mode(argc, argv, "seteuid"))
		expect(seteuid(0) == 0);
	if (!is_mode(argc, argv, "all"))
		use_exec(environ);
	return wrongs != 0;
}
