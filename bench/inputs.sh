#!/bin/sh
# SPDX-License-Identifier: MIT
# inputs.sh FOLDER: what the real programs work on, made once, the same each time.
set -eu
folder=$1
# Change the number when anything below changes.
version=3
[ "$(cat "$folder/version" 2>/dev/null)" = $version ] && exit 0
rm -rf "$folder"
mkdir -p "$folder/nginx/logs" "$folder/nginx/html"
cd "$folder"

# Lines of words: a little random, much alike, as texts are.
awk 'BEGIN {
	srand(7)
	for (i = 0; i < 3000; i++)
		word[i] = sprintf("%c%c%s%d", 97 + i % 26, 97 + i % 23, substr("letters", i % 5), i % 97)
	for (n = 0; n < 120000; n++) {
		line = ""
		for (k = 0; k < 10; k++)
			line = line word[int(rand() * rand() * 3000)] " "
		print line
	}
}' >words.txt

awk 'BEGIN {
	print "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, kind INTEGER, note TEXT);"
	print "CREATE INDEX by_kind ON t(kind, name);\nBEGIN;"
	for (i = 1; i <= 40000; i++)
		printf "INSERT INTO t VALUES(%d, \047name %d\047, %d, \047note %d of %d\047);\n", \
			i, i * 7919 % 40009, i % 101, i, i * i % 1009
	for (i = 1; i <= 10000; i++)
		printf "SELECT count(*), max(note) FROM t WHERE kind = %d AND name > \047name %d\047 LIMIT 5;\n", \
			i % 101, 39000 + i % 1000
	for (i = 1; i <= 10000; i++)
		printf "UPDATE t SET note = note || %d WHERE id = %d;\n", i, i * 3
	print "COMMIT;"
}' >statements.sql

awk 'BEGIN {
	print "struct s { int a, b; long c[4]; const char *name; struct s *next; };"
	for (i = 0; i < 1000; i++) {
		printf "static int f%d(struct s *p, int n)\n{\n\tint sum = %d;\n", i, i
		printf "\tfor (int i = 0; i < n; i++) {\n\t\tif (p->a > i && p->b != %d)\n", i % 13
		printf "\t\t\tsum += p->c[i %% 4] * %d;\n\t\telse\n\t\t\tp->b ^= sum << 1;\n\t}\n", i % 7 + 1
		printf "\tp->name = \"text %d\";\n\tswitch (n) {\n", i
		for (k = 0; k < 4; k++)
			printf "\tcase %d:\n\t\treturn sum + p->a * %d;\n", k, k
		printf "\t}\n\treturn p->next ? %s : sum;\n}\n", i ? "f" i - 1 "(p->next, n - 1)" : "0"
	}
	print "int main(void)\n{\n\tstruct s s = {0};\n\treturn f999(&s, 3);\n}"
}' >large.c

awk 'BEGIN {
	print "["
	for (i = 0; i < 40000; i++)
		printf "{\"id\":%d,\"name\":\"name %d\",\"age\":%d,\"tags\":[\"a%d\",\"b%d\"],\"at\":{\"x\":%d.5,\"y\":null}}%s\n", \
			i, i * 31 % 977, i % 90, i % 11, i % 17, i, i < 39999 ? "," : ""
	print "]"
}' >people.json

# A repository: 3000 commits, each with a line or two changed in one of 30 files.
git init -q -b main repository
awk 'BEGIN {
	for (i = 0; i < 3000; i++) {
		f = i % 30
		changed[f, i * 37 % 220] = i
		print "commit refs/heads/main\nmark :" i + 1
		printf "committer A <a@example.org> %d +0000\n", 1600000000 + i * 60
		print "data <<END\nCommit number " i "\nEND"
		if (i) print "from :" i
		print "M 100644 inline folder/file" f ".txt\ndata <<END"
		for (k = 0; k < 220; k++)
			print "line " k " of the file, last touched in " changed[f, k] + 0
		print "END\n"
	}
}' | git -C repository fast-import --quiet

awk 'BEGIN { for (i = 0; i < 200; i++) print "<p>paragraph " i "</p>" }' >nginx/html/index.html
cat >nginx/nginx.conf <<END
daemon off;
master_process off;
pid logs/pid;
error_log logs/error.log;
events { worker_connections 256; }
http {
	access_log logs/access.log;
	client_body_temp_path logs/body;
	proxy_temp_path logs/proxy;
	fastcgi_temp_path logs/fastcgi;
	uwsgi_temp_path logs/uwsgi;
	scgi_temp_path logs/scgi;
	server {
		listen 127.0.0.1:18918;
		location / { root html; }
	}
}
END

ln -s "$(${CC:-gcc} -print-prog-name=cc1)" cc1
head -c 2000000 words.txt >million
echo $version >version
