# SPDX-License-Identifier: MIT
# A manual page's source with its parts in place: a line @NAME@ is NAME.inc of `folder`,
# and @VERSION@ is `version`. Ends with status 1 where a part is missing.
/^@[a-z-]+@$/ {
	file = folder "/" substr($0, 2, length($0) - 2) ".inc"
	found = 0
	while ((getline line < file) > 0) {
		print line
		found = 1
	}
	close(file)
	if (!found) {
		print FILENAME ": " file " is missing or empty" > "/dev/stderr"
		exit 1
	}
	next
}
{
	gsub(/@VERSION@/, version)
	print
}
