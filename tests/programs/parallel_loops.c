/* SPDX-License-Identifier: MIT */
/* Loops that OpenMP spreads over threads where it is compiled with -fopenmp, and
 * that give the same without. */
#include "hostile.h"

int main(void)
{
	unsigned long long sum = 0;

#ifdef _OPENMP
#pragma omp parallel for reduction(+ : sum) schedule(dynamic) num_threads(4)
#endif
	for (int i = 0; i < 20000; i++) {
		unsigned char *p = keep(malloc((size_t)(i % 300 + 1)));

		p[i % 300] = (unsigned char)i;
		sum += p[i % 300];
		free(p);
	}
	say("sum %llu\n", sum);
	for (int round = 0; round < 20; round++) {
#ifdef _OPENMP
#pragma omp parallel num_threads(3)
#endif
		use_heap(200);
	}
	use_all();
	return wrongs != 0;
}
