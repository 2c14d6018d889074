/* The codec against vectors of every tag, and against what a hostile or broken peer may send. All input lies in blocks
 * of its exact size, so that the address sanitizer and valgrind see each byte that is read too many. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "etf.h"

/* Bytes written in hex, blanks between them as one likes. */
typedef struct block {
  uint8_t *data;
  size_t size;
} block;

static block block_of(const void *data, size_t size) {
  block made = {malloc(size), size};
  if (made.data == NULL && size > 0) exit(2);
  if (size > 0) memcpy(made.data, data, size);
  return made;
}

static block hex(const char *text) {
  uint8_t bytes[2048];
  size_t size = 0;
  for (; *text != '\0'; text++) {
    char pair[3] = {text[0], text[1], '\0'};
    if (*text == ' ') continue;
    bytes[size++] = (uint8_t)strtoul(pair, NULL, 16);
    text++;
  }
  return block_of(bytes, size);
}

static bool buf_is(edr_buf *buf, const char *text) {
  block wanted = hex(text);
  bool same = !buf->failed && buf->size == wanted.size && memcmp(buf->data, wanted.data, wanted.size) == 0;
  if (!same) {
    fprintf(stderr, "wanted %s, got ", text);
    for (size_t i = 0; i < buf->size; i++) fprintf(stderr, "%02x", buf->data[i]);
    fprintf(stderr, "%s\n", buf->failed ? " (failed)" : "");
  }
  free(wanted.data);
  edr_buf_clear(buf);
  return same;
}

#define NODE "77 01 61"                            /* 'a' */
#define PID "58" NODE "00000053 00000001 00000003" /* 16 bytes */
#define UNIQ "000102030405060708090a0b0c0d0e0f"
#define FUN_BODY                                                                                                       \
  "02" UNIQ "00000007 00000001" NODE "6101 6102" PID /* free variables follow: 48 bytes, without size                  \
                                                      */
#define FUN "70 00000036" FUN_BODY "6105"

/* Each tag: what kind it is, and its canonical form (NULL: the same bytes; "": compound, none). */
static const struct vector {
  const char *bytes;
  edr_etf_kind kind;
  const char *canonical;
} vectors[] = {
    {"61 07", EDR_ETF_INT, NULL},
    {"61 ff", EDR_ETF_INT, NULL},
    {"62 ffffffff", EDR_ETF_INT, NULL},
    {"62 00000007", EDR_ETF_INT, "61 07"},
    {"6e 01 00 05", EDR_ETF_INT, "61 05"},
    {"6e 01 01 05", EDR_ETF_INT, "62 fffffffb"},
    {"6e 00 01", EDR_ETF_INT, "61 00"},
    {"6e 08 00 ffffffffffffff7f", EDR_ETF_INT, NULL},
    {"6e 08 01 0000000000000080", EDR_ETF_INT, NULL},
    {"6e 08 00 0000000000000080", EDR_ETF_BIGNUM, NULL},
    {"6e 08 01 0100000000000080", EDR_ETF_BIGNUM, NULL},
    {"6e 0a 00 00000000000000000100", EDR_ETF_BIGNUM, "6e 09 00 000000000000000001"},
    {"6f 00000009 01 000000000000000001", EDR_ETF_BIGNUM, "6e 09 01 000000000000000001"},
    {"6f 00000002 00 0001", EDR_ETF_INT, "62 00000100"},
    {"46 3ff8000000000000", EDR_ETF_FLOAT, NULL},
    {"46 8000000000000000", EDR_ETF_FLOAT, NULL},
    {"64 0002 6f6b", EDR_ETF_ATOM, "77 02 6f6b"},
    {"64 0001 e9", EDR_ETF_ATOM, "77 02 c3a9"},
    {"73 02 61ff", EDR_ETF_ATOM, "77 03 61c3bf"},
    {"73 00", EDR_ETF_ATOM, "77 00"},
    {"76 0002 c3a9", EDR_ETF_ATOM, "77 02 c3a9"},
    {"77 04 f48fbfbf", EDR_ETF_ATOM, NULL},
    {"77 03 ed9fbf", EDR_ETF_ATOM, NULL},
    {"68 00", EDR_ETF_TUPLE, ""},
    {"68 02 6101 6102", EDR_ETF_TUPLE, ""},
    {"69 00000001 68 01 6a", EDR_ETF_TUPLE, ""},
    {"6a", EDR_ETF_NIL, NULL},
    {"6b 0002 01ff", EDR_ETF_STRING, NULL},
    {"6b 0000", EDR_ETF_NIL, "6a"},
    {"6c 00000002 6101 6b000107 6a", EDR_ETF_LIST, ""},
    {"6c 00000001 6101 6102", EDR_ETF_LIST, ""},
    {"6c 00000000 6a", EDR_ETF_NIL, "6a"},
    {"6c 00000000 6c 00000000 61 07", EDR_ETF_INT, "61 07"},
    {"74 00000000", EDR_ETF_MAP, ""},
    {"74 00000001 77026f6b 6c 00000001 6101 6a", EDR_ETF_MAP, ""},
    {"6d 00000000", EDR_ETF_BINARY, NULL},
    {"6d 00000002 01ff", EDR_ETF_BINARY, NULL},
    {"4d 00000002 03 01ff", EDR_ETF_BITSTRING, "4d 00000002 03 01e0"},
    {"4d 00000001 08 ff", EDR_ETF_BINARY, "6d 00000001 ff"},
    {"4d 00000000 00", EDR_ETF_BINARY, "6d 00000000"},
    {PID, EDR_ETF_PID, NULL},
    {"67 64000161 00000053 00000001 03", EDR_ETF_PID, PID},
    {"66" NODE "00000007 02", EDR_ETF_PORT, "59" NODE "00000007 00000002"},
    {"59 73 01 e9 00000007 00000002", EDR_ETF_PORT, "59 77 02 c3a9 00000007 00000002"},
    {"78" NODE "0000000000000007 00000002", EDR_ETF_PORT, "59" NODE "00000007 00000002"},
    {"78" NODE "0000000010000000 00000002", EDR_ETF_PORT, NULL},
    {"78" NODE "0000000100000007 00000002", EDR_ETF_PORT, NULL},
    {"65" NODE "00000009 01", EDR_ETF_REF, "5a 0001" NODE "00000001 00000009"},
    {"72 0002" NODE "01 00000009 0000000a", EDR_ETF_REF, "5a 0002" NODE "00000001 00000009 0000000a"},
    {"5a 0005" NODE "00000001 00000001 00000002 00000003 00000004 00000005", EDR_ETF_REF, NULL},
    {"71 64000161 73 01 62 6200000002", EDR_ETF_EXPORT, "71 770161 770162 6102"},
    {FUN, EDR_ETF_FUN, NULL},
    {"70 00000034 02" UNIQ "00000007 00000000" NODE "6101 6102" PID, EDR_ETF_FUN, NULL},
    {"70 0000006b" FUN_BODY FUN, EDR_ETF_FUN, NULL},
};

static const char *const refused[] = {
    "",
    "00",
    "ff",
    "83 6a",
    "79 00",
    "52 00",
    "50 00000001 00", /* LOCAL_EXT, atom cache, compressed */
    "46 7ff8000000000000",
    "46 7ff0000000000000",
    "46 fff0000000000000", /* not a number, infinite */
    "77 02 c080",
    "77 03 eda080",
    "77 04 f4908080",
    "77 01 80",
    "77 01 c3",
    "77 03 e08080",
    "77 02 c328",
    "4d 00000001 09 ff",
    "4d 00000001 00 ff",
    "4d 00000000 03",
    "5a 0000" NODE "00000001",
    "5a 0006" NODE "00000001 00000001 00000002 00000003 00000004 00000005 00000006",
    "58 6101 00000053 00000001 00000003",
    "58 7701 00 00000053 00000001 00000003", /* a node that is 1, or \0 */
    "71" NODE NODE "62 00000100",
    "71" NODE NODE "62 ffffffff",
    "71" NODE "6101 6102",
    "70 00000003" FUN_BODY "6105",
    "70 00000035" FUN_BODY "6105",
    "70 00000037" FUN_BODY "6105 6105",
    "70 ffffffff" FUN_BODY "6105",
    "70 00000036" FUN_BODY "5200",
    "70 00000034 02" UNIQ "00000007 00000000" NODE "6101 6102 6a",
    "70 0000006b" FUN_BODY "70 00000035" FUN_BODY "6105",
    "75 00000001" PID NODE "6101 6102 68 01 6a",                    /* FUN_EXT, which no node makes or reads any more */
    "70 00000134 02" UNIQ "00000007 00000100" NODE "6101 6102" PID, /* 256 free variables */
    "65" NODE "00000001 04",                                        /* two bits of creation, 18 of a first word */
    "66" NODE "00000001 04",
    "67" NODE "00000001 00000002 04",
    "72 0001" NODE "04 00000001",
    "65" NODE "00040000 03",
    "72 0002" NODE "03 00040000 00000001",
    "69 000f4240",
    "69 ffffffff 6a",
    "6c ffffffff 6a",
    "74 ffffffff 6a",
    "74 80000000 6a6a",
    "6d ffffffff 00",
    "6f ffffffff 00 01",
    "6b ffff 01",
    "76 ffff 61",
    "68 02 68 03 6101 6a", /* each of the counts could be, both together cannot */
    "68 02 6d 00000001 00",
    "6c 00000001 6a",
};

/* What a reader is seen by. */
static bool unmoved(const edr_etf_reader *reader, edr_etf_mark before) {
  edr_etf_mark now = edr_etf_reader_mark(reader);
  return memcmp(&before, &now, sizeof now) == 0;
}

/* Steps until one fails: it must have left everything as it was, and say why. */
static void check_fails(const uint8_t *data, size_t size) {
  block own = block_of(data, size);
  edr_etf_reader reader;
  edr_etf_mark before;
  edr_etf_token token;
  edr_status status;

  edr_etf_reader_init(&reader, own.data, own.size, NULL);
  before = edr_etf_reader_mark(&reader);
  CHECK(edr_etf_skip(&reader) == EDR_EPROTOCOL);
  CHECK(unmoved(&reader, before));
  CHECK(edr_etf_reader_problem(&reader)[0] != '\0');
  do {
    before = edr_etf_reader_mark(&reader);
    status = edr_etf_next(&reader, &token);
  } while (status == EDR_OK && (reader.offset < size || reader.depth > 0));
  CHECK(status == EDR_EPROTOCOL);
  CHECK(unmoved(&reader, before));
  edr_etf_reader_deinit(&reader);
  free(own.data);
}

/* The token's kind, its extent, its canonical form, that this form is its own, and that no part of it is a term. */
static void check_vector(block whole, edr_etf_kind kind, const char *canonical) {
  edr_etf_reader reader;
  edr_etf_token token = {0};
  edr_buf buf, again;
  bool compound = canonical != NULL && canonical[0] == '\0';

  edr_buf_init(&buf);
  edr_buf_init(&again);
  edr_etf_reader_init(&reader, whole.data, whole.size, NULL);
  CHECK(edr_etf_skip(&reader) == EDR_OK);
  CHECK(edr_etf_reader_at_end(&reader));
  edr_etf_reader_init(&reader, whole.data, whole.size, NULL);
  CHECK(edr_etf_next(&reader, &token) == EDR_OK);
  CHECK(token.kind == kind);
  CHECK(compound == (reader.depth == 1));
  edr_etf_put_canonical(&buf, &token);
  if (compound) {
    CHECK(buf.size == 0);
  } else {
    CHECK(token.raw + token.raw_size == whole.data + whole.size);
    edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
    CHECK(edr_etf_next(&reader, &token) == EDR_OK && edr_etf_reader_at_end(&reader));
    edr_etf_put_canonical(&again, &token);
    CHECK(again.size == buf.size && memcmp(again.data, buf.data, buf.size) == 0);
    if (canonical != NULL)
      CHECK(buf_is(&buf, canonical));
    else
      CHECK(buf.size == whole.size && memcmp(buf.data, whole.data, whole.size) == 0);
  }
  for (size_t cut = 0; cut < whole.size; cut++) check_fails(whole.data, cut);
  edr_buf_deinit(&buf);
  edr_buf_deinit(&again);
  free(whole.data);
}

static void test_vectors(void) {
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    check_vector(hex(vectors[i].bytes), vectors[i].kind, vectors[i].canonical);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    block bytes = hex(refused[i]);
    check_fails(bytes.data, bytes.size);
    free(bytes.data);
  }
}

static void test_problem(void) {
  static const struct {
    const char *bytes, *words;
  } cases[] = {{"69 00011170 616161", "a tuple of 70000 elements in 3 bytes"},
               {"6c 00011170 6a", "a list of 70000 elements in 1 bytes"},
               {"74 00011170", "a map of 70000 elements in 0 bytes"},
               {"50", "a compressed term inside another term"},
               {"79", "a term that only the node that made it can read"},
               {"52", "a reference to an atom cache, which was never agreed on"},
               {"62 00", "the term is cut short"}};

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    block bytes = hex(cases[i].bytes);
    edr_etf_reader reader;
    edr_etf_token token;
    edr_etf_reader_init(&reader, bytes.data, bytes.size, NULL);
    CHECK(edr_etf_next(&reader, &token) == EDR_EPROTOCOL);
    CHECK(strcmp(edr_etf_reader_problem(&reader), cases[i].words) == 0);
    free(bytes.data);
  }
}

static block float_text(const char *text) {
  uint8_t bytes[32] = {99};
  memcpy(bytes + 1, text, strlen(text));
  return block_of(bytes, sizeof bytes);
}

static void test_float_text(void) {
  static const char *const bad[] = {"",    "1",     "1.",       ".5",      "1.5e",    "1.5e+",   "nan",
                                    "inf", "0x1.8", "1.5e+00x", "1.0e999", " 1.5e+0", "1,5e+00", "1.5e+99999999999999"};
  check_vector(float_text("1.50000000000000000000e+00"), EDR_ETF_FLOAT, "46 3ff8000000000000");
  check_vector(float_text("-1.49999999999999994449e-01"), EDR_ETF_FLOAT, "46 bfc3333333333333");
  check_vector(float_text("1.79769313486231570815e+308"), EDR_ETF_FLOAT, "46 7fefffffffffffff");
  check_vector(float_text("4.94065645841246544177e-324"), EDR_ETF_FLOAT, "46 0000000000000001");
  check_vector(float_text("2.5"), EDR_ETF_FLOAT, "46 4004000000000000");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    block bytes = float_text(bad[i]);
    check_fails(bytes.data, bytes.size);
    free(bytes.data);
  }
}

static void test_tokens(void) {
  static const edr_etf_kind kinds[] = {EDR_ETF_LIST, EDR_ETF_INT, EDR_ETF_TUPLE,  EDR_ETF_ATOM, EDR_ETF_END,
                                       EDR_ETF_MAP,  EDR_ETF_END, EDR_ETF_BINARY, EDR_ETF_END};
  block bytes = hex("6c 00000003 6101 68 01 77026f6b 74 00000000 6d 00000001 ff"); /* [1, {ok}, #{} | <<255>>] */
  edr_etf_reader reader;
  edr_etf_token token;

  edr_etf_reader_init(&reader, bytes.data, bytes.size, NULL);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    CHECK(edr_etf_next(&reader, &token) == EDR_OK);
    CHECK(token.kind == kinds[i]);
    if (i == 0) CHECK(token.count == 3);
    if (i == 3) CHECK(token.size == 2 && memcmp(token.data, "ok", 2) == 0);
  }
  CHECK(edr_etf_reader_at_end(&reader));
  CHECK(edr_etf_next(&reader, &token) == EDR_EPROTOCOL);
  free(bytes.data);
}

/* {pid, ref, [ok], 7} behind a version, read by what is expected; each wrong guess leaves all in place. */
static void test_expectations(void) {
  block bytes = hex("83 68 04" PID "72 0002" NODE "01 00000009 0000000a 6c 00000001 77026f6b 6a 6107");
  edr_etf_reader reader;
  edr_etf_mark before;
  edr_pid pid;
  edr_ref ref;
  size_t arity = 99;
  int64_t integer = 99;

  edr_etf_reader_init(&reader, bytes.data, bytes.size, NULL);
  CHECK(edr_etf_read_version(&reader) == EDR_OK);
  CHECK(edr_etf_read_version(&reader) == EDR_EPROTOCOL);
  before = edr_etf_reader_mark(&reader);
  CHECK(edr_etf_read_int(&reader, &integer) == EDR_EPROTOCOL && integer == 99);
  CHECK(edr_etf_read_end(&reader) == EDR_EPROTOCOL);
  CHECK(unmoved(&reader, before));
  CHECK(edr_etf_read_tuple(&reader, &arity) == EDR_OK && arity == 4);
  CHECK(edr_etf_read_ref(&reader, &ref) == EDR_EPROTOCOL);
  CHECK(edr_etf_read_pid(&reader, &pid) == EDR_OK);
  CHECK(pid.id == 0x53 && pid.serial == 1 && pid.creation == 3 && strcmp(pid.node, "a") == 0);
  CHECK(edr_etf_read_pid(&reader, &pid) == EDR_EPROTOCOL);
  CHECK(edr_etf_read_ref(&reader, &ref) == EDR_OK);
  CHECK(ref.word_count == 2 && ref.words[0] == 9 && ref.words[1] == 10 && ref.creation == 1);
  CHECK(strcmp(ref.node, "a") == 0);
  before = edr_etf_reader_mark(&reader);
  CHECK(edr_etf_read_tuple(&reader, &arity) == EDR_EPROTOCOL && arity == 4);
  CHECK(edr_etf_read_this_atom(&reader, "ok") == EDR_EPROTOCOL);
  CHECK(unmoved(&reader, before));
  CHECK(edr_etf_skip(&reader) == EDR_OK);
  edr_etf_reader_rewind(&reader, &before);
  CHECK(edr_etf_skip(&reader) == EDR_OK);
  CHECK(edr_etf_read_end(&reader) == EDR_EPROTOCOL);
  CHECK(edr_etf_read_int(&reader, &integer) == EDR_OK && integer == 7);
  CHECK(edr_etf_skip(&reader) == EDR_EPROTOCOL);
  CHECK(edr_etf_read_end(&reader) == EDR_OK);
  CHECK(edr_etf_reader_at_end(&reader));
  CHECK(edr_etf_read_version(&reader) == EDR_EPROTOCOL);
  free(bytes.data);
}

static void test_this_atom(void) {
  block bytes = hex("64 0002 6f6b");
  edr_etf_reader reader;

  edr_etf_reader_init(&reader, bytes.data, bytes.size, NULL);
  CHECK(edr_etf_read_this_atom(&reader, "o") == EDR_EPROTOCOL);
  CHECK(edr_etf_read_this_atom(&reader, "oks") == EDR_EPROTOCOL);
  CHECK(edr_etf_read_this_atom(&reader, "ob") == EDR_EPROTOCOL);
  CHECK(reader.offset == 0);
  CHECK(edr_etf_read_this_atom(&reader, "ok") == EDR_OK);
  free(bytes.data);
}

/* `levels` tuples of one inside one another, the innermost holding a fun with one tuple in it. */
static edr_status skip_nested(size_t levels, const edr_etf_limits *limits) {
  edr_buf buf;
  block fun = hex("70 00000037" FUN_BODY "68 01 6a"), bytes;
  edr_etf_reader reader;
  edr_status status;

  edr_buf_init(&buf);
  for (size_t i = 0; i < levels; i++) edr_etf_put_tuple(&buf, 1);
  edr_buf_append(&buf, fun.data, fun.size);
  bytes = block_of(buf.data, buf.size);
  edr_etf_reader_init(&reader, bytes.data, bytes.size, limits);
  status = edr_etf_skip(&reader);
  CHECK((status == EDR_OK) == edr_etf_reader_at_end(&reader));
  CHECK(status == EDR_OK || (reader.offset == 0 && reader.depth == 0));
  edr_etf_reader_deinit(&reader);
  edr_etf_reader_deinit(&reader);
  edr_buf_deinit(&buf);
  free(fun.data);
  free(bytes.data);
  return status;
}

static void test_limits(void) {
  const edr_etf_limits shallow = {.max_depth = 40, .max_count = 100, .max_size = 1000};
  const edr_etf_limits few = {.max_depth = 40, .max_count = 3, .max_size = 1000};
  const edr_etf_limits tiny = {.max_depth = 40, .max_count = 100, .max_size = 4};
  block two = hex("68 02 6101 6102 68 02 6101 6102"), three = hex("68 03 6101 6102 6103");
  edr_etf_reader reader;

  CHECK(skip_nested(38, &shallow) == EDR_OK); /* and two levels more in the fun */
  CHECK(skip_nested(39, &shallow) == EDR_ELIMIT);
  CHECK(skip_nested(1022, NULL) == EDR_OK);
  CHECK(skip_nested(1023, NULL) == EDR_ELIMIT);
  CHECK(skip_nested(1000000, NULL) == EDR_ELIMIT);
  edr_etf_reader_init(&reader, two.data, two.size, &few); /* the limits are those of one term */
  CHECK(edr_etf_skip(&reader) == EDR_OK && edr_etf_skip(&reader) == EDR_OK);
  edr_etf_reader_init(&reader, three.data, three.size, &few);
  CHECK(edr_etf_skip(&reader) == EDR_ELIMIT && reader.offset == 0);
  edr_etf_reader_init(&reader, two.data, two.size, &tiny);
  CHECK(edr_etf_skip(&reader) == EDR_ELIMIT && reader.offset == 0);
  free(two.data);
  free(three.data);
}

/* What a million elements of nothing would cost: no step may take memory for them. Under a limit of counts, all tokens
 * together promise no more elements than there are bytes. */
static void test_promises(void) {
  uint8_t bytes[5000];
  edr_etf_reader reader;
  edr_etf_token token;
  size_t promised = 0;

  for (size_t at = 0; at < sizeof bytes; at += 5) memcpy(bytes + at, "\x69\x00\x00\x03\xe8", 5);
  edr_etf_reader_init(&reader, bytes, sizeof bytes, NULL);
  while (edr_etf_next(&reader, &token) == EDR_OK) promised += token.count;
  CHECK(promised <= sizeof bytes && promised > 0);
  edr_etf_reader_deinit(&reader);
}

static void test_atoms(void) {
  char chars[EDR_ATOM_MAX_BYTES + 4];
  uint8_t bytes[1100];
  edr_etf_reader reader;
  edr_etf_token token;
  edr_buf buf;

  for (size_t i = 0; i + 4 <= sizeof chars; i += 4) memcpy(chars + i, "\xf4\x8f\xbf\xbf", 4);
  CHECK(edr_etf_atom_valid(chars, EDR_ATOM_MAX_BYTES));
  CHECK(!edr_etf_atom_valid(chars, EDR_ATOM_MAX_BYTES + 4));
  CHECK(!edr_etf_atom_valid(chars, 3));
  CHECK(edr_etf_atom_valid("", 0));
  edr_buf_init(&buf);
  edr_etf_put_atom(&buf, chars, EDR_ATOM_MAX_BYTES);
  CHECK(buf.size == 3 + EDR_ATOM_MAX_BYTES && buf.data[0] == 118);
  check_vector(block_of(buf.data, buf.size), EDR_ETF_ATOM, NULL);
  edr_buf_deinit(&buf);

  memset(chars, 'x', sizeof chars);
  CHECK(edr_etf_atom_valid(chars, 255));
  CHECK(!edr_etf_atom_valid(chars, 256));
  memset(bytes, 0xE9, sizeof bytes);
  memcpy(bytes, "\x64\x00\xff", 3);
  edr_etf_reader_init(&reader, bytes, 258, NULL);
  CHECK(edr_etf_next(&reader, &token) == EDR_OK && token.size == 510 && token.data[509] == 0xA9);
  memcpy(bytes, "\x64\x01\x00", 3);
  check_fails(bytes, 259);
  memset(bytes + 3, 'x', 256);
  check_fails(bytes, 259);
  bytes[0] = 118;
  check_fails(bytes, 259);
}

static void test_put_scalars(void) {
  edr_buf buf;
  const uint8_t bits[] = {0x01, 0xFF}, big[] = {1, 2, 3, 4, 5, 0, 0};

  edr_buf_init(&buf);
#define PUT(call, bytes) CHECK(((call), buf_is(&buf, bytes)))
  PUT(edr_etf_put_version(&buf), "83");
  PUT(edr_etf_put_int(&buf, 0), "6100");
  PUT(edr_etf_put_int(&buf, 255), "61ff");
  PUT(edr_etf_put_int(&buf, 256), "62 00000100");
  PUT(edr_etf_put_int(&buf, -1), "62 ffffffff");
  PUT(edr_etf_put_int(&buf, INT32_MAX), "62 7fffffff");
  PUT(edr_etf_put_int(&buf, INT32_MIN), "62 80000000");
  PUT(edr_etf_put_int(&buf, (int64_t)INT32_MAX + 1), "6e 04 00 00000080");
  PUT(edr_etf_put_int(&buf, (int64_t)INT32_MIN - 1), "6e 04 01 01000080");
  PUT(edr_etf_put_int(&buf, INT64_MAX), "6e 08 00 ffffffffffffff7f");
  PUT(edr_etf_put_int(&buf, INT64_MIN), "6e 08 01 0000000000000080");
  PUT(edr_etf_put_bignum(&buf, true, big, sizeof big), "6e 05 01 0102030405");
  PUT(edr_etf_put_bignum(&buf, true, big, 4), "62 fbfcfdff");
  PUT(edr_etf_put_bignum(&buf, true, big, 1), "62 ffffffff");
  PUT(edr_etf_put_bignum(&buf, true, big + 5, 2), "6100");
  PUT(edr_etf_put_float(&buf, 1.5), "46 3ff8000000000000");
  PUT(edr_etf_put_atom(&buf, "ok", 2), "77 02 6f6b");
  PUT(edr_etf_put_binary(&buf, "ab", 2), "6d 00000002 6162");
  PUT(edr_etf_put_binary(&buf, NULL, 0), "6d 00000000");
  PUT(edr_etf_put_bitstring(&buf, bits, 2, 3), "4d 00000002 03 01e0");
  PUT(edr_etf_put_bitstring(&buf, bits, 2, 8), "6d 00000002 01ff");
  PUT(edr_etf_put_nil(&buf), "6a");
  PUT(edr_etf_put_tuple(&buf, 255), "68 ff");
  PUT(edr_etf_put_tuple(&buf, 256), "69 00000100");
  PUT(edr_etf_put_list(&buf, 0), "");
  PUT(edr_etf_put_list(&buf, 2), "6c 00000002");
  PUT(edr_etf_put_map(&buf, 2), "74 00000002");
  PUT(edr_etf_put_string(&buf, bits, 0), "6a");
  PUT(edr_etf_put_string(&buf, bits, 2), "6b 0002 01ff");
  PUT(edr_etf_put_export(&buf, "m", "f", 2), "71 77016d 770166 6102");
#undef PUT
  edr_buf_deinit(&buf);
}

static void test_put_identifiers(void) {
  edr_pid pid = {.id = 0x53, .serial = 1, .creation = 3, .node = "a"};
  edr_ref ref = {.creation = 1, .word_count = 2, .words = {9, 10}, .node = "a"};
  edr_buf buf;

  edr_buf_init(&buf);
  edr_etf_put_pid(&buf, &pid);
  CHECK(buf_is(&buf, PID));
  edr_etf_put_ref(&buf, &ref);
  CHECK(buf_is(&buf, "5a 0002" NODE "00000001 00000009 0000000a"));
  edr_buf_deinit(&buf);
}

/* What the format cannot hold is said by the buffer, and nothing wrong goes out. */
static void test_put_impossible(void) {
  edr_ref ref = {.creation = 1, .word_count = 0, .node = "a"};
  edr_buf buf;

  edr_buf_init(&buf);
#define FAILS(call) CHECK((edr_buf_clear(&buf), (call), edr_buf_status(&buf) == EDR_ENOMEM))
  FAILS(edr_etf_put_float(&buf, (double)NAN));
  FAILS(edr_etf_put_float(&buf, -(double)INFINITY));
  FAILS(edr_etf_put_ref(&buf, &ref));
  ref.word_count = 6;
  FAILS(edr_etf_put_ref(&buf, &ref));
  FAILS(edr_etf_put_atom(&buf, "x", EDR_ATOM_MAX_BYTES + 1));
#if SIZE_MAX > UINT32_MAX
  FAILS(edr_etf_put_tuple(&buf, (size_t)1 << 32));
  FAILS(edr_etf_put_binary(&buf, "x", (size_t)1 << 32));
#endif
#undef FAILS
  edr_buf_deinit(&buf);
}

/* A list of bytes is STRING_EXT up to its longest, a list of integers beyond; both read back as the same elements. */
static void test_long_strings(void) {
  static uint8_t text[65536];
  edr_etf_reader reader;
  edr_etf_token token;
  edr_buf buf;
  size_t right = 0;

  for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)i;
  edr_buf_init(&buf);
  edr_etf_put_string(&buf, text, 65535);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  CHECK(edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_STRING);
  CHECK(token.size == 65535 && memcmp(token.data, text, token.size) == 0);
  edr_buf_clear(&buf);
  edr_etf_put_string(&buf, text, 65536);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  CHECK(edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_LIST && token.count == 65536);
  for (size_t i = 0; i < sizeof text; i++)
    if (edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_INT && token.integer == text[i]) right++;
  CHECK(right == sizeof text);
  CHECK(edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_NIL);
  CHECK(edr_etf_read_end(&reader) == EDR_OK && edr_etf_reader_at_end(&reader));
  edr_buf_deinit(&buf);
}

/* Runs of integers stop where a step would: at other terms, at the end of what is open, at the bytes' end, at a limit.
 */
static size_t run_of(const char *text, size_t most, const edr_etf_limits *limits, edr_status after) {
  const block whole = hex(text);
  int64_t values[8] = {0};
  edr_etf_reader reader;
  edr_etf_token token;
  edr_etf_mark before;
  size_t count;

  edr_etf_reader_init(&reader, whole.data, whole.size, limits);
  CHECK(edr_etf_next_ints(&reader, most, values) == 0); /* nothing is open */
  CHECK(edr_etf_next(&reader, &token) == EDR_OK);
  before = edr_etf_reader_mark(&reader);
  count = edr_etf_next_ints(&reader, most, values);
  CHECK(reader.count == before.count + count && reader.pending == before.pending - count);
  for (size_t i = 0; i < count; i++) CHECK(values[i] == (i % 2 == 0 ? 7 : -2));
  if (count == 0) CHECK(unmoved(&reader, before));
  CHECK(edr_etf_next(&reader, &token) == after);
  edr_etf_reader_deinit(&reader);
  free(whole.data);
  return count;
}

static void test_runs(void) {
  static const char *const four = "6804 6107 62fffffffe 6107 62fffffffe";
  const edr_etf_limits few = {.max_depth = 9, .max_count = 3, .max_size = 1000};
  const edr_etf_limits short_ones = {.max_depth = 9, .max_count = 100, .max_size = 10};

  CHECK(run_of(four, 8, NULL, EDR_OK) == 4); /* and then its END */
  CHECK(run_of(four, 3, NULL, EDR_OK) == 3);
  CHECK(run_of(four, 0, NULL, EDR_OK) == 0);
  CHECK(run_of("6803 6107 62fffffffe 770161", 8, NULL, EDR_OK) == 2);
  CHECK(run_of("6802 770161 6107", 8, NULL, EDR_OK) == 0);
  CHECK(run_of("6803 6107 62fffffffe 62ffff", 8, NULL, EDR_EPROTOCOL) == 2);
  CHECK(run_of("6803 6107 62fffffffe", 8, NULL, EDR_OK) ==
        0); /* less is there than was promised: one by one, as far as it goes */
  CHECK(run_of(four, 8, &few, EDR_ELIMIT) == 2);
  CHECK(run_of(four, 8, &short_ones, EDR_OK) == 0); /* the same where all are too long */
}

int main(void) {
  test_vectors();
  test_problem();
  test_float_text();
  test_tokens();
  test_expectations();
  test_this_atom();
  test_limits();
  test_promises();
  test_atoms();
  test_put_scalars();
  test_put_identifiers();
  test_put_impossible();
  test_long_strings();
  test_runs();
  return check_done();
}
