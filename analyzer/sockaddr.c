/* SPDX-License-Identifier: MIT */
#include "analyzer/sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char *inet_text(struct arena *a, const uint8_t *bytes, size_t length)
{
	struct sockaddr_in in = {0};
	char text[INET_ADDRSTRLEN];

	/* The padding at its end need not be there. */
	if (length < offsetof(struct sockaddr_in, sin_zero))
		return NULL;
	memcpy(&in, bytes, offsetof(struct sockaddr_in, sin_zero));
	inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
	return arena_print(a, "%s:%u", text, ntohs(in.sin_port));
}

static const char *inet6_text(struct arena *a, const uint8_t *bytes, size_t length)
{
	struct sockaddr_in6 in6 = {0};
	char text[INET6_ADDRSTRLEN];

	/* Older ones have no scope. */
	if (length < offsetof(struct sockaddr_in6, sin6_scope_id))
		return NULL;
	memcpy(&in6, bytes, length < sizeof(in6) ? length : sizeof(in6));
	inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
	if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) && in6.sin6_scope_id != 0)
		return arena_print(a, "[%s%%%u]:%u", text, in6.sin6_scope_id, ntohs(in6.sin6_port));
	return arena_print(a, "[%s]:%u", text, ntohs(in6.sin6_port));
}

/* An abstract name may hold any byte; its zeros show as '@', as in /proc/net/unix. */
static const char *unix_text(struct arena *a, const uint8_t *bytes, size_t length)
{
	char name[256];
	size_t n = length - offsetof(struct sockaddr_un, sun_path);

	if (n == 0 || n >= sizeof(name))
		return NULL;
	memcpy(name, bytes + offsetof(struct sockaddr_un, sun_path), n);
	if (name[0] != '\0')
		return arena_copy(a, name, n);
	if (n == 1)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (name[i] == '\0')
			name[i] = '@';
	}
	return arena_copy(a, name, n);
}

const char *sockaddr_text(struct arena *a, const uint8_t *bytes, size_t length)
{
	sa_family_t family;

	if (length < sizeof(family))
		return NULL;
	memcpy(&family, bytes, sizeof(family));
	switch (family) {
	case AF_INET:
		return inet_text(a, bytes, length);
	case AF_INET6:
		return inet6_text(a, bytes, length);
	case AF_UNIX:
		return unix_text(a, bytes, length);
	default:
		return NULL;
	}
}

const char *sockaddr_family(unsigned family)
{
	switch (family) {
	case AF_UNIX:
		return "unix";
	case AF_INET:
		return "inet";
	case AF_INET6:
		return "inet6";
	case AF_NETLINK:
		return "netlink";
	case AF_PACKET:
		return "packet";
	case AF_VSOCK:
		return "vsock";
	case AF_ALG:
		return "alg";
	case AF_BLUETOOTH:
		return "bluetooth";
	default:
		return NULL;
	}
}

const char *sockaddr_type(unsigned type)
{
	switch (type & 0xf) {
	case SOCK_STREAM:
		return "stream";
	case SOCK_DGRAM:
		return "dgram";
	case SOCK_RAW:
		return "raw";
	case SOCK_RDM:
		return "rdm";
	case SOCK_SEQPACKET:
		return "seqpacket";
	default:
		return NULL;
	}
}
