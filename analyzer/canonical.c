/* SPDX-License-Identifier: MIT */
/* Names of functions as two builds of one program agree on them. */
#include "analyzer/canonical.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What compilers append after a dot. */
static bool is_clone_word(const char *word)
{
	static const char *const words[] = {"constprop",   "isra",    "part",	  "cold",
					    "lto_priv",	   "llvm",    "clone",	  "localalias",
					    "resolver",	   "default", "warm",	  "hot",
					    "unlikely",	   "startup", "exit",	  "extracted",
					    "specialized", "__uniq",  "simdclone"};
	static const char *const beginnings[] = {"arch_", "avx", "sse"};

	if (word[strspn(word, "0123456789")] == '\0')
		return true;
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	for (size_t i = 0; i < COUNT(beginnings); i++)
		if (starts_with(word, beginnings[i]))
			return true;
	return false;
}

/* "f.part.0.constprop.1" is f; Go's "main.f" stays. */
static void strip_clone_words(char *name)
{
	char *dot;

	while ((dot = strrchr(name, '.')) != NULL && dot > name && is_clone_word(dot + 1))
		*dot = '\0';
}

/* "::h" and 16 hexadecimal digits, at the end. */
static void strip_rust_hash(char *name)
{
	size_t length = strlen(name);
	char *hash = name + length - 19;

	if (length > 19 && starts_with(hash, "::h") && strspn(hash + 3, "0123456789abcdef") == 16)
		*hash = '\0';
}

/* How many characters of `s` are the number of something that has no name. */
static size_t number_length(const char *name, const char *s)
{
	size_t digits;

	if (*s == '#') { /* {lambda(int)#1}, {closure#0} */
		digits = 1 + strspn(s + 1, "0123456789");
		return digits > 1 && s[digits] == '}' ? digits : 0;
	}
	digits = strspn(s, "0123456789");
	if (digits == 0)
		return 0;
	if (s - name >= 2 && s[-1] == '_' && s[-2] == '$') /* clang's $_0 */
		return digits;
	/* LLVM's 'lambda0'(int) */
	return s - name >= 7 && strncmp(s - 7, "'lambda", 7) == 0 && s[digits] == '\'' ? digits : 0;
}

char *canonical_name(char *out, const char *name)
{
	const char *end = strstr(name, " [clone ");
	const char *from = name;
	char *to = out;

	while (*from != '\0' && from != end) {
		size_t number = number_length(name, from);

		if (number > 0)
			from += number;
		else
			*to++ = *from++;
	}
	*to = '\0';
	strip_rust_hash(out);
	strip_clone_words(out);
	return out;
}

/* Behind the bracket that closes the one at `s`; the end where none does. */
static const char *skip_brackets(const char *s)
{
	const char open = *s, close = open == '('   ? ')'
				      : open == '{' ? '}'
				      : open == '[' ? ']'
						    : '>';
	int depth = 0;

	for (; *s != '\0'; s++) {
		if (*s == open)
			depth++;
		else if (*s == close && s[-1] != '-' && --depth == 0)
			return s + 1;
	}
	return s;
}

/* The length of an operator's name at `s`, behind "operator": its characters are no
 * brackets. Of a conversion, up to its parameters. */
static size_t operator_length(const char *s)
{
	static const char *const symbols[] = {"()", "[]", "<=>", "<<=", ">>=", "->*", "<<",
					      ">>", "<=", ">=",	 "->",	"<",   ">"};

	for (size_t i = 0; i < COUNT(symbols); i++)
		if (starts_with(s, symbols[i]))
			return strlen(symbols[i]);
	return strcspn(s, "(");
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Where scoped_name() stands. */
struct loose {
	const char *begin, *from;
	char *out, *to;
};

static void copy(struct loose *l, size_t length)
{
	memmove(l->to, l->from, length);
	l->to += length;
	l->from += length;
}

static void put_unnamed(struct loose *l, const char *behind)
{
	*l->to++ = '{';
	*l->to++ = '}';
	l->from = behind;
}

/* A bracket: of parameters, of template arguments, or part of the name. False: the
 * name is over. */
static bool pass_bracket(struct loose *l)
{
	static const char anonymous[] = "(anonymous namespace)";
	const char *behind = skip_brackets(l->from);

	if (starts_with(l->from, anonymous)) {
		copy(l, sizeof(anonymous) - 1);
		return true;
	}
	if (*l->from == '{' && l->from[1] != '{' && behind[-1] == '}')
		put_unnamed(l, behind);
	else if (*l->from == '(' && !starts_with(behind, "::"))
		return *behind == ' ' && starts_with(behind, " const::")
			       ? (l->from = behind + strlen(" const"), true)
			       : false;
	else
		l->from = behind;
	return true;
}

static bool step(struct loose *l)
{
	const char *s = l->from;

	if (starts_with(s, "operator") && !is_word(s[8]) && (s == l->begin || !is_word(s[-1]))) {
		copy(l, strlen("operator"));
		copy(l, operator_length(l->from));
		return true;
	}
	if (starts_with(s, "$_")) {
		put_unnamed(l, s + 2);
		return true;
	}
	if (starts_with(s, "'lambda'(")) {
		put_unnamed(l, skip_brackets(s + strlen("'lambda'")));
		return true;
	}
	if (strchr("(<[{", *s) != NULL)
		return pass_bracket(l);
	if (*s == ' ') { /* what came before it was the return type, but in "operator<< <T>" */
		l->to = s[1] == '<' ? l->to : l->out;
		l->from++;
		return true;
	}
	copy(l, 1);
	return true;
}

char *scoped_name(char *out, const char *name)
{
	struct loose l = {.begin = name, .from = name, .out = out, .to = out};

	/* Rust's <T as Trait>::f has its scope in the brackets. */
	if (name[0] == '<') {
		strcpy(out, name);
		return out;
	}
	while (*l.from != '\0' && step(&l))
		;
	*l.to = '\0';
	if (out[0] == '\0')
		strcpy(out, name);
	return out;
}

const char *bare_name(const char *scoped)
{
	const char *last = scoped;

	if (scoped[0] == '<') /* Rust's <T as Trait>::f */
		last = skip_brackets(scoped);
	for (const char *s = strstr(last, "::"); s != NULL; s = strstr(last, "::"))
		last = s + 2;
	return *last != '\0' ? last : scoped;
}

/* Where the scopes of a function begin: behind the return type of a template. */
static const char *scopes(const char *name)
{
	const char *begin = name;

	for (const char *s = name; *s != '\0' && *s != '(';) {
		if (starts_with(s, "operator"))
			break;
		if (*s == '<') {
			s = skip_brackets(s);
			continue;
		}
		if (*s == ' ')
			begin = s + 1;
		s++;
	}
	return begin;
}

bool is_library_name(const char *name)
{
	static const char *const libraries[] = {
		"std::",    "__gnu_cxx::", "alloc::", "core::",
		"<alloc::", "<core::",	   "<std::",  "operator new"};
	const char *s = scopes(name);

	for (size_t i = 0; i < COUNT(libraries); i++)
		if (starts_with(s, libraries[i]))
			return true;
	return false;
}
