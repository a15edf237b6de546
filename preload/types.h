/* SPDX-License-Identifier: MIT */
/* The system headers that the rows of trace/functions.def speak of. */
#ifndef PH_PRELOAD_TYPES_H
#define PH_PRELOAD_TYPES_H

#include <aio.h>
#include <dirent.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <time.h>

struct file_handle;

#endif
