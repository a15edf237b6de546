/* SPDX-License-Identifier: MIT */
/*
 * What descriptors are. Each open file, pipe end or socket gets a number at the
 * first event on it (or when it is opened), and events carry that number: no
 * order between threads is needed to know which file a read was on. Made by dup,
 * a descriptor shares its object.
 */
#ifndef PH_PRELOAD_OBJECTS_H
#define PH_PRELOAD_OBJECTS_H

#include <stdint.h>
#include <sys/socket.h>

#include "preload/thread.h"

/* Before the kernel cannot be asked any more. */
void ph_objects_confine(void);

/* An origin of this library's own: PH_ORIGIN_OPENED, and it is a socket. */
#define PH_ORIGIN_SOCKET 100u

/* The descriptor's object, described now if it is new. 0: not open or unknown. */
uint32_t ph_object_of(struct ph_stream *s, int fd);

/* The same, if it is known already, without a system call or an event. */
uint32_t ph_object_known(int fd);

/* Whether a known one is a socket. */
bool ph_object_is_socket(int fd);

/* A descriptor that was just made: describe it afresh. `path` (may be NULL) is
 * what it was opened as, for where /proc cannot be asked. */
uint32_t ph_object_new(struct ph_stream *s, int fd, unsigned origin, const char *path);

/* A socket was bound, or connect() was called: describe it again. `peer` (may be
 * NULL) stands where the kernel names none. */
void ph_object_again(struct ph_stream *s, int fd, unsigned origin, const struct sockaddr *peer,
		     socklen_t length);

/* `to` is now another name for what `from` is. */
void ph_object_share(int from, int to);

/* The descriptor is about to be closed. Returns what it was. */
uint32_t ph_object_forget(int fd);

/* The same for all from `first` to `last`. */
void ph_objects_forget(unsigned first, unsigned last);

#endif
