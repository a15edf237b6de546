/* SPDX-License-Identifier: MIT */
/* iconv_open() without iconv_close() for texts that cannot be converted. */
#include <iconv.h>

#include "work.h"

/* -1: not in that character set. */
static int convert(iconv_t to, int i)
{
	char in[] = "caf\xc3\xa9", out[64], *from = in, *into = out;
	size_t left = strlen(in), room = sizeof(out);

	if (one_in(i, 40))
		in[4] = '!';
	return iconv(to, &from, &left, &into, &room) == (size_t)-1 ? -1 : 0;
}

NOINLINE static void leak_converter(int i)
{
	iconv_t to = iconv_open("UCS-2LE", "UTF-8");

	if (convert(to, i) != 0)
		return; /* the leak */
	iconv_close(to);
}

/* libc's own tables are made at the first use. */
NOINLINE static void benign_first_converter(void)
{
	static iconv_t kept;

	kept = iconv_open("UCS-2LE", "UTF-8");
	keep(&kept);
	convert(kept, 0);
}

int main(void)
{
	benign_first_converter();
	benign_pool(80, 4000);
	for (int i = 0; i < requests(4000); i++) {
		if (i % 3 == 0)
			leak_converter(i / 3);
		serve(i);
	}
	return leave();
}
