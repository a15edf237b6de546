/* SPDX-License-Identifier: MIT */
/* Everyday programs: shells, tools, interpreters, compilers, archivers. */
#include <signal.h>

#include "tests/compat/compat.h"

#define MAKE_TEXT "seq 1 40000 > text; seq 5 3 90000 >> text; "
#define GIT_STEADY                                                                                 \
	"export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=a@b.c"                    \
	" GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=a@b.c GIT_AUTHOR_DATE='1700000000 +0000'"       \
	" GIT_COMMITTER_DATE='1700000000 +0000'; "
#define MAKE_HISTORY                                                                               \
	GIT_STEADY "git init -q -b main r && cd r && for i in $(seq 1 12); do"                     \
		   " seq $i $((i * 40)) > f$((i % 3)); git add . && git commit -q -m \"n $i\";"    \
		   " done; "

static const char python_threads[] =
	"cat > p.py <<'END'\n"
	"import sys, threading, subprocess, sqlite3, json, decimal\n"
	"def f(i, out): out[i] = sum(len(str(n)) for n in range(3000 + i))\n"
	"out = {}\n"
	"ts = [threading.Thread(target=f, args=(i, out)) for i in range(4)]\n"
	"[t.start() for t in ts]; [t.join() for t in ts]\n"
	"print(sorted(out.items()))\n"
	"print(subprocess.check_output(['echo', 'child']))\n"
	"print(decimal.Decimal(2).sqrt(), json.dumps({'a': [1, 2]}))\n"
	"print('to stderr', file=sys.stderr)\n"
	"sys.exit(3)\n"
	"END\n";

static const char python_processes[] =
	"cat > p.py <<'END'\n"
	"import multiprocessing as m, subprocess, sys\n"
	"def square(n): return n * n\n"
	"def put(q, n): q.put(n)\n"
	"if __name__ == '__main__':\n"
	"    for method in ('fork', 'spawn', 'forkserver'):\n"
	"        c = m.get_context(method)\n"
	"        with c.Pool(3) as pool: print(method, sum(pool.map(square, range(2000), 50)))\n"
	"        q = c.Queue()\n"
	"        ps = [c.Process(target=put, args=(q, n)) for n in range(3)]\n"
	"        [p.start() for p in ps]; got = sorted(q.get() for p in ps)\n"
	"        [p.join() for p in ps]; print(got, [p.exitcode for p in ps])\n"
	"    for i in range(5):\n"
	"        p = subprocess.run(['sh', '-c', 'echo in; cat; exit %d' % i], input=b'text',\n"
	"                           capture_output=True)\n"
	"        print(p.returncode, p.stdout)\n"
	"    subprocess.check_call(['true'], close_fds=True, start_new_session=True)\n"
	"    a = subprocess.Popen(['sort', '-n'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
	"    print(len(a.communicate(b'\\n'.join(b'%d' % (n * 7 % 999) for n in "
	"range(9999)))[0]))\n"
	"END\n";

static const char node_script[] =
	"cat > n.js <<'END'\n"
	"const fs = require('fs'), cp = require('child_process'), z = require('zlib');\n"
	"const { Worker, isMainThread, parentPort } = require('worker_threads');\n"
	"if (!isMainThread) { parentPort.postMessage(40 + 2); } else {\n"
	"  let a = []; for (let i = 0; i < 200000; i++) a.push({ i, s: 'x' + i });\n"
	"  fs.writeFileSync('out.json', JSON.stringify(a));\n"
	"  "
	"fs.createReadStream('out.json').pipe(z.createGzip()).pipe(fs.createWriteStream('out.gz'))"
	"\n"
	"    .on('finish', () => { console.log('piped', fs.statSync('out.json').size);\n"
	"      console.log(cp.execSync('echo child').toString());\n"
	"      new Worker('./n.js').on('message', m => { console.log('worker', m);\n"
	"        const s = require('net').createServer(c => c.pipe(c)).listen(0, '127.0.0.1', () "
	"=> {\n"
	"          const c = require('net').connect(s.address().port, '127.0.0.1');\n"
	"          c.end('through a socket'); c.on('data', d => console.log(d.toString()));\n"
	"          c.on('close', () => { s.close(); process.exitCode = 5; }); }); }); });\n"
	"}\nEND\n";

static const char java_program[] =
	"cat > T.java <<'END'\n"
	"import java.nio.file.*; import java.util.*; import java.util.concurrent.*;\n"
	"public class T { public static void main(String[] a) throws Exception {\n"
	"  ExecutorService e = Executors.newFixedThreadPool(4); long sum = 0;\n"
	"  List<Future<Long>> fs = new ArrayList<>();\n"
	"  for (int t = 0; t < 16; t++) { final int n = t; fs.add(e.submit(() -> { long s = 0;\n"
	"    for (int i = 0; i < 50000; i++) s += new byte[n + i % 500].length; return s; })); }\n"
	"  for (Future<Long> f : fs) sum += f.get(); e.shutdown(); System.out.println(sum);\n"
	"  Files.write(Path.of(\"out\"), new byte[300000]); System.gc();\n"
	"  Process p = new ProcessBuilder(\"sh\", \"-c\", \"echo child; exit "
	"3\").inheritIO().start();\n"
	"  System.out.println(p.waitFor());\n"
	"  try { Object o = null; o.hashCode(); } catch (NullPointerException x) {\n"
	"    System.out.println(\"caught\"); }\n"
	"  System.err.println(\"to stderr\"); System.exit(6); } }\n"
	"END\n";

static const char c_sources[] =
	"mkdir src; cd src\n"
	"for i in $(seq 1 12); do printf '#include <stdio.h>\\n#include <stdlib.h>\\n"
	"int f%d(int n) { return n * %d + atoi(\"7\"); }\\n' $i $i > f$i.c; done\n"
	"{ for i in $(seq 1 12); do echo \"int f$i(int);\"; done; echo '#include <stdio.h>';\n"
	" echo 'int main(void) { int s = 0;'; for i in $(seq 1 12); do echo \"s += f$i($i);\"; "
	"done;\n"
	" echo 'printf(\"%d\", s); return 0; }'; } > main.c\n"
	"{ echo 'O := $(patsubst %.c,%.o,$(wildcard *.c))'; echo 'p: $(O)';\n"
	" printf '\\tgcc -o $@ $^\\n'; echo '%.o: %.c'; printf '\\tgcc -O2 -g -c -o $@ $<\\n'; }"
	" > Makefile\n";

static const struct row rows[] = {
	/* shells */
	{.name = "sh status",
	 .version = "readlink -f /bin/sh",
	 .status = 7,
	 .command = "exit 7",
	 .processes = 1},
	{.name = "sh killed", .status = -SIGSEGV, .command = "kill -SEGV $$", .processes = 1},
	{.name = "dash",
	 .needs = "dash",
	 .version = "dpkg-query -W -f '${Version}' dash",
	 .prepare = MAKE_TEXT,
	 .command = "dash -c 'n=0; while read l; do n=$((n + l)); done < text; echo $n;"
		    " for i in $(seq 50); do (echo $i); done | wc -l; trap \"echo end\" EXIT;"
		    " cat <<END | tr a-z A-Z\nhere\nEND\n"
		    " sleep 5 & kill $!; wait $!; echo $?'",
	 .processes = 10},
	{.name = "bash",
	 .needs = "bash",
	 .version = "bash --version",
	 .prepare = MAKE_TEXT,
	 .status = 9,
	 .command = "bash -c 'declare -A m; for i in {1..2000}; do m[$i]=$((i * i)); done;"
		    " echo ${#m[@]} ${m[77]}; mapfile -t a < text; echo ${#a[@]};"
		    " diff <(sort text) <(sort -n text | sort) && echo equal;"
		    " exec 5<>fifo.txt; echo x >&5; exec 5>&-; coproc cat; echo hi >&${COPROC[1]};"
		    " read -u ${COPROC[0]} l; echo $l; set -o pipefail; false | true; echo $?;"
		    " x=$(ulimit -n); [[ $x -gt 0 ]]; exit 9'",
	 .processes = 5},
	{.name = "ldd",
	 .needs = "ldd",
	 .version = "ldd --version",
	 .command = "ldd /bin/ls | sort",
	 .varies = "0x[0-9a-f]+|.*libperfhook.so.*"},
	/* tools */
	{.name = "sort -rn",
	 .needs = "sort",
	 .version = "sort --version",
	 .prepare = MAKE_TEXT,
	 .command = "exec sort -rn text"},
	{.name = "sort --parallel=2",
	 .needs = "sort",
	 .prepare = MAKE_TEXT "cat text text text > big",
	 .command = "sort --parallel=2 -S 400K -T . big > sorted && sort -m sorted text | md5sum"},
	{.name = "awk, wc, md5sum",
	 .needs = "awk",
	 .version = "awk -W version",
	 .prepare = MAKE_TEXT,
	 .command = "awk '{s += $1} END {print s}' text; wc text; md5sum < text",
	 .processes = 4},
	{.name = "sed",
	 .needs = "sed",
	 .version = "sed --version",
	 .prepare = MAKE_TEXT,
	 .command = "sed -i.old 's/7/seven/g' text; sed -n '$p' text"},
	{.name = "ls of nothing", .status = 2, .command = "ls /no/such/folder"},
	{.name = "ls -laR",
	 .needs = "ls",
	 .version = "ls --version",
	 .command = "ls -laR /usr/share/doc/bash /etc | wc -l"},
	{.name = "find",
	 .needs = "find",
	 .version = "find --version",
	 .command = "find /usr/include -type f -name '*.h' | sort | md5sum;"
		    " find /usr/share/doc/bash -type f -exec cat {} + | wc -c",
	 .processes = 5},
	{.name = "grep -r",
	 .needs = "grep",
	 .version = "grep --version",
	 .command = "grep -rc define /usr/include/linux | sort | md5sum; grep -r no-such-word"
		    " /usr/include/linux; echo $?"},
	{.name = "xargs -P2",
	 .needs = "xargs",
	 .version = "xargs --version",
	 .command = "seq 1 60 | xargs -P2 -n 7 sh -c 'echo \"$@\"' sh | tr ' ' '\\n' | sort -n",
	 .processes = 12},
	{.name = "tee, dd, cp",
	 .needs = "dd",
	 .version = "dd --version",
	 .prepare = MAKE_TEXT,
	 .command =
		 "tee a b < text | dd bs=777 of=c status=none; cp -a text d;"
		 " dd if=text of=e bs=1 skip=5 count=9 conv=notrunc 2> /dev/null; cp -r . ../copy;"
		 " mv ../copy .; cat /dev/zero | head -c 3000000 | dd of=z bs=64k"
		 " iflag=fullblock oflag=append conv=notrunc status=none",
	 .processes = 6},
	{.name = "timeout",
	 .needs = "timeout",
	 .version = "timeout --version",
	 .command = "timeout 0.2 sleep 20; echo $?; timeout -s KILL 0.2 sleep 20; echo $?;"
		    " timeout 20 sh -c 'exit 4'; echo $?",
	 .processes = 6},
	{.name = "env -i",
	 .needs = "env",
	 .version = "env --version",
	 .command = "env -i A=1 /usr/bin/env; env -u HOME sh -c 'echo ${HOME-none}'"},
	{.name = "nohup",
	 .needs = "nohup",
	 .version = "nohup --version",
	 .command = "nohup sh -c 'trap; kill -HUP $$; echo survived'"},
	{.name = "setsid",
	 .needs = "setsid",
	 .version = "setsid --version",
	 .command = "setsid -w sh -c 'ps -o sid= -p $$ | tr -d \" \" | grep -qx $$ && echo leads'"},
	{.name = "script -c",
	 .needs = "script",
	 .version = "script --version",
	 .command =
		 "script -q -c 'tty | sed s/[0-9]/N/g; exit 3' -e typescript < /dev/null; echo $?",
	 .settle = "sed -i '1d;$d' typescript",
	 .processes = 3},
	{.name = "ps",
	 .needs = "ps",
	 .version = "ps --version",
	 .command = "ps -o comm= -p $$; ps -e > all; test $(wc -l < all) -gt 3 && rm all"},
	{.name = "less",
	 .needs = "less",
	 .version = "less --version",
	 .prepare = MAKE_TEXT,
	 .command = "less -FX text | tail -3; script -qec 'TERM=xterm less +G +q text' out; ls out",
	 .settle = "rm -f out"},
	{.name = "man",
	 .needs = "man",
	 .version = "man --version",
	 .command =
		 "printf '.TH A 1\\n.SH NAME\\na \\\\- test\\n' > a.1; man -l a.1 | cat; man -w ls",
	 .processes = 3},
	{.name = "vim -es",
	 .needs = "vim",
	 .version = "vim --version",
	 .prepare = MAKE_TEXT,
	 .command = "vim -u NONE -i NONE -es -c '%s/1/one/g' -c 'normal Gyyp' -c 'w! out'"
		    " -c 'r !echo from a child' -c 'wq! out2' text",
	 .processes = 3},
	{.name = "systemd-analyze",
	 .needs = "systemd-analyze",
	 .version = "systemd-analyze --version",
	 .command =
		 "systemd-analyze calendar --base-time='2020-01-01 00:00:00 UTC' 'Mon *-*-* 10:00'"
		 " | head -2; systemd-analyze timespan 90min"},
	{.name = "busybox",
	 .needs = "busybox",
	 .version = "busybox",
	 .command = "seq 1 500 | busybox sort -rn | busybox md5sum; busybox sh -c 'echo a | "
		    "busybox cat'",
	 .unrecorded = true},
	{.name = "rsync",
	 .needs = "rsync",
	 .version = "rsync --version",
	 .prepare = "cp -r /usr/include/linux from; date -d 2020-01-01 +%s > /dev/null",
	 .command =
		 "rsync -a from/ to && rsync -rc --delete --itemize-changes from/ to && echo same",
	 .processes = 4},
	{.name = "bc",
	 .needs = "bc",
	 .version = "bc --version",
	 .command = "echo 'scale=300; 4*a(1)' | bc -l"},
	{.name = "jq",
	 .needs = "jq",
	 .version = "jq --version",
	 .status = 5,
	 .command = "jq -n -c '[range(3000)] | map({a: ., b: tostring}) | .[1000:1010]';"
		    " jq -n 'error(\"no\")'",
	 .processes = 3},
	/* interpreters */
	{.name = "python3 threads",
	 .needs = "python3",
	 .version = "python3 --version",
	 .prepare = python_threads,
	 .status = 3,
	 .command = "exec python3 p.py"},
	{.name = "python3 exception",
	 .needs = "python3",
	 .status = 1,
	 .command = "exec python3 -c 'raise ValueError(\"uncaught\")'"},
	{.name = "python3 processes",
	 .needs = "python3",
	 .prepare = python_processes,
	 .command = "python3 p.py",
	 .processes = 30,
	 .settle = "rm -rf __pycache__",
	 .timeout_s = 120},
	{.name = "perl",
	 .needs = "perl",
	 .version = "perl -e 'print $^V'",
	 .status = 4,
	 .command =
		 "exec perl -e 'my %h = map { $_ => $_ * 2 } 1..20000;"
		 " print \"$_=$h{$_}\\n\" for sort keys %h; print `echo child`;"
		 " for (1..5) { my $p = fork; if (!$p) { exit $_ } waitpid $p, 0; print $? >> 8 }"
		 " open my $f, \">\", \"out\"; print $f \"x\" x 100000; close $f;"
		 " local $SIG{ALRM} = sub { print \"alarm\\n\" }; alarm 1; sleep 3;"
		 " warn \"to stderr\"; exit 4'",
	 .processes = 8},
	{.name = "node",
	 .needs = "node",
	 .version = "node --version",
	 .prepare = node_script,
	 .status = 5,
	 .command = "node n.js",
	 .processes = 3},
	{.name = "java",
	 .needs = "java javac",
	 .version = "java --version",
	 .prepare = java_program,
	 .status = 6,
	 .command = "java T.java",
	 .processes = 3,
	 .timeout_s = 120},
	{.name = "keytool (java)",
	 .needs = "keytool",
	 .version = "java --version",
	 .command = "keytool -genkeypair -keystore k -storepass secret -alias a -dname CN=x "
		    "-keyalg RSA"
		    " -keysize 2048; keytool -list -keystore k -storepass secret -alias b;"
		    " keytool -list -keystore k -storepass secret | head -n 4; rm k",
	 .timeout_s = 120,
	 .varies = "SHA-256.*|[A-Z][a-z][a-z] [0-9]+, 20.*"},
	{.name = "ruby",
	 .needs = "ruby",
	 .version = "ruby --version",
	 .status = 3,
	 .command = "ruby -e 'puts (1..2000).map { |i| i.to_s * 3 }.sort.last(3);"
		    " puts `echo child`; Thread.new { puts 5 }.join; exit 3'",
	 .processes = 3},
	/* git */
	{.name = "git log, fsck, status",
	 .needs = "git",
	 .version = "git --version",
	 .prepare = MAKE_HISTORY,
	 .status = 1,
	 .command =
		 "git -C r log -p; git -C r fsck --full; git -C r status; git -C r no-such-command",
	 .settle = "find r -name index -delete",
	 .processes = 5},
	{.name = "git clone, gc",
	 .needs = "git",
	 .prepare = MAKE_HISTORY,
	 .command = GIT_STEADY
	 "git clone -q --no-local r c && cd c && seq 1 999 > new && git add new &&"
	 " git commit -q -m new && git gc -q --aggressive && git fsck && git log --stat"
	 " | md5sum && git push -q origin HEAD:other && git -C ../r log --oneline other",
	 .settle = "find . -name index -delete; rm -rf c/.git/gc.log",
	 .processes = 20},
	/* compilers */
	{.name = "gcc",
	 .needs = "gcc",
	 .version = "gcc --version",
	 .prepare = "printf '#include <stdio.h>\\n#include <stdlib.h>\\nint main(void)"
		    " { printf(\"%%d\\\\n\", atoi(\"42\")); return 0; }\\n' > a.c; echo 'int x = "
		    ";' > bad.c",
	 .status = 1,
	 .command = "gcc -O2 -g -c a.c -o a.o && gcc a.o -o a && ./a; gcc -c bad.c",
	 .processes = 8},
	{.name = "g++",
	 .needs = "g++",
	 .version = "g++ --version",
	 .prepare = "printf '#include <vector>\\n#include <stdexcept>\\nint f(int n)"
		    " { std::vector<int> v(n); return v.at(3); }\\n' > b.cc",
	 .command = "g++ -O1 -c b.cc -o b.o",
	 .processes = 4},
	{.name = "make -j2",
	 .needs = "make gcc",
	 .version = "make --version",
	 .prepare = c_sources,
	 .command = "cd src && make -s -j2 && ./p && make -j2",
	 .processes = 40},
	{.name = "gdb -batch",
	 .needs = "gdb",
	 .version = "gdb --version",
	 .command =
		 "gdb -nx -q -batch -ex 'set startup-with-shell off' -ex 'break main' -ex run -ex "
		 "bt"
		 " -ex 'info sharedlibrary' -ex 'print 6 * 7' -ex continue $BIN/memory_calls 2>&1"
		 " | grep -e '^#0' -e ' = 42' -e 'exited'",
	 .varies = "0x[0-9a-f]+|process [0-9]+",
	 .processes = 3},
	{.name = "C++ exceptions",
	 .command = "$BIN/exceptions; $BIN/exceptions threads; $BIN/cxx_host $BIN/lib_throw.so;"
		    " exec $BIN/../../examples/shapes",
	 .processes = 5},
	/* archives */
	{.name = "xz -T2",
	 .needs = "xz",
	 .version = "xz --version",
	 .prepare = MAKE_TEXT,
	 .command = "xz -T2 -2 -k --block-size=100KiB text && xz -dc text.xz | md5sum",
	 .processes = 4},
	{.name = "gzip, bzip2, zstd",
	 .needs = "gzip bzip2 zstd",
	 .version = "gzip --version",
	 .prepare = MAKE_TEXT,
	 .command = "gzip -nc text > a.gz; bzip2 -k text; zstd -q -T2 text; zcat a.gz | md5sum;"
		    " bunzip2 -c text.bz2 | md5sum; zstd -dqc text.zst | md5sum",
	 .processes = 8},
	{.name = "tar",
	 .needs = "tar xz gzip",
	 .version = "tar --version",
	 .prepare = MAKE_TEXT,
	 .command =
		 "tar -cf a.tar --mtime=2020-01-01 text && tar -cJf b.txz --mtime=2020-01-01 text "
		 "&&"
		 " tar -czf - /usr/include/linux 2> /dev/null | tar -xzf - && find usr | wc -l &&"
		 " mkdir x && tar -xJf b.txz -C x && tar -df a.tar; echo $?",
	 .processes = 8},
	{.name = "sqlite3",
	 .needs = "sqlite3",
	 .version = "sqlite3 --version",
	 .status = 1,
	 .command =
		 "exec sqlite3 db \"create table t(a integer primary key, b text);"
		 "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)"
		 " insert into t select i, hex(i * 7919) from n; create index x on t(b);"
		 "delete from t where a % 3 = 0; vacuum;"
		 "select count(*), sum(a) from t where b > '33'; pragma integrity_check; select\""},
	/* keys: each run makes others, which must work and be as long */
	{.name = "ssh-keygen",
	 .needs = "ssh-keygen",
	 .version = "ssh -V",
	 .command = "for t in ed25519 'rsa -b 2048' 'ecdsa -b 256'; do ssh-keygen -q -N '' -f key "
		    "-t $t;"
		    " ssh-keygen -l -f key.pub | sed 's/SHA256:[^ ]*//'; echo data > d;"
		    " ssh-keygen -Y sign -q -n file -f key d; echo \"a@b $(cat key.pub)\" > ok;"
		    " ssh-keygen -Y verify -f ok -I a@b -n file -s d.sig < d | cut -c1-20;"
		    " rm key key.pub d.sig ok; done",
	 .varies = "[^ ]*@[^ ]* \\(",
	 .processes = 10},
	{.name = "openssl",
	 .needs = "openssl",
	 .version = "openssl version",
	 .prepare = MAKE_TEXT,
	 .command =
		 "openssl dgst -sha256 text; openssl enc -aes-256-cbc -K 00 -iv 00 -in text -out e"
		 " 2> /dev/null; openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 2"
		 " -subj /CN=x 2> /dev/null; openssl verify -CAfile c c; openssl rsa -in k -check "
		 "-noout;"
		 " openssl dgst -sha1 -sign k -out s text; openssl x509 -in c -pubkey -noout > p;"
		 " openssl dgst -sha1 -verify p -signature s text; openssl speed -seconds 1 -bytes "
		 "16384 md5"
		 " > /dev/null 2>&1; echo $?; rm k c s p",
	 .processes = 9},
};

int main(void)
{
	return run_rows("tools", rows, COUNT_OF(rows));
}
