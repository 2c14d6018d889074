/* The token reader of etf.h. A step decodes one token without touching the reader, then settles it against the limits,
 * and only then moves on: that is how a failed step leaves everything in place.
 *
 * The sum of all elements that are still to come is kept in `pending`. No more may be promised than there are bytes
 * left, so a caller may make room for `count` elements without thought: all counts of a term together stay below its
 * size. */
#include "etf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etf_scan.h"

const edr_etf_limits edr_etf_default_limits = {
    .max_depth = 1024, .max_count = (size_t)64 << 20, .max_size = (size_t)512 << 20};

void edr_etf_reader_init(edr_etf_reader *reader, const uint8_t *data, size_t size, const edr_etf_limits *limits) {
  static const uint8_t nothing[1];

  reader->data = data == NULL ? nothing : data;
  reader->size = data == NULL ? 0 : size;
  reader->offset = reader->start = reader->count = reader->pending = reader->depth = 0;
  reader->limits = limits == NULL ? edr_etf_default_limits : *limits;
  reader->open = reader->open_inline;
  reader->open_capacity = sizeof reader->open_inline / sizeof *reader->open_inline;
  reader->atom[0] = reader->problem[0] = '\0';
}

void edr_etf_reader_deinit(edr_etf_reader *reader) {
  if (reader->open != reader->open_inline) free(reader->open);
  reader->open = reader->open_inline;
  reader->open_capacity = sizeof reader->open_inline / sizeof *reader->open_inline;
  reader->size = reader->offset = reader->pending = reader->depth = 0;
}

const char *edr_etf_reader_problem(const edr_etf_reader *reader) {
  return reader->problem;
}

bool edr_etf_reader_at_end(const edr_etf_reader *reader) {
  return reader->depth == 0 && reader->offset == reader->size;
}

static edr_status fail(edr_etf_reader *reader, edr_status status, const char *problem) {
  snprintf(reader->problem, sizeof reader->problem, "%s", problem);
  return status;
}

/* All that a step changes, but for the contents of `open` above the depth. */
edr_etf_mark edr_etf_reader_mark(const edr_etf_reader *reader) {
  return (edr_etf_mark){.offset = reader->offset,
                        .start = reader->start,
                        .count = reader->count,
                        .pending = reader->pending,
                        .depth = reader->depth,
                        .left = reader->depth == 0 ? 0 : reader->open[reader->depth - 1].left};
}

void edr_etf_reader_rewind(edr_etf_reader *reader, const edr_etf_mark *mark) {
  reader->offset = mark->offset;
  reader->start = mark->start;
  reader->count = mark->count;
  reader->pending = mark->pending;
  reader->depth = mark->depth;
  if (mark->depth > 0) reader->open[mark->depth - 1].left = mark->left;
}

static bool opens(edr_etf_kind kind) {
  return (kind >= EDR_ETF_TUPLE && kind <= EDR_ETF_MAP) || kind == EDR_ETF_FUN;
}

static edr_status too_many(edr_etf_reader *reader, const edr_etf_draft *draft) {
  static const char *const words[] = {
      [EDR_ETF_TUPLE] = "tuple", [EDR_ETF_LIST] = "list", [EDR_ETF_MAP] = "map", [EDR_ETF_FUN] = "fun"};

  if (draft->elements == 0) return fail(reader, EDR_EPROTOCOL, "the term is cut short");
  snprintf(
      reader->problem, sizeof reader->problem, "a %s of %" PRIu64 " elements in %zu bytes", words[draft->token->kind],
      draft->token->kind == EDR_ETF_FUN ? draft->elements : (uint64_t)draft->token->count, edr_scan_left(&draft->scan));
  return EDR_EPROTOCOL;
}

static edr_status make_room(edr_etf_reader *reader) {
  size_t capacity = reader->open_capacity * 2;
  bool is_inline = reader->open == reader->open_inline;
  edr_etf_open *open;

  if (capacity > SIZE_MAX / sizeof *open) return fail(reader, EDR_ENOMEM, "out of memory");
  open = realloc(is_inline ? NULL : reader->open, capacity * sizeof *open);
  if (open == NULL) return fail(reader, EDR_ENOMEM, "out of memory");
  if (is_inline) memcpy(open, reader->open_inline, sizeof reader->open_inline);
  reader->open = open;
  reader->open_capacity = capacity;
  return EDR_OK;
}

/* One token, funs only up to their free variables; unlike edr_etf_next it never gives END. */
static edr_status step(edr_etf_reader *reader, edr_etf_token *out_token) {
  edr_etf_draft draft;
  const bool outermost = reader->depth == 0;
  const size_t start = outermost ? reader->offset : reader->start;
  const size_t count = outermost ? 0 : reader->count;
  const size_t pending = outermost ? 0 : reader->pending - 1;
  size_t offset, left;

  if (!edr_etf_decode(&draft, reader->data + reader->offset, reader->data + reader->size, reader->atom, out_token))
    return fail(reader, EDR_EPROTOCOL, draft.scan.problem);
  offset = (size_t)(draft.scan.at - reader->data);
  left = reader->size - offset;
  if (pending > left || draft.elements > left - pending) return too_many(reader, &draft);
  if (count >= reader->limits.max_count) return fail(reader, EDR_ELIMIT, "a term of too many parts");
  if (offset - start > reader->limits.max_size) return fail(reader, EDR_ELIMIT, "a term of too many bytes");
  if (opens(out_token->kind)) {
    if (reader->depth >= reader->limits.max_depth) return fail(reader, EDR_ELIMIT, "a term of too many levels");
    if (reader->depth == reader->open_capacity && make_room(reader) != EDR_OK) return EDR_ENOMEM;
    reader->open[reader->depth] = (edr_etf_open){
        .left = (size_t)draft.elements, .end = draft.fun_end == NULL ? 0 : (size_t)(draft.fun_end - reader->data)};
    if (!outermost) reader->open[reader->depth - 1].left--;
    reader->depth++;
  } else if (!outermost) {
    reader->open[reader->depth - 1].left--;
  }
  reader->offset = offset;
  reader->start = start;
  reader->count = count + 1;
  reader->pending = pending + (size_t)draft.elements;
  return EDR_OK;
}

/* Reads over the free variables of the fun that step has just opened on top of `depth` others. */
static edr_status finish_fun(edr_etf_reader *reader, size_t depth, edr_etf_token *token) {
  while (reader->depth > depth) {
    const edr_etf_open *top = &reader->open[reader->depth - 1];
    edr_etf_token inner;
    edr_status status;

    if (top->left == 0) {
      if (top->end != 0 && top->end != reader->offset)
        return fail(reader, EDR_EPROTOCOL, "a fun whose size is not that of its bytes");
      reader->depth--;
    } else if ((status = step(reader, &inner)) != EDR_OK) {
      return status;
    }
  }
  token->raw_size = (size_t)(reader->data + reader->offset - token->raw);
  return EDR_OK;
}

/* A fun is one token with all that it holds: all of it is read or nothing. */
static edr_status step_over_fun(edr_etf_reader *reader, edr_etf_token *out_token) {
  const edr_etf_mark before = edr_etf_reader_mark(reader);
  edr_status status = step(reader, out_token);
  if (status == EDR_OK && out_token->kind == EDR_ETF_FUN) {
    status = finish_fun(reader, before.depth, out_token);
    if (status != EDR_OK) edr_etf_reader_rewind(reader, &before);
  }
  return status;
}

/* Whether a fun may come: a list of no elements is its tail, which may be one. */
static bool fun_may_come(const edr_etf_reader *reader) {
  const uint8_t tag = reader->offset < reader->size ? reader->data[reader->offset] : 0;
  return tag == TAG_NEW_FUN || tag == TAG_LIST;
}

edr_status edr_etf_next(edr_etf_reader *reader, edr_etf_token *out_token) {
  if (reader->depth > 0 && reader->open[reader->depth - 1].left == 0) {
    *out_token = (edr_etf_token){.kind = EDR_ETF_END, .raw = reader->data + reader->offset};
    reader->depth--;
    return EDR_OK;
  }
  return fun_may_come(reader) ? step_over_fun(reader, out_token) : step(reader, out_token);
}

size_t edr_etf_next_ints(edr_etf_reader *reader, size_t most, int64_t *out_values) {
  edr_etf_open *top = reader->depth == 0 ? NULL : &reader->open[reader->depth - 1];
  edr_scan scan = {.at = reader->data + reader->offset, .end = reader->data + reader->size};
  size_t count = 0, offset = reader->offset;
  int32_t value;

  if (top == NULL || reader->count >= reader->limits.max_count) return 0;
  if (most > top->left) most = top->left;
  if (most > reader->limits.max_count - reader->count) most = reader->limits.max_count - reader->count;
  while (count < most && edr_scan_small(&scan, &value)) {
    out_values[count++] = value;
    offset = (size_t)(scan.at - reader->data);
  }
  /* What is against the limits is left to edr_etf_next, which stops where it begins. */
  if (offset - reader->start > reader->limits.max_size || reader->pending - count > reader->size - offset) return 0;
  top->left -= count;
  reader->offset = offset;
  reader->count += count;
  reader->pending -= count;
  return count;
}

edr_status edr_etf_skip(edr_etf_reader *reader) {
  edr_etf_mark before = edr_etf_reader_mark(reader);
  edr_etf_token token;

  if (before.depth > 0 && before.left == 0) return fail(reader, EDR_EPROTOCOL, "no further element");
  do {
    edr_status status = edr_etf_next(reader, &token);
    if (status != EDR_OK) {
      edr_etf_reader_rewind(reader, &before);
      return status;
    }
  } while (reader->depth > before.depth);
  return EDR_OK;
}

edr_status edr_etf_read_version(edr_etf_reader *reader) {
  if (reader->depth != 0 || reader->offset == reader->size || reader->data[reader->offset] != EDR_ETF_VERSION)
    return fail(reader, EDR_EPROTOCOL, "no external term begins here");
  reader->offset++;
  return EDR_OK;
}

/* The next token if it is of this kind; else everything is put back. */
static edr_status read_kind(edr_etf_reader *reader, edr_etf_kind kind, edr_etf_token *out_token,
                            edr_etf_mark *out_before) {
  edr_etf_token token;
  edr_status status;

  *out_before = edr_etf_reader_mark(reader);
  status = edr_etf_next(reader, &token);
  if (status != EDR_OK) return status;
  if (token.kind != kind) {
    edr_etf_reader_rewind(reader, out_before);
    return fail(reader, EDR_EPROTOCOL, "a term of another kind than expected");
  }
  *out_token = token;
  return EDR_OK;
}

edr_status edr_etf_read_tuple(edr_etf_reader *reader, size_t *out_arity) {
  edr_etf_token token;
  edr_etf_mark before;
  edr_status status = read_kind(reader, EDR_ETF_TUPLE, &token, &before);
  if (status == EDR_OK) *out_arity = token.count;
  return status;
}

edr_status edr_etf_read_end(edr_etf_reader *reader) {
  edr_etf_token token;
  edr_etf_mark before;
  return read_kind(reader, EDR_ETF_END, &token, &before);
}

edr_status edr_etf_read_int(edr_etf_reader *reader, int64_t *out_value) {
  edr_etf_token token;
  edr_etf_mark before;
  edr_status status = read_kind(reader, EDR_ETF_INT, &token, &before);
  if (status == EDR_OK) *out_value = token.integer;
  return status;
}

edr_status edr_etf_read_this_atom(edr_etf_reader *reader, const char *atom) {
  edr_etf_token token;
  edr_etf_mark before;
  edr_status status = read_kind(reader, EDR_ETF_ATOM, &token, &before);

  if (status != EDR_OK) return status;
  if (token.size != strlen(atom) || memcmp(token.data, atom, token.size) != 0) {
    edr_etf_reader_rewind(reader, &before);
    return fail(reader, EDR_EPROTOCOL, "another atom than expected");
  }
  return EDR_OK;
}

/* An identifier that has been read, and is sound therefore, taken apart. */
static void take_apart(edr_etf_reader *reader, const edr_etf_token *token, edr_scan_identifier *out, char *out_node) {
  edr_scan scan = {.at = token->raw + 1, .end = token->raw + token->raw_size, .problem = NULL};
  edr_scan_identifier_body(&scan, token->raw[0], reader->atom, out);
  memcpy(out_node, out->node.data, out->node.size);
  out_node[out->node.size] = '\0';
}

edr_status edr_etf_read_pid(edr_etf_reader *reader, edr_pid *out_pid) {
  edr_etf_token token;
  edr_scan_identifier identifier;
  edr_etf_mark before;
  edr_status status = read_kind(reader, EDR_ETF_PID, &token, &before);

  if (status != EDR_OK) return status;
  take_apart(reader, &token, &identifier, out_pid->node);
  out_pid->id = identifier.words[0];
  out_pid->serial = identifier.words[1];
  out_pid->creation = identifier.creation;
  return EDR_OK;
}

edr_status edr_etf_read_ref(edr_etf_reader *reader, edr_ref *out_ref) {
  edr_etf_token token;
  edr_scan_identifier identifier;
  edr_etf_mark before;
  edr_status status = read_kind(reader, EDR_ETF_REF, &token, &before);

  if (status != EDR_OK) return status;
  take_apart(reader, &token, &identifier, out_ref->node);
  out_ref->creation = identifier.creation;
  out_ref->word_count = (uint16_t)identifier.word_count;
  memcpy(out_ref->words, identifier.words, identifier.word_count * sizeof *identifier.words);
  return EDR_OK;
}
