/* SPDX-License-Identifier: MIT */
/* A library that keeps what it is given in variables of its own, one of each kind. */
static void *volatile variable;
static __thread void *volatile of_thread;

void hold_in_library(void *in_data, void *in_tls);

void hold_in_library(void *in_data, void *in_tls)
{
	variable = in_data;
	of_thread = in_tls;
}
