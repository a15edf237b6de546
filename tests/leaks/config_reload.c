/* SPDX-License-Identifier: MIT */
/* The configuration is read again now and then. Of the old one all is freed but the values
 * of its strings; of the old routes, all. */
#include "work.h"

enum { VALUES = 12, ROUTES = 60 };

struct config {
	char *values[VALUES];
};

NOINLINE static char *leak_value(int k)
{
	char *s = (char *)cleared(sized(40));

	snprintf(s, 16, "value %d", k);
	return s;
}

NOINLINE static void *benign_route(void)
{
	return cleared(sized(120));
}

NOINLINE static struct config *benign_config(void)
{
	return (struct config *)cleared(sizeof(struct config));
}

static struct config *read_config(void)
{
	struct config *c = benign_config();

	for (int k = 0; k < VALUES; k++)
		c->values[k] = leak_value(k);
	return c;
}

static void read_routes(void)
{
	static void *routes[ROUTES];

	for (int k = 0; k < ROUTES; k++) {
		free(routes[k]);
		routes[k] = benign_route();
	}
}

int main(void)
{
	static struct config *config;

	benign_pool(17, 170000);
	for (int i = 0; i < requests(4500); i++) {
		if (i == 0 || one_in(i, 280)) {
			free(config);
			config = read_config();
			read_routes();
		}
		serve(i);
	}
	return leave();
}
