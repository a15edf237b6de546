/* SPDX-License-Identifier: MIT */
#include "inspect/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROOM (64u << 10)

char *maps_text(int pid)
{
	size_t room = FIRST_ROOM, length = 0;
	char path[64], *text = malloc(room);
	ssize_t n = 1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && text != NULL && n > 0) {
		n = read(fd, text + length, room - 1 - length);
		length += n > 0 ? (size_t)n : 0;
		if (room - 1 - length < FIRST_ROOM / 4) {
			char *more = realloc(text, room *= 2);

			if (more == NULL)
				n = -1;
			else
				text = more;
		}
	}
	if (fd >= 0)
		close(fd);
	if (fd < 0 || text == NULL || n < 0) {
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

/* One line, without its end. False: it is none. */
static bool parse_line(struct mapping *m, char *line)
{
	unsigned major, minor;
	char rights[5];
	int name = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64 " %n", &m->start, &m->end,
		   rights, &major, &minor, &m->inode, &name) < 6 ||
	    m->start >= m->end || strlen(rights) != 4)
		return false;
	m->read = rights[0] == 'r';
	m->write = rights[1] == 'w';
	m->execute = rights[2] == 'x';
	m->shared = rights[3] == 's';
	m->device = major << 20 | minor;
	m->name = name > 0 ? line + name : "";
	return true;
}

static bool add(struct maps *m, const struct mapping *one)
{
	if (m->count == m->room) {
		size_t room = m->room != 0 ? 2 * m->room : 256;
		struct mapping *more = realloc(m->list, room * sizeof(*more));

		if (more == NULL)
			return false;
		m->list = more;
		m->room = room;
	}
	m->list[m->count++] = *one;
	return true;
}

bool maps_parse(struct maps *m, char *text)
{
	*m = (struct maps){.text = text};
	for (char *line = text, *next; line != NULL && *line != '\0'; line = next) {
		struct mapping one = {.start = 0};

		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (parse_line(&one, line) && !add(m, &one))
			return false;
	}
	return true;
}

void maps_free(struct maps *m)
{
	free(m->list);
	free(m->text);
	*m = (struct maps){.list = NULL};
}

const struct mapping *maps_at(const struct maps *m, uint64_t address)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->list[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->count && m->list[low].start <= address ? &m->list[low] : NULL;
}
