# SPDX-License-Identifier: MIT
# words.pl FILE: counts the words of a text, and pairs of them, and sorts both.
use strict;
use warnings;

my (%count, %pairs, @lines);
open my $in, '<', $ARGV[0] or die "$ARGV[0]: $!";
while (my $line = <$in>) {
	last if $. > 20000;
	my @words = split /\s+/, $line;
	$count{lc $_}++ for @words;
	$pairs{"$words[$_] $words[$_ + 1]"}++ for 0 .. $#words - 1;
	push @lines, { number => $., words => [@words[0 .. 2]] };
}
my @most = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
my @joined = map { join '-', @{ $_->{words} } } @lines;
print scalar(@most), ' ', scalar(keys %pairs), ' ', length(join ',', @joined), "\n";
