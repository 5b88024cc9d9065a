/* PROXY headers: good ones, broken ones, and every piece of either. */
#include "daemon/proxy_protocol.h"

#include <stdint.h>
#include <string.h>

#include "conf/address.h"
#include "tests/unit/suite.h"

#define BYTES(text) text, sizeof(text) - 1
#define V2          "\r\n\r\n\0\r\nQUIT\n"
#define LONGEST_V6  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define UNIX_ADDRESSES                                                         \
	"/run/client.sock\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                             \
	"\0\0\0\0\0\0\0\0"

struct good_header {
	const char *bytes;
	size_t len;
	const char *address; /* "" if the peer's own counts */
	uint16_t port;
};

static const struct good_header good_headers[] = {
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 4313 106\r\n"), "192.0.2.1",
	    4313 },
	{ BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	    "255.255.255.255", 65535 },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 0 0\r\n"), "192.0.2.1", 0 },
	{ BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 4313 106\r\n"),
	    "2001:db8::1", 4313 },
	{ BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 4313 106\r\n"), "192.0.2.1",
	    4313 },
	{ BYTES("PROXY TCP6 " LONGEST_V6 " " LONGEST_V6 " 65535 65535\r\n"),
	    LONGEST_V6, 65535 },
	{ BYTES("PROXY UNKNOWN\r\n"), "", 0 },
	{ BYTES("PROXY UNKNOWN " LONGEST_V6 " " LONGEST_V6 " 65535 65535\r\n"),
	    "", 0 },
	{ BYTES("PROXY UNKNOWN anything  at all \r\n"), "", 0 },
	{ BYTES(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x10\xd9\0\x6a"),
	    "192.0.2.1", 4313 },
	{ BYTES(V2 "\x21\x11\0\x11\xc0\0\2\1\xc6\x33\x64\1\x10\xd9\0\x6a"
		   "\4\0\2ok"),
	    "192.0.2.1", 4313 },
	{ BYTES(V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		   "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x10\xd9\0\x6a"),
	    "2001:db8::1", 4313 },
	{ BYTES(V2 "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
		   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x10\xd9\0\x6a"),
	    "192.0.2.1", 4313 },
	{ BYTES(V2 "\x20\0\0\0"), "", 0 },
	{ BYTES(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x10\xd9\0\x6a"), "",
	    0 },
	{ BYTES(V2 "\x20\xff\0\2ok"), "", 0 },
	{ BYTES(V2 "\x21\0\0\0"), "", 0 },
	{ BYTES(V2 "\x21\0\0\4\1\0\1x"), "", 0 },
	{ BYTES(V2 "\x21\x31\0\xd8" UNIX_ADDRESSES), "", 0 },
};

static void
check_header(const struct good_header *good, const struct proxy_header *header)
{
	char address[64] = "";
	uint16_t port = 0;

	ck_assert_uint_eq(header->len, good->len);
	if (header->client.ss_family != AF_UNSPEC)
		address_format(
		    &header->client, address, sizeof(address), &port);
	ck_assert_str_eq(address, good->address);
	ck_assert_uint_eq(port, good->port);
}

START_TEST(test_parse_takes)
{
	const struct good_header *good = &good_headers[_i];
	struct proxy_header header;
	const char *why = NULL;

	ck_assert_int_eq(
	    proxy_parse(good->bytes, good->len, &header, &why), PROXY_DONE);
	check_header(good, &header);
}
END_TEST

/* Of each piece all bytes are the header's: whoever reads them takes none of
 * the client's. */
START_TEST(test_parse_wants_more_of_every_piece)
{
	const struct good_header *good = &good_headers[_i];
	struct proxy_header header;
	const char *why = NULL;

	for (size_t n = 0; n < good->len; n++)
		ck_assert_int_eq(
		    proxy_parse(good->bytes, n, &header, &why), PROXY_MORE);
}
END_TEST

START_TEST(test_parse_leaves_what_follows)
{
	const struct good_header *good = &good_headers[_i];
	char bytes[1024];
	struct proxy_header header;
	const char *why = NULL;

	memcpy(bytes, good->bytes, good->len);
	memset(bytes + good->len, '\n', sizeof(bytes) - good->len);
	ck_assert_int_eq(
	    proxy_parse(bytes, sizeof(bytes), &header, &why), PROXY_DONE);
	check_header(good, &header);
}
END_TEST

struct bad_header {
	const char *bytes;
	size_t len;
	const char *why;
};

#define SENSE "the line makes no sense"

static const struct bad_header bad_headers[] = {
	{ BYTES("USER bob\r\n"), "no PROXY header" },
	{ BYTES("\x16\x03\x01"), "no PROXY header" },
	{ BYTES("proxy TCP4"), "no PROXY header" },
	{ BYTES("PROXYTCP4"), "no PROXY header" },
	{ BYTES("\r\n\r\n\r"), "no PROXY header" },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"),
	    "the line does not end in CRLF" },
	{ BYTES("PROXY \n"), "the line does not end in CRLF" },
	{ BYTES("PROXY \r\n"), SENSE },
	{ BYTES("PROXY TCP4\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), SENSE },
	{ BYTES("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 999999 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1x 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1 host 1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY UNKNOWNX\r\n"), SENSE },
	{ BYTES("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), SENSE },
	{ BYTES("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
	    "no end of line within 107 bytes" },
	{ BYTES(V2 "\x11\x11\0\x0c"), "neither LOCAL nor PROXY of version 2" },
	{ BYTES(V2 "\x22\x11\0\x0c"), "neither LOCAL nor PROXY of version 2" },
	{ BYTES(V2 "\x31\x11\0\x0c"), "neither LOCAL nor PROXY of version 2" },
	{ BYTES(V2 "\x21\x11\2\x09"), "longer than 536 bytes" },
	{ BYTES(V2 "\x20\x11\xff\xff"), "longer than 536 bytes" },
	{ BYTES(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\1\x10\xd9\0"),
	    "too short for its addresses" },
	{ BYTES(V2 "\x21\x21\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x10\xd9\0\x6a"),
	    "too short for its addresses" },
	{ BYTES(V2 "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x10\xd9\0\x6a"),
	    "an address family or transport that is not TCP's" },
	{ BYTES(V2 "\x21\x41\0\0"),
	    "an address family or transport that is not TCP's" },
};

START_TEST(test_parse_refuses)
{
	const struct bad_header *header = &bad_headers[_i];
	struct proxy_header parsed;
	const char *why = NULL;

	ck_assert_int_eq(
	    proxy_parse(header->bytes, header->len, &parsed, &why), PROXY_BAD);
	ck_assert_str_eq(why, header->why);
}
END_TEST

/* The last piece that is asked for is that of the limit. */
START_TEST(test_parse_bounds_version_1)
{
	char bytes[PROXY_V1_MAX + 1];
	struct proxy_header header;
	const char *why = NULL;

	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, "PROXY UNKNOWN ", 14);
	ck_assert_int_eq(
	    proxy_parse(bytes, PROXY_V1_MAX - 1, &header, &why), PROXY_MORE);
	ck_assert_int_eq(
	    proxy_parse(bytes, PROXY_V1_MAX, &header, &why), PROXY_BAD);
	memcpy(bytes + PROXY_V1_MAX - 2, "\r\n", 2);
	ck_assert_int_eq(
	    proxy_parse(bytes, PROXY_V1_MAX, &header, &why), PROXY_DONE);
	ck_assert_uint_eq(header.len, PROXY_V1_MAX);
}
END_TEST

START_TEST(test_parse_bounds_version_2)
{
	char bytes[PROXY_V2_MAX] = V2 "\x21\x11\2\x08\xc0\0\2\1";
	struct proxy_header header;
	const char *why = NULL;

	ck_assert_int_eq(
	    proxy_parse(bytes, PROXY_V2_MAX - 1, &header, &why), PROXY_MORE);
	ck_assert_int_eq(
	    proxy_parse(bytes, PROXY_V2_MAX, &header, &why), PROXY_DONE);
	ck_assert_uint_eq(header.len, PROXY_V2_MAX);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("proxy_protocol");

	tcase_add_loop_test(tcase, test_parse_takes, 0, N_OF(good_headers));
	tcase_add_loop_test(
	    tcase, test_parse_wants_more_of_every_piece, 0, N_OF(good_headers));
	tcase_add_loop_test(
	    tcase, test_parse_leaves_what_follows, 0, N_OF(good_headers));
	tcase_add_loop_test(tcase, test_parse_refuses, 0, N_OF(bad_headers));
	tcase_add_test(tcase, test_parse_bounds_version_1);
	tcase_add_test(tcase, test_parse_bounds_version_2);
	return suite_run("proxy_protocol", tcase);
}
