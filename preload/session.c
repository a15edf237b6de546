/* SPDX-License-Identifier: MIT */
#include "preload/session.h"

#include <string.h>
#include <sys/mman.h>

#include "preload/log.h"
#include "preload/spawn.h"
#include "preload/sys.h"

static const char shm_root[] = "/dev/shm/";

/* Survives a fork. */
static struct {
	char folder[128];
	struct ph_control *control; /* mapped shared: a child has it too */
} session;

const char *ph_session_folder(void)
{
	return session.folder;
}

void ph_session_forget(void)
{
	session.folder[0] = '\0';
	session.control = NULL;
}

static const char *in_folder(const char *name, char *path, size_t room)
{
	size_t n = ph_append(path, room, 0, session.folder);

	n = ph_append(path, room, n, "/");
	ph_append(path, room, n, name);
	return path;
}

static struct ph_control *map_control(bool create)
{
	char path[256];

	session.control = ph_map_file(in_folder("control", path, sizeof(path)),
				      sizeof(struct ph_control), sizeof(struct ph_control), create);
	return session.control;
}

/* Pids mean the same here and there. Without a /proc to ask (a chroot), so they
 * are taken to. */
static bool namespace_matches(const struct ph_control *c)
{
	char here[sizeof(c->pid_namespace)];

	ph_read_link("/proc/self/ns/pid", here, sizeof(here));
	return here[0] == '\0' || strncmp(here, c->pid_namespace, sizeof(here)) == 0;
}

struct ph_control *ph_session_inherited(void)
{
	struct ph_control *c = session.control;

	return c != NULL && namespace_matches(c) && ph_collector_alive(c) ? c : NULL;
}

struct ph_control *ph_session_join(const char *root)
{
	const char *folder = strchr(root, ':');
	struct ph_control *c;

	if (folder == NULL || strncmp(folder + 1, shm_root, sizeof(shm_root) - 1) != 0)
		return NULL;
	ph_append(session.folder, sizeof(session.folder), 0, folder + 1);
	c = map_control(false);
	if (c != NULL && c->magic == PH_CONTROL_MAGIC && c->version == PH_SEGMENT_VERSION &&
	    namespace_matches(c) && ph_collector_alive(c))
		return c;
	if (c != NULL)
		sys_munmap(c, sizeof(*c));
	ph_session_forget();
	return NULL;
}

static bool make_folder(void)
{
	uint8_t random[8];
	char *folder = session.folder;
	const size_t room = sizeof(session.folder);
	size_t n = ph_append(folder, room, 0, shm_root);

	ph_random_bytes(random, sizeof(random));
	n = ph_append(folder, room, n, PH_SESSION_PREFIX);
	n = ph_append_number(folder, room, n, (unsigned long long)sys0(SYS_geteuid), 10);
	n = ph_append(folder, room, n, "-");
	for (size_t i = 0; i < sizeof(random); i++) {
		n = ph_append_number(folder, room, n, random[i] >> 4, 16);
		n = ph_append_number(folder, room, n, random[i] & 15, 16);
	}
	return sys3(SYS_mkdirat, AT_FDCWD, folder, 0700) == 0 &&
	       sys3(SYS_fchmodat, AT_FDCWD, folder, 0700) == 0;
}

struct ph_control *ph_session_make(void)
{
	struct ph_control *c = make_folder() ? map_control(true) : NULL;

	if (c == NULL)
		return NULL;
	c->magic = PH_CONTROL_MAGIC;
	c->version = PH_SEGMENT_VERSION;
	c->root_pid = sys_getpid();
	ph_read_link("/proc/self/ns/pid", c->pid_namespace, sizeof(c->pid_namespace));
	return c;
}

void ph_session_remove(void)
{
	char path[256];

	sys3(SYS_unlinkat, AT_FDCWD, in_folder("control", path, sizeof(path)), 0);
	sys3(SYS_unlinkat, AT_FDCWD, session.folder, AT_REMOVEDIR);
	if (session.control != NULL)
		sys_munmap(session.control, sizeof(*session.control));
	ph_session_forget();
}

void ph_session_segment_path(char *path, size_t room)
{
	uint8_t random[8];
	size_t n = strlen(in_folder("", path, room));

	ph_random_bytes(random, sizeof(random));
	n = ph_append_number(path, room, n, (unsigned long long)sys_getpid(), 10);
	n = ph_append(path, room, n, "-");
	for (size_t i = 0; i < sizeof(random); i++)
		n = ph_append_number(path, room, n, random[i], 16);
	ph_append(path, room, n, PH_SEGMENT_SUFFIX);
}

bool ph_session_enter(struct ph_segment *s, struct ph_control *c)
{
	ph_segment_announce(s, c);
	/* It may have gone between our look and our announcement. */
	return ph_collector_alive(c);
}

void ph_session_remove_segment(const char *path)
{
	sys3(SYS_unlinkat, AT_FDCWD, path, 0);
	/* Succeeds where its collector went before us and found it not empty. */
	sys3(SYS_unlinkat, AT_FDCWD, session.folder, AT_REMOVEDIR);
}
