/* SPDX-License-Identifier: MIT */
#include "bench/rows.h"

#define MICRO	(SAYS | HEAPTRACK)
#define PROGRAM "%b/bench/programs/"

/* clang-format off */
const struct workload workloads[] = {
	{"constant-5",  PROGRAM "loop 5 0 1 1000000",  MICRO, 5,  NULL, NULL, 0},
	{"constant-30", PROGRAM "loop 30 0 1 1000000", MICRO, 30, NULL, NULL, 0},
	{"constant-60", PROGRAM "loop 60 0 1 1000000", MICRO, 60, NULL, NULL, 0},
	{"changing-5",  PROGRAM "loop 5 1 1 1000000",  MICRO, 8,  NULL, NULL, 0},
	{"changing-30", PROGRAM "loop 30 1 1 1000000", MICRO, 30, NULL, NULL, 0},
	{"changing-60", PROGRAM "loop 60 1 1 1000000", MICRO, 60, NULL, NULL, 0},
	{"trees",       PROGRAM "structures trees 40",       MICRO, 11, NULL, NULL, 0},
	{"json",        PROGRAM "structures json 2",         MICRO, 11, NULL, NULL, 0},
	{"map",         PROGRAM "structures map 300",        MICRO, 11, NULL, NULL, 0},
	{"exceptions",  PROGRAM "structures exceptions 400", MICRO, 11, NULL, NULL, 0},
	{"threads-1",   PROGRAM "loop 30 0 1 8000000",  SAYS | BOTH_CORES, 30, NULL, NULL, 0},
	{"threads-2",   PROGRAM "loop 30 0 2 8000000",  SAYS | BOTH_CORES, 29, NULL, NULL, 0},
	{"threads-64",  PROGRAM "loop 30 0 64 8000000", SAYS | BOTH_CORES, 29, NULL, NULL, 0},

	{"read-zero",  PROGRAM "calls zero - 1000000",          SAYS, 10, NULL, NULL, 0},
	{"read-file",  PROGRAM "calls read %i/million 1000000", SAYS, 10, NULL, NULL, 0},
	{"write-file", PROGRAM "calls write %i/out 500000",     SAYS, 10, NULL, NULL, 0},
	{"send",       PROGRAM "calls send - 500000",           SAYS, 10, NULL, NULL, 0},
	{"recv",       PROGRAM "calls recv - 1000000",          SAYS, 10, NULL, NULL, 0},
	{"lock",       PROGRAM "calls lock - 20000000",         SAYS | NO_EVENTS, 10, NULL, NULL, 0},

	{"strace-read", PROGRAM "calls zero - 100000", SAYS | STRACE, 10, NULL, NULL, 0},
	{"strace-send", PROGRAM "calls send - 100000", SAYS | STRACE, 10, NULL, NULL, 0},

	{"python3", "PYTHONMALLOC=malloc PYTHONHASHSEED=0 /usr/bin/python3 -S %s/work.py",
	 REAL | HEAPTRACK, 12, NULL, NULL, 0},
	{"sqlite3", "sqlite3 -batch :memory:", REAL | HEAPTRACK, 12, "%i/statements.sql", NULL, 0},
	{"cc1",     "%i/cc1 -quiet -O0 %i/large.c -o /dev/null", REAL | HEAPTRACK, 12, NULL, NULL, 0},
	{"git",     "git --no-pager -C %i/repository log -p", REAL | HEAPTRACK, 10, NULL, NULL, 0},
	{"jq",      "jq -c [.[]|select(.age>30)|{name,tags,at}] %i/people.json", REAL | HEAPTRACK, 6, NULL, NULL, 0},
	{"perl",    "perl %s/words.pl %i/words.txt", REAL | HEAPTRACK, 8, NULL, NULL, 0},
	{"xz",      "xz -T2 -k -c -1 %i/words.txt", REAL | HEAPTRACK | BOTH_CORES, 5, NULL, NULL, 0},
	{"redis",   "redis-server --port 18917 --bind 127.0.0.1 --save --appendonly no --dir %i",
	 REAL | HEAPTRACK, 6, NULL, "redis-benchmark -p 18917 -q -n 10000 -c 20 -d 100 -t set,get,lpush,hset", 18917},
	{"nginx",   "nginx -p %i/nginx -c nginx.conf", REAL | HEAPTRACK, 6, NULL,
	 "wrk -t1 -c16 -d2s http://127.0.0.1:18918/index.html", 18918},

	{"true", "/bin/true", HEAPTRACK | BOTH_CORES | STARTUP, 0, NULL, NULL, 0},

	{"small",    PROGRAM "churn 1000 2500000",       SAYS | FILES, 4, NULL, NULL, 0},
	{"large",    PROGRAM "churn 1000 10000000",      SAYS | FILES | HEAPTRACK, 4, NULL, NULL, 0},
	{"million",  PROGRAM "churn 1000000 10000000",   SAYS | FILES, 4, NULL, NULL, 0},
	{"billion",  PROGRAM "churn 1000 1000000000",    SAYS | FILES | FULL, 4, NULL, NULL, 0},

	{"held-64",   PROGRAM "holder 64",   LOOKED, 0, NULL, NULL, 0},
	{"held-1024", PROGRAM "holder 1024", LOOKED, 0, NULL, NULL, 0},
};
const size_t workload_count = sizeof(workloads) / sizeof(workloads[0]);

const struct row rows[] = {
	{"malloc+free, 5 frames: target",               ADDED_RATIO, "constant-5",  NULL, 12},
	{"malloc+free, 30 frames: target",              ADDED_RATIO, "constant-30", NULL, 14},
	{"malloc+free, 60 frames: target",              ADDED_RATIO, "constant-60", NULL, 16},
	{"3 inner frames change, 5 frames: target",     ADDED_RATIO, "changing-5",  NULL, 6},
	{"3 inner frames change, 30 frames: target",    ADDED_RATIO, "changing-30", NULL, 9},
	{"3 inner frames change, 60 frames: target",    ADDED_RATIO, "changing-60", NULL, 12},
	{"trees: target",                               ADDED_RATIO, "trees",       NULL, 6},
	{"JSON: target",                                ADDED_RATIO, "json",        NULL, 6},
	{"std::map<string>: target",                    ADDED_RATIO, "map",         NULL, 6},
	{"exceptions: target",                          ADDED_RATIO, "exceptions",  NULL, 6},

	{"malloc+free, 5 frames: total",                TOTAL_RATIO, "constant-5",  NULL, 7},
	{"malloc+free, 30 frames: total",               TOTAL_RATIO, "constant-30", NULL, 7},
	{"malloc+free, 60 frames: total",               TOTAL_RATIO, "constant-60", NULL, 7},
	{"3 inner frames change, 5 frames: total",      TOTAL_RATIO, "changing-5",  NULL, 7},
	{"3 inner frames change, 30 frames: total",     TOTAL_RATIO, "changing-30", NULL, 7},
	{"3 inner frames change, 60 frames: total",     TOTAL_RATIO, "changing-60", NULL, 7},
	{"trees: total",                                TOTAL_RATIO, "trees",       NULL, 7},
	{"JSON: total",                                 TOTAL_RATIO, "json",        NULL, 7},
	{"std::map<string>: total",                     TOTAL_RATIO, "map",         NULL, 7},
	{"exceptions: total",                           TOTAL_RATIO, "exceptions",  NULL, 7},

	{"2 threads over 1, added a call",              GROWTH, "threads-2",  "threads-1", 1.10},
	{"64 threads over 1, added a call",             GROWTH, "threads-64", "threads-1", 1.10},

	{"read of /dev/zero",                           ADDED_NS, "read-zero",  NULL, 90},
	{"read of a file",                              ADDED_NS, "read-file",  NULL, 90},
	{"write to a file",                             ADDED_NS, "write-file", NULL, 90},
	{"send to a socket pair",                       ADDED_NS, "send",       NULL, 90},
	{"recv from a socket pair",                     ADDED_NS, "recv",       NULL, 90},
	{"read: strace -f -c over all of ours",         STRACE_RATIO, "strace-read", NULL, 50},
	{"send: strace -f -c over all of ours",         STRACE_RATIO, "strace-send", NULL, 50},
	{"pthread_mutex_lock, uncontended",             ADDED_NS, "lock",       NULL, 3},

	{"real programs: all CPU over unrecorded",      SLOWDOWN, NULL, NULL, 1.35},
	{"python3: all CPU",                            BELOW_HEAPTRACK, "python3", NULL, 1},
	{"sqlite3: all CPU",                            BELOW_HEAPTRACK, "sqlite3", NULL, 1},
	{"cc1: all CPU",                                BELOW_HEAPTRACK, "cc1",     NULL, 1},
	{"git log -p: all CPU",                         BELOW_HEAPTRACK, "git",     NULL, 1},
	{"jq: all CPU",                                 BELOW_HEAPTRACK, "jq",      NULL, 1},
	{"perl: all CPU",                               BELOW_HEAPTRACK, "perl",    NULL, 1},
	{"xz: all CPU",                                 BELOW_HEAPTRACK, "xz",      NULL, 1},
	{"redis-server: all CPU",                       BELOW_HEAPTRACK, "redis",   NULL, 1},
	{"nginx: all CPU",                              BELOW_HEAPTRACK, "nginx",   NULL, 1},

	{"real programs: trace as recorded, an event",  TRACE_BYTES, NULL, NULL, 2},
	{"real programs: kept size over heaptrack's",   KEPT_RATIO,  NULL, NULL, 1},

	{"start-up of /bin/true",                       STARTUP_MS,     "true",       NULL,        3},
	{"memory of the target",                        RSS_MIB,        "constant-5", NULL,        2},
	{"memory of the target, a further thread",      THREAD_RSS_KIB, "threads-64", "threads-1", 256},

	{"report, 10 million events",                   REPORT_RATE,   "large",   NULL,    25},
	{"report, 10 million events: against heaptrack", REPORT_RATIO, "large",   NULL,    4},
	{"report of python3: against heaptrack",        REPORT_RATIO,  "python3", NULL,    4},
	{"report of sqlite3: against heaptrack",        REPORT_RATIO,  "sqlite3", NULL,    4},
	{"report of cc1: against heaptrack",            REPORT_RATIO,  "cc1",     NULL,    4},
	{"report: memory a live block",                 REPORT_BYTES,  "million", "large", 100},
	{"report: memory, 4 times the events",          REPORT_GROWTH, "large",   "small", 1.10},
	{"report: memory, a billion events",            REPORT_GROWTH, "billion", "large", 1.10},

	{"leaks --pid, 64 MiB of blocks: pause",        LOOK_PAUSE, "held-64",   NULL, 20.625},
	{"leaks --pid, 1 GiB of blocks: pause",         LOOK_PAUSE, "held-1024", NULL, 30},
	{"leaks --pid, 1 GiB of blocks: all of it",     LOOK_RATE,  "held-1024", NULL, 0.5},
};
const size_t row_count = sizeof(rows) / sizeof(rows[0]);
/* clang-format on */
