/* Fuzzes the BEAM reader: all that it can be asked of a file, each index that there is and one more. */
#include <stdlib.h>
#include <string.h>

#include "beam.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) abort();                                                                                         \
  } while (0)

static size_t touched;

static void ask_tables(edr_beam *beam) {
  static const edr_beam_chunk tables[] = {EDR_BEAM_EXPT, EDR_BEAM_LOCT, EDR_BEAM_IMPT};
  edr_beam_function function;
  edr_beam_fun fun;
  uint32_t count;

  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    if (edr_beam_count(beam, tables[i], &count) != EDR_OK) continue;
    MUST(count <= beam->size);
    for (uint32_t at = 0; at <= count; at++)
      if (edr_beam_entry(beam, tables[i], at, &function) == EDR_OK) {
        MUST(at < count && function.arity <= 255);
        touched += strlen(function.name) + (function.module == NULL ? 0 : strlen(function.module));
      }
  }
  if (edr_beam_count(beam, EDR_BEAM_FUNT, &count) != EDR_OK) return;
  for (uint32_t at = 0; at <= count; at++)
    if (edr_beam_fun_at(beam, at, &fun) == EDR_OK) touched += strlen(fun.name);
}

static void ask_literals(edr_beam *beam) {
  edr_beam_bytes term;
  for (size_t i = 0; edr_beam_literal(beam, i, &term) == EDR_OK; i++)
    for (size_t at = 0; at < term.size; at++) touched += term.data[at];
}

static void walk(edr_beam *beam) {
  edr_beam_walk reading, skipping;
  edr_beam_operand operand;
  edr_status status, skipped;
  unsigned code, same;
  size_t operands;

  if (edr_beam_walk_begin(&reading, beam, NULL) != EDR_OK) return;
  skipping = reading;
  do {
    status = edr_beam_walk_next(&reading, &code, &operands);
    skipped = edr_beam_walk_next(&skipping, &same, &operands);
    if (status != EDR_OK) {
      MUST(status == skipped);
      break;
    }
    MUST(skipped != EDR_OK || same == code);
    while ((status = edr_beam_walk_operand(&reading, &operand)) == EDR_OK) {
      MUST(operand.kind == EDR_BEAM_INTEGER || operand.value >= 0);
      for (size_t i = 0; i < operand.bytes.size; i++) touched += operand.bytes.data[i];
    }
  } while (status == EDR_EAGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t md5[EDR_MD5_SIZE];
  const char *name;
  edr_beam beam;

  if (edr_beam_open(&beam, data, size, 100000) != EDR_OK) {
    MUST(beam.problem != NULL && beam.expanded.data == NULL);
    return 0;
  }
  edr_beam_md5(&beam, md5);
  for (uint32_t i = 0; i < 3; i++)
    if (edr_beam_atom(&beam, i, &name) == EDR_OK) touched += strlen(name);
  ask_tables(&beam);
  ask_literals(&beam);
  walk(&beam);
  edr_beam_close(&beam);
  return 0;
}
