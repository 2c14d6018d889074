/* The BEAM reader, on files that are made here: chunks, atoms of each form, tables, literals of each form, operands of
 * each form; and what is cut short. spec/core_beam_spec.lua holds it against OTP's own files. */
#include <string.h>

#include "beam.h"
#include "check.h"

static void put_chunk(edr_buf *file, const char *name, const void *data, size_t size) {
  edr_buf_append(file, name, 4);
  edr_buf_put_u32(file, (uint32_t)size);
  edr_buf_append(file, data, size);
  edr_buf_append(file, "\0\0\0", (4 - size % 4) % 4);
  edr_buf_patch_u32(file, 4, (uint32_t)file->size - 8);
}

static void begin_file(edr_buf *file) {
  edr_buf_clear(file);
  edr_buf_append(file, "FOR1\0\0\0\0BEAM", 12);
  edr_buf_patch_u32(file, 4, 4);
}

static edr_status open_file(edr_beam *beam, const edr_buf *file) {
  return edr_beam_open(beam, file->data, file->size, 1000000);
}

#define CHUNK(file, name, text) put_chunk(file, name, text, sizeof text - 1)

static void test_atoms(void) {
  static const struct {
    const char *chunk, *bytes;
    size_t size;
  } forms[] = {{"Atom", "\0\0\0\2\1m\2\xe4z", 9},
               {"AtU8", "\0\0\0\2\1m\3\xc3\xa4z", 10},
               {"AtU8", "\xff\xff\xff\xfe\x10m\x30\xc3\xa4z", 10}};
  const char *name;
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    begin_file(&file);
    put_chunk(&file, forms[i].chunk, forms[i].bytes, forms[i].size);
    CHECK(open_file(&beam, &file) == EDR_OK);
    CHECK(edr_beam_atom(&beam, 1, &name) == EDR_OK && strcmp(name, "m") == 0);
    CHECK(edr_beam_atom(&beam, 2, &name) == EDR_OK && strcmp(name, "\xc3\xa4z") == 0);
    CHECK(edr_beam_atom(&beam, 0, &name) == EDR_EPROTOCOL && edr_beam_atom(&beam, 3, &name) == EDR_EPROTOCOL);
    edr_beam_close(&beam);
    for (size_t cut = 0; cut < forms[i].size; cut++) {
      begin_file(&file);
      put_chunk(&file, forms[i].chunk, forms[i].bytes, cut);
      CHECK(open_file(&beam, &file) == EDR_OK);
      CHECK(edr_beam_atom(&beam, 1, &name) == EDR_EPROTOCOL && beam.problem != NULL);
      edr_beam_close(&beam);
    }
  }
  edr_buf_deinit(&file);
}

static void test_long_atom(void) {
  uint8_t chunk[4 + 2 + 255] = {0xff, 0xff, 0xff,
                                0xff, 0x08, 0xff}; /* 255 in eleven bits: none of the three upper ones */
  const char *name;
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  memset(chunk + 6, 'a', 255);
  begin_file(&file);
  put_chunk(&file, "AtU8", chunk, sizeof chunk);
  CHECK(open_file(&beam, &file) == EDR_OK);
  CHECK(edr_beam_atom(&beam, 1, &name) == EDR_OK && strlen(name) == 255);
  edr_beam_close(&beam);
  edr_buf_deinit(&file);
}

static void test_tables(void) {
  edr_beam_function function;
  edr_beam_fun fun;
  uint32_t count;
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  begin_file(&file);
  CHUNK(&file, "AtU8", "\0\0\0\3\1m\1f\1g");
  CHUNK(&file, "ExpT", "\0\0\0\2\0\0\0\2\0\0\0\1\0\0\0\7\0\0\0\3\0\0\0\0\0\0\0\4");
  CHUNK(&file, "ImpT", "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\2");
  CHUNK(&file, "FunT", "\0\0\0\1\0\0\0\3\0\0\0\1\0\0\0\5\0\0\0\0\0\0\0\2\1\2\3\4");
  CHUNK(&file, "LocT", "\0\0\0\1\0\0\0\11\0\0\0\3\0\0\0\2"); /* an atom that is not there */
  CHECK(open_file(&beam, &file) == EDR_OK);
  CHECK(edr_beam_count(&beam, EDR_BEAM_EXPT, &count) == EDR_OK && count == 2);
  CHECK(edr_beam_entry(&beam, EDR_BEAM_EXPT, 0, &function) == EDR_OK);
  CHECK(strcmp(function.name, "f") == 0 && function.arity == 1 && function.label == 7 && function.module == NULL);
  CHECK(edr_beam_entry(&beam, EDR_BEAM_EXPT, 2, &function) == EDR_EBADARG);
  CHECK(edr_beam_entry(&beam, EDR_BEAM_IMPT, 0, &function) == EDR_OK);
  CHECK(strcmp(function.module, "f") == 0 && strcmp(function.name, "g") == 0 && function.arity == 2);
  CHECK(edr_beam_entry(&beam, EDR_BEAM_LOCT, 0, &function) == EDR_EPROTOCOL);
  CHECK(edr_beam_fun_at(&beam, 0, &fun) == EDR_OK);
  CHECK(strcmp(fun.name, "g") == 0 && fun.label == 5 && fun.free_variables == 2 && fun.old_uniq == 0x01020304);
  CHECK(edr_beam_count(&beam, EDR_BEAM_ATTR, &count) == EDR_OK && count == 0);
  edr_beam_close(&beam);
  begin_file(&file);
  CHUNK(&file, "ExpT", "\x40\0\0\0\0\0\0\2\0\0\0\1\0\0\0\7");
  CHECK(open_file(&beam, &file) == EDR_OK);
  CHECK(edr_beam_count(&beam, EDR_BEAM_EXPT, &count) == EDR_EPROTOCOL);
  edr_beam_close(&beam);
  edr_buf_deinit(&file);
}

static void test_literals(void) {
  /* compressed: two literals, 131 97 1 and 131 106; by zlib's "stored" blocks */
  static const char stored[] =
      "\0\0\0\x11\x78\x01\x01\x11\x00\xee\xff\0\0\0\2\0\0\0\3\x83\x61\1\0\0\0\2\x83\x6a\x0e\x86\x01\xde";
  edr_beam_bytes term;
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  begin_file(&file);
  CHUNK(&file, "LitT", "\0\0\0\0\0\0\0\2\0\0\0\3\x83\x61\1\0\0\0\2\x83\x6a");
  CHECK(open_file(&beam, &file) == EDR_OK);
  CHECK(edr_beam_literal(&beam, 1, &term) == EDR_OK && term.size == 2 && memcmp(term.data, "\x83\x6a", 2) == 0);
  CHECK(edr_beam_literal(&beam, 2, &term) == EDR_EPROTOCOL);
  edr_beam_close(&beam);
  begin_file(&file);
  put_chunk(&file, "LitT", stored, sizeof stored - 1);
  CHECK(open_file(&beam, &file) == EDR_OK);
  CHECK(edr_beam_literal(&beam, 0, &term) == EDR_EPROTOCOL); /* its checksum is made up */
  CHECK(edr_beam_literal(&beam, 0, &term) == EDR_EPROTOCOL);
  edr_beam_close(&beam);
  begin_file(&file);
  CHUNK(&file, "LitT", "\0\0\0\0\0\0\0\2\0\0\0\3\x83\x61\1\0\0\0\3\x83\x6a");
  CHECK(open_file(&beam, &file) == EDR_OK && edr_beam_literal(&beam, 0, &term) == EDR_EPROTOCOL);
  edr_beam_close(&beam);
  begin_file(&file);
  CHUNK(&file, "LitT", "\xff\xff\xff\xff\0\0\0\2");
  CHECK(open_file(&beam, &file) == EDR_OK && edr_beam_literal(&beam, 0, &term) == EDR_ELIMIT);
  edr_beam_close(&beam);
  edr_buf_deinit(&file);
}

/* put_tuple2 x0 {list of 5}: a small integer, one of eleven bits, one of two bytes, a literal, a typed register; and a
 * large number. */
static void test_operands(void) {
  static const char code[] = "\0\0\0\x10\0\0\0\0\0\0\0\xb6\0\0\0\1\0\0\0\1"
                             "\xa4\x03\x17\x50\x11\x29\xff\x19\xff\x38\x47\x30\x57\x13\x20"
                             "\x01\x08\xff"
                             "\x40\xf9\x00\1\2\3\4\5\6\7\x10\x09\x03"
                             "\3";
  edr_beam_walk walk;
  edr_beam_operand operand;
  size_t operands;
  uint32_t functions;
  unsigned op;
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  begin_file(&file);
  put_chunk(&file, "Code", code, sizeof code - 1);
  CHECK(open_file(&beam, &file) == EDR_OK);
  CHECK(edr_beam_walk_begin(&walk, &beam, &functions) == EDR_OK && functions == 1);
  CHECK(edr_beam_walk_next(&walk, &op, &operands) == EDR_OK && op == 164 && operands == 2);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.kind == EDR_BEAM_X && operand.value == 0);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.kind == EDR_BEAM_LIST && operand.value == 5);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.kind == EDR_BEAM_INTEGER && operand.value == 1);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.value == 0x1ff);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.value == -200); /* ff 38 */
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.kind == EDR_BEAM_LITERAL && operand.value == 3);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.kind == EDR_BEAM_X && operand.value == 1);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_EAGAIN);
  CHECK(edr_beam_walk_next(&walk, &op, &operands) == EDR_OK && op == EDR_BEAM_OP_LABEL);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.kind == EDR_BEAM_U && operand.value == 0xff);
  CHECK(edr_beam_walk_next(&walk, &op, &operands) == EDR_OK && op == 64);
  CHECK(edr_beam_walk_operand(&walk, &operand) == EDR_OK && operand.bytes.size == 9);
  CHECK(edr_beam_walk_next(&walk, &op, &operands) == EDR_OK &&
        op == EDR_BEAM_OP_INT_CODE_END); /* the rest was passed over */
  CHECK(edr_beam_walk_next(&walk, &op, &operands) == EDR_EAGAIN);
  edr_beam_close(&beam);
  for (size_t cut = 20; cut < sizeof code - 1; cut++) { /* nothing is read past the end */
    edr_status status;
    begin_file(&file);
    put_chunk(&file, "Code", code, cut);
    CHECK(open_file(&beam, &file) == EDR_OK && edr_beam_walk_begin(&walk, &beam, NULL) == EDR_OK);
    while ((status = edr_beam_walk_next(&walk, &op, &operands)) == EDR_OK) {
    }
    CHECK(status == EDR_EAGAIN || status == EDR_EPROTOCOL);
    edr_beam_close(&beam);
  }
  begin_file(&file);
  CHUNK(&file, "Code", "\0\0\0\x10\0\0\0\0\0\0\0\xb6\0\0\0\1\0\0\0\1\xfe");
  CHECK(open_file(&beam, &file) == EDR_OK && edr_beam_walk_begin(&walk, &beam, NULL) == EDR_OK);
  CHECK(edr_beam_walk_next(&walk, &op, &operands) == EDR_ENOTSUP); /* an instruction of a newer OTP */
  edr_beam_close(&beam);
  edr_buf_deinit(&file);
}

static void test_md5(void) {
  uint8_t first[EDR_MD5_SIZE], second[EDR_MD5_SIZE];
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  begin_file(&file);
  CHUNK(&file, "AtU8", "\0\0\0\1\1m");
  CHUNK(&file, "FunT", "\0\0\0\1\0\0\0\3\0\0\0\1\0\0\0\5\0\0\0\0\0\0\0\2\1\2\3\4");
  CHUNK(&file, "Line", "one");
  CHECK(open_file(&beam, &file) == EDR_OK);
  edr_beam_md5(&beam, first);
  edr_beam_close(&beam);
  begin_file(&file);
  CHUNK(&file, "Line", "another");
  CHUNK(&file, "FunT", "\0\0\0\1\0\0\0\3\0\0\0\1\0\0\0\5\0\0\0\0\0\0\0\2\4\3\2\1");
  CHUNK(&file, "AtU8", "\0\0\0\1\1m");
  CHECK(open_file(&beam, &file) == EDR_OK);
  edr_beam_md5(&beam, second);
  CHECK(memcmp(first, second, sizeof first) == 0);
  edr_beam_close(&beam);
  CHUNK(&file, "Code", "");
  CHUNK(&file, "Meta", "x");
  CHECK(open_file(&beam, &file) == EDR_OK);
  edr_beam_md5(&beam, second);
  CHECK(memcmp(first, second, sizeof first) != 0);
  edr_beam_close(&beam);
  edr_buf_deinit(&file);
}

static void test_bad_files(void) {
  edr_buf file;
  edr_beam beam;

  edr_buf_init(&file);
  begin_file(&file);
  CHUNK(&file, "AtU8", "\0\0\0\1\1m");
  for (size_t cut = 0; cut < file.size; cut++) {
    CHECK(edr_beam_open(&beam, file.data, cut, 1000) == EDR_EPROTOCOL);
    CHECK(beam.problem != NULL && beam.expanded.data == NULL);
  }
  edr_buf_patch_u32(&file, 16, 0xffffffffu); /* a chunk of 4 GiB */
  CHECK(open_file(&beam, &file) == EDR_EPROTOCOL && strcmp(beam.problem, "a chunk is cut short") == 0);
  CHECK(edr_beam_open(&beam, (const uint8_t *)"\x1f\x8b\x08\0\0\0\0\0\0\3", 10, 1000) == EDR_EPROTOCOL);
  edr_buf_deinit(&file);
}

int main(void) {
  test_atoms();
  test_long_atom();
  test_tables();
  test_literals();
  test_operands();
  test_md5();
  test_bad_files();
  return check_done();
}
