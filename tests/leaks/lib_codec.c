/* SPDX-License-Identifier: MIT */
/* A plugin that stays. */
#include "work.h"

void codec_start(void);
int codec_use(int i);

static void *tables[80];

NOINLINE static void *benign_codec_table(void)
{
	return cleared(3000);
}

void codec_start(void)
{
	for (int i = 0; i < 80; i++)
		tables[i] = benign_codec_table();
}

int codec_use(int i)
{
	free(tables[i % 80]);
	tables[i % 80] = benign_codec_table();
	return i;
}
