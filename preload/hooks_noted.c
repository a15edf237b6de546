/* SPDX-License-Identifier: MIT */
/*
 * Functions inside which libc speaks on sockets of its own, by calls that nobody can
 * catch by name: passed on, and noted, so that the report can say what it lacks. Names
 * that getaddrinfo() resolved are written down with their addresses.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "preload/config.h"
#include "preload/hooks.h"

/* A fork's child is set up for it. */
static void note(uint32_t what, uintptr_t frame)
{
	int saved = errno;
	struct ph_stream *s = ph_config.events & PH_EVENTS_NET ? ph_enter(frame) : NULL;

	if (s != NULL) {
		atomic_fetch_or_explicit(&ph_process->segment->unseen, what, memory_order_relaxed);
		ph_leave(s);
	}
	errno = saved;
}

/* An address in digits, or none: libc asks nobody for it. */
static bool is_name(const char *node, const struct addrinfo *hints)
{
	struct in6_addr address;

	return node != NULL && (hints == NULL || !(hints->ai_flags & AI_NUMERICHOST)) &&
	       inet_pton(AF_INET, node, &address) != 1 && inet_pton(AF_INET6, node, &address) != 1;
}

#define NAME_ROOM     256 /* a host's: RFC 1035 */
#define ADDRESSES_MAX 16
#define ADDRESS_BYTES sizeof(struct sockaddr_in6)

/* The addresses that it found, one after the other; returns their bytes. */
static size_t copy_addresses(char *out, const struct addrinfo *a, unsigned *count)
{
	size_t bytes = 0;

	for (; a != NULL && *count < ADDRESSES_MAX; a = a->ai_next) {
		const struct ph_peer head = {.bytes = (uint32_t)a->ai_addrlen};

		if (a->ai_addrlen > ADDRESS_BYTES)
			continue;
		memcpy(out + bytes, &head, sizeof(head));
		memcpy(out + bytes + sizeof(head), a->ai_addr, a->ai_addrlen);
		bytes += sizeof(head) + a->ai_addrlen;
		++*count;
	}
	return bytes;
}

int ph_hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	char text[NAME_ROOM + ADDRESSES_MAX * (sizeof(struct ph_peer) + ADDRESS_BYTES)];
	struct ph_call_facts f = {
		.op = PH_OP_getaddrinfo, .fd = -1, .tail = text, .extra_count = 1};
	struct ph_call_state c;
	unsigned count = 0;
	size_t bytes = 0;
	int r;

	PH_NEED_OR(getaddrinfo, EAI_SYSTEM);
	if (is_name(node, hints))
		note(PH_UNSEEN_NAMES, PH_FRAME());
	if (!(ph_config.events & PH_EVENTS_NET))
		return ph_real.getaddrinfo(node, service, hints, result);
	ph_call_begin(&c, PH_OP_getaddrinfo, -1, PH_FRAME());
	r = ph_real.getaddrinfo(node, service, hints, result);
	ph_call_returned(&c);
	/* libc itself has read the name. */
	if (node != NULL && (bytes = strnlen(node, NAME_ROOM)) == NAME_ROOM)
		bytes = 0;
	if (bytes != 0)
		memcpy(text, node, bytes);
	f.tail_bytes = bytes;
	if (r == 0)
		f.tail_bytes += copy_addresses(text + bytes, *result, &count);
	f.extra[0] = bytes | (uint64_t)count << 32;
	f.result = count;
	f.arg = r;
	ph_call_end_with(&c, &f, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
			socklen_t host_room, char *service, socklen_t service_room, int flags)
{
	PH_NEED_OR(getnameinfo, EAI_SYSTEM);
	if (host != NULL && host_room != 0 && !(flags & NI_NUMERICHOST))
		note(PH_UNSEEN_NAMES, PH_FRAME());
	return ph_real.getnameinfo(address, length, host, host_room, service, service_room, flags);
}

/* The wrappers that have nothing else to know. */
#define PASS_ON(id, missing, ret, params, args)                                                    \
	ret ph_hook_##id params                                                                    \
	{                                                                                          \
		PH_NEED_OR(id, missing);                                                           \
		note(PH_UNSEEN_NAMES, PH_FRAME());                                                 \
		return ph_real.id args;                                                            \
	}

PASS_ON(gethostbyname, NULL, struct hostent *, (const char *name), (name))
PASS_ON(gethostbyname2, NULL, struct hostent *, (const char *name, int family), (name, family))
PASS_ON(gethostbyaddr, NULL, struct hostent *, (const void *address, socklen_t length, int family),
	(address, length, family))
PASS_ON(gethostbyname_r, ENOSYS, int,
	(const char *name, struct hostent *entry, char *buffer, size_t room,
	 struct hostent **result, int *error),
	(name, entry, buffer, room, result, error))
PASS_ON(gethostbyname2_r, ENOSYS, int,
	(const char *name, int family, struct hostent *entry, char *buffer, size_t room,
	 struct hostent **result, int *error),
	(name, family, entry, buffer, room, result, error))
PASS_ON(gethostbyaddr_r, ENOSYS, int,
	(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
	 size_t room, struct hostent **result, int *error),
	(address, length, family, entry, buffer, room, result, error))

/* ---- the system's log --------------------------------------------------------- */

void ph_hook_vsyslog(int priority, const char *format, va_list list)
{
	PH_NEED(vsyslog);
	note(PH_UNSEEN_SYSLOG, PH_FRAME());
	ph_real.vsyslog(priority, format, list);
}

void ph_hook_syslog(int priority, const char *format, ...)
{
	va_list list;

	PH_NEED(vsyslog);
	note(PH_UNSEEN_SYSLOG, PH_FRAME());
	va_start(list, format);
	ph_real.vsyslog(priority, format, list);
	va_end(list);
}

void ph_hook___vsyslog_chk(int priority, int flag, const char *format, va_list list)
{
	PH_NEED_OR(__vsyslog_chk, );
	note(PH_UNSEEN_SYSLOG, PH_FRAME());
	ph_real.__vsyslog_chk(priority, flag, format, list);
}

void ph_hook___syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list list;

	PH_NEED_OR(__vsyslog_chk, );
	note(PH_UNSEEN_SYSLOG, PH_FRAME());
	va_start(list, format);
	ph_real.__vsyslog_chk(priority, flag, format, list);
	va_end(list);
}
