/* SPDX-License-Identifier: MIT */
/* One request in 500 leaks: a dozen blocks in all. */
#include "work.h"

NOINLINE static void *leak_redirect(void)
{
	return cleared(sized(200));
}

NOINLINE static void *benign_rotated(void)
{
	return cleared(sized(2000));
}

int main(void)
{
	static void *log_buffer, *old_buffer;

	benign_pool(77, 12345);
	for (int i = 0; i < requests(6000); i++) {
		void *p = i % 5 == 0 ? leak_redirect() : NULL;

		keep(p);
		if (!one_in(i / 5, 100))
			free(p);
		if (i % 500 == 0) {
			free(old_buffer);
			old_buffer = log_buffer;
			log_buffer = benign_rotated();
		}
		serve(i);
	}
	return leave();
}
