/* SPDX-License-Identifier: MIT */
/* Servers under load, on loopback. Their clients are recorded as well, unless the
 * row says otherwise. */
#include "tests/compat/compat.h"

/* until COMMAND: for ten seconds; then the row's output tells. */
#define AWAIT(command)                                                                             \
	"for i in $(seq 200); do " command " > /dev/null 2>&1 && break; sleep 0.05; done\n"
#define UNRECORDED "env -u LD_PRELOAD "

static const char nginx_files[] =
	"mkdir root tmp; seq 1 20000 > root/f; echo small > root/s\n"
	"cat > nginx.conf <<END\n"
	"worker_processes 2; pid nginx.pid; events { worker_connections 128; }\n"
	"http { log_format plain '\\$request \\$status \\$body_bytes_sent';\n"
	" access_log access.log plain; client_body_temp_path tmp/b; proxy_temp_path tmp/p;\n"
	" fastcgi_temp_path tmp/f; uwsgi_temp_path tmp/u; scgi_temp_path tmp/s; sendfile on;\n"
	" server { listen 127.0.0.1:$PORT; root $PWD/root;\n"
	"  location /gzip/ { alias $PWD/root/; gzip on; gzip_types *; }\n"
	"  location /proxy/ { proxy_pass http://127.0.0.1:$PORT/; } } }\n"
	"END\n";

static const char nginx_load[] =
	"U=http://127.0.0.1:$PORT\n"
	"nginx -p $PWD -e error.log -c nginx.conf -g 'daemon off;' &\n" AWAIT(
		"curl -sf $U/s") "for p in s f gzip/f proxy/f proxy/s none; do curl -s $U/$p | "
				 "md5sum; done\n"
				 "curl -s --compressed $U/gzip/f | md5sum; curl -s -r 100-199 "
				 "$U/f; curl -sI $U/s | grep 200\n"
				 "for p in s f proxy/s; do wrk -t2 -c16 -d1 $U/$p > wrk.out; grep "
				 "-i -e error -e Non-2xx wrk.out\n"
				 " n=$(sed -n 's/ *\\([0-9]*\\) requests in.*/\\1/p' wrk.out); "
				 "test $n -gt 20 && echo served\n"
				 " test $(grep -c \"GET /$p HTTP\" access.log) -ge $n && echo each "
				 "is in the log; done\n"
				 "kill -HUP $!; sleep 0.3; curl -s $U/s; kill -QUIT $!; wait $!; "
				 "echo $?\n";

static const char redis_load[] =
	"S=$PWD/redis.sock; rm -f dump.rdb\n"
	"redis-server --port 0 --unixsocket $S --save '' --appendonly yes"
	" --enable-debug-command local > log &\n" AWAIT(
		"redis-cli -s $S ping") "redis-benchmark -s $S -n 20000 -c 20 -q -t "
					"set,get,lpush,sadd,zadd,mset > bench && echo done\n"
					"for i in 1 2 3; do redis-cli -s $S set k$i v$i; done; "
					"redis-cli -s $S mget k1 k2 k3\n"
					"redis-cli -s $S llen mylist; redis-cli -s $S eval 'return "
					"redis.call(\"get\", \"k2\") .. 1' 0\n"
					"redis-cli -s $S bgsave; sleep 0.5; redis-cli -s $S "
					"bgrewriteaof; sleep 0.5\n"
					"redis-cli -s $S debug reload; redis-cli -s $S debug "
					"digest | wc -c\n"
					"redis-cli -s $S lastsave | wc -l; redis-cli -s $S "
					"shutdown save; wait $!; echo $?\n"
					"test -s dump.rdb && echo saved\n";

static const char memcached_load[] =
	"cat > load.pl <<'END'\n"
	"use IO::Socket; my @pids;\n"
	"for my $c (1..4) { my $p = fork; if ($p) { push @pids, $p; next }\n"
	"  my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => "
	"$ARGV[0]) or exit 9;\n"
	"  my $bad = 0;\n"
	"  for my $i (1..2000) { my $v = 'v' x ($i % 700 + 1);\n"
	"    printf $s \"set k$c.$i 0 0 %d\\r\\n%s\\r\\n\", length $v, $v; $bad++ if "
	"<$s> !~ /STORED/;\n"
	"    print $s \"get k$c.$i\\r\\n\"; <$s>; my $got = <$s>; <$s>; $bad++ if "
	"$got ne \"$v\\r\\n\"; }\n"
	"  exit($bad != 0) }\n"
	"for (@pids) { waitpid $_, 0; print $? >> 8, \"\\n\" }\n"
	"my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => "
	"$ARGV[0]);\n"
	"print $s \"stats\\r\\n\"; while (<$s>) { last if /END/; print if "
	"/cmd_set|get_hits|total_items/ }\n"
	"END\n"
	"U=; test $(id -u) = 0 && U='-u nobody'\n"
	"memcached $U -l 127.0.0.1 -p $PORT -U 0 -t 4 -m 64 &\n" AWAIT(
		"perl -MIO::Socket -e 'exit "
		"!IO::Socket::INET->new(\"127.0.0.1:'$PORT'\")'") "perl load.pl "
								  "$PORT; kill $!; "
								  "wait $!; echo $?\n";

/* It refuses to run as root. */
static const char postgres_load[] =
	"cat > load.sh <<'END'\n"
	"B=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); export PGHOST=$PWD PGPORT=$PORT "
	"PGUSER=u\n"
	"export PGDATABASE=postgres\n"
	"$B/initdb -D data -A trust -U u --no-sync -E UTF8 | grep -v -e pg_ctl -e '^ *'$B || exit "
	"1\n"
	"$B/pg_ctl -D data -w -l log -o \"-c fsync=off -c listen_addresses= -k $PWD -p $PORT\""
	" start > /dev/null; echo $?\n"
	"$B/pgbench -q -i -s 1 2> /dev/null; echo $?\n"
	"$B/pgbench -t 250 -c 4 -j 2 2>&1 | grep -e processed -e failed\n"
	"psql -At -c 'select sum(abalance) = (select sum(delta) from pgbench_history),"
	" (select count(*) from pgbench_history) from pgbench_accounts'\n"
	"psql -At -c \"copy (select generate_series(1, 50000)) to '$PWD/copied'\"; md5sum < "
	"copied\n"
	"psql -At -c 'set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0;"
	" set min_parallel_table_scan_size = 0; select count(*) from pgbench_accounts where bid = "
	"1'\n"
	"psql -At -c 'no such thing'; psql -At -c 'vacuum analyze; '\n"
	"$B/pg_dump -t pgbench_branches | grep -c COPY\n"
	"$B/pg_ctl -D data -m fast -w stop > /dev/null; echo $?; grep -c -i panic log\n"
	"rm -rf data log\n"
	"END\n"
	"if test $(id -u) = 0; then\n"
	" exec setpriv --reuid=nobody --regid=nogroup --clear-groups sh load.sh\n"
	"fi; exec sh load.sh\n";

static const char curl_load[] =
	"mkdir web; seq 1 100000 > web/big; echo small > web/s; mkfifo never; cd web\n" UNRECORDED
	"python3 -m http.server --bind 127.0.0.1 $PORT > /dev/null 2>&1 &\n"
	"cd ..; U=http://127.0.0.1:$PORT\n" AWAIT(
		UNRECORDED "curl -sf $U/s") "curl -s $U/s; curl -s $U/big | md5sum; curl -s -o big "
					    "$U/big; curl -sI $U/big | head -n 1\n"
					    "curl -s -X POST -d @big $U/s | head -c 60; curl -s -m "
					    "5 -Z $U/s $U/big $U/s -o a -o b -o c 2> /dev/null\n"
					    "cmp b big; curl -sf $U/none; echo $?; curl -s "
					    "http://127.0.0.1:1/; echo $?\n"
					    "curl -s file://$PWD/big | md5sum; curl -s -w "
					    "'%{http_code} %{size_download}\\n' -o out $U/s\n"
					    "kill $!; wait $!; rm never\n";

static const struct row rows[] = {
	{.name = "nginx under wrk",
	 .needs = "nginx wrk curl",
	 .version = "nginx -v",
	 .prepare = nginx_files,
	 .command = nginx_load,
	 /* How much of its last responses wrk takes is chance. */
	 .settle = "grep -v ' 499 ' access.log | sed 's/ [0-9]*$//' | sort -u > log; rm -rf "
		   "access.log wrk.* error.log tmp",
	 .processes = 20,
	 .events = 20000},
	{.name = "redis under benchmark",
	 .needs = "redis-server redis-benchmark redis-cli",
	 .version = "redis-server --version | sed 's/ sha.*//'",
	 .command = redis_load,
	 .settle = "rm -rf dump.rdb log bench appendonlydir appendonly.aof",
	 .processes = 14,
	 .events = 100000},
	{.name = "memcached",
	 .needs = "memcached perl",
	 .version = "memcached -V",
	 .command = memcached_load,
	 .processes = 8,
	 .events = 10000},
	{.name = "postgres under pgbench",
	 .needs = "/usr/lib/postgresql psql pgbench setpriv",
	 .version = "psql --version",
	 .command = postgres_load,
	 .varies = "latency.*|tps.*",
	 .processes = 30,
	 .events = 100000,
	 .timeout_s = 180},
	{.name = "curl",
	 .needs = "curl python3",
	 .version = "curl --version",
	 .command = curl_load,
	 .varies = "Terminated",
	 .processes = 12},
};

int main(void)
{
	return run_rows("servers", rows, COUNT_OF(rows));
}
