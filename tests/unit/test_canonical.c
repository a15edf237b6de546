/* SPDX-License-Identifier: MIT */
/* Names as two builds agree on them, and amounts as they are typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/canonical.h"
#include "analyzer/quantity.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void test_canonical(void **state)
{
	static const char *const names[][2] = {
		{"main", "main"},
		{"f.constprop.0", "f"},
		{"f.isra.0.cold", "f"},
		{"f.part.0.constprop.1", "f"},
		{"f.lto_priv.0", "f"},
		{"f.llvm.1234567890", "f"},
		{"nested.3", "nested"},
		{"f.avx2", "f"},
		{"main.f", "main.f"}, /* Go */
		{".cold", ".cold"},
		{"", ""},
		{"ns::f(int) [clone .cold]", "ns::f(int)"},
		{"f(int) [clone .isra.0] [clone .part.0]", "f(int)"},
		{"f(char const*, ...)", "f(char const*, ...)"},
		{"main::{lambda(int)#2}::operator()(int) const",
		 "main::{lambda(int)}::operator()(int) const"},
		{"main::$_0::operator()(int) const", "main::$_::operator()(int) const"},
		{"main::'lambda1'(int)::operator()(int) const",
		 "main::'lambda'(int)::operator()(int) const"},
		{"f()::{unnamed type#1}::g()", "f()::{unnamed type}::g()"},
		{"app::run::{closure#3}", "app::run::{closure}"},
		{"app::run::h0123456789abcdef", "app::run"},
		{"app::run::h0123456789abcdeg", "app::run::h0123456789abcdeg"},
		{"c#7", "c#7"},
		{"'lambda", "'lambda"},
		{"x2", "x2"},
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_string_equal(canonical_name(out, names[i][0]), names[i][1]);
		assert_string_equal(canonical_name(out, names[i][1]), names[i][1]);
	}
}

static void test_scoped(void **state)
{
	static const char *const names[][3] = {
		{"main", "main", "main"},
		{"ns::f(int, char)", "ns::f", "f"},
		{"void ns::twice<int>(int)", "ns::twice", "twice"},
		{"std::map<int, std::string>::operator[](int const&)", "std::map::operator[]",
		 "operator[]"},
		{"(anonymous namespace)::Index::add(int)", "(anonymous namespace)::Index::add",
		 "add"},
		{"Box<long>::Box(int)", "Box::Box", "Box"},
		{"Box<(Kind)1>::~Box()", "Box::~Box", "~Box"},
		{"main::{lambda(int)}::operator()(int) const", "main::{}::operator()",
		 "operator()"},
		{"main::$_::operator()(int) const", "main::{}::operator()", "operator()"},
		{"main::'lambda'(int)::operator()(int) const", "main::{}::operator()",
		 "operator()"},
		{"main(int)::{lambda()}::operator()() const", "main::{}::operator()", "operator()"},
		{"S::f() const::{lambda()}::operator()() const", "S::f::{}::operator()",
		 "operator()"},
		{"operator new(unsigned long)", "operator new", "operator new"},
		{"operator delete[](void*)", "operator delete[]", "operator delete[]"},
		{"S::operator bool() const", "S::operator bool", "operator bool"},
		{"bool operator<(A const&, A const&)", "operator<", "operator<"},
		{"std::ostream& operator<< <char>(std::ostream&, char)", "operator<<",
		 "operator<<"},
		{"A::operator->() const", "A::operator->", "operator->"},
		{"A::operator()(int)", "A::operator()", "operator()"},
		{"std::string::c_str[abi:cxx11]() const", "std::string::c_str", "c_str"},
		{"<alloc::vec::Vec<T> as core::iter::FromIterator<T>>::from_iter",
		 "<alloc::vec::Vec<T> as core::iter::FromIterator<T>>::from_iter", "from_iter"},
		{"f(int", "f", "f"},
		{"g<h", "g", "g"},
		{"(", "(", "("},
		{"<", "<", "<"},
		{"operator", "operator", "operator"},
		{"a::", "a::", "a::"},
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_string_equal(scoped_name(out, names[i][0]), names[i][1]);
		assert_string_equal(bare_name(out), names[i][2]);
	}
}

static void test_library(void **state)
{
	static const char *const library[] = {
		"std::vector<int>::push_back(int const&)",
		"void std::__invoke_impl<void, main::$_&>(std::__invoke_other, main::$_&)",
		"__gnu_cxx::new_allocator<int>::allocate(unsigned long)",
		"operator new(unsigned long)",
		"core::ops::function::FnOnce::call_once",
		"<alloc::vec::Vec<T> as core::clone::Clone>::clone",
	};
	static const char *const own[] = {
		"main",
		"f(std::vector<int>)",
		"Cache<std::string>::fill(unsigned long)",
		"std_helper",
		"std::string make(int) [not a return type of std]",
		"app::std::f",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(library); i++)
		assert_true(is_library_name(library[i]));
	for (size_t i = 0; i < COUNT(own); i++)
		assert_int_equal(is_library_name(own[i]), 0);
}

/* Whatever a symbol table holds: the result has no more characters than the name. */
static void test_any_bytes(void **state)
{
	static const char alphabet[] = "<>(){}[]:#$_'. aoperatorlambda0129h~\x01\xff";
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t length = (size_t)(rand_r(&seed) % 24);
		char *name = malloc(length + 1), *out = malloc(length + 1);
		char *scoped = malloc(length + 1);

		assert_non_null(name);
		assert_non_null(out);
		assert_non_null(scoped);
		for (size_t i = 0; i < length; i++)
			name[i] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		name[length] = '\0';
		assert_true(strlen(canonical_name(out, name)) <= length);
		assert_true(strlen(scoped_name(scoped, out)) <= strlen(out));
		assert_non_null(bare_name(scoped));
		is_library_name(name);
		free(name);
		free(out);
		free(scoped);
	}
}

static void test_quantities(void **state)
{
	double v;

	(void)state;
	assert_true(quantity_bytes("200M", &v) && v == 200 * 1048576.0);
	assert_true(quantity_bytes("1.5 KiB", &v) && v == 1536);
	assert_true(quantity_bytes("10kB", &v) && v == 10000);
	assert_true(quantity_bytes("0", &v) && v == 0);
	assert_true(quantity_seconds("20ms", &v) && v == 20 * 1e-3);
	assert_true(quantity_seconds("2min", &v) && v == 120);
	assert_true(quantity_count("10k", &v) && v == 10000);
	assert_true(quantity_percent("5%", &v) && v == 5 * 0.01);
	assert_int_equal(quantity_seconds("20", &v), 0);
	assert_int_equal(quantity_percent("5", &v), 0);
	for (size_t i = 0; i < 9; i++) {
		static const char *const bad[] = {"",	 "M",	"-1", "1e3", "0x10",
						  "inf", "1MM", " 1", "1 2"};

		assert_int_equal(quantity_bytes(bad[i], &v), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical),  cmocka_unit_test(test_scoped),
		cmocka_unit_test(test_library),	   cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_quantities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
