/* Erlang judges the codec: etf_terms.escript starts this program again as its echo, which reads each term token by
 * token and writes it anew. Frames between the two are those of a port opened with {packet, 4}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "etf.h"

static void put_token(edr_buf *buf, const edr_etf_token *token) {
  switch (token->kind) {
  case EDR_ETF_TUPLE:
    edr_etf_put_tuple(buf, token->count);
    break;
  case EDR_ETF_LIST:
    edr_etf_put_list(buf, token->count);
    break;
  case EDR_ETF_MAP:
    edr_etf_put_map(buf, token->count);
    break;
  default:
    edr_etf_put_canonical(buf, token);
  }
}

static edr_status write_anew(edr_buf *out, const uint8_t *data, size_t size) {
  edr_etf_reader reader;
  edr_etf_token token;
  edr_status status;

  edr_etf_reader_init(&reader, data, size, NULL);
  edr_etf_put_version(out);
  status = edr_etf_read_version(&reader);
  do {
    if (status == EDR_OK) status = edr_etf_next(&reader, &token);
    if (status == EDR_OK) put_token(out, &token);
  } while (status == EDR_OK && !edr_etf_reader_at_end(&reader));
  if (status != EDR_OK) fprintf(stderr, "%s: %s\n", edr_status_name(status), edr_etf_reader_problem(&reader));
  edr_etf_reader_deinit(&reader);
  return status == EDR_OK ? edr_buf_status(out) : status;
}

/* Until the port is closed. */
static int echo(void) {
  uint8_t head[4];
  int failed = 0;

  while (!failed && fread(head, 1, 4, stdin) == 4) {
    size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    uint8_t *data = malloc(size);
    edr_buf out;
    edr_buf_init(&out);
    edr_buf_put_u32(&out, 0);
    failed = data == NULL || fread(data, 1, size, stdin) != size || write_anew(&out, data, size) != EDR_OK;
    if (!failed) {
      edr_buf_patch_u32(&out, 0, (uint32_t)(out.size - 4));
      failed = fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0;
    }
    edr_buf_deinit(&out);
    free(data);
  }
  return failed;
}

int main(int argc, char **argv) {
  char script[4096];
  const char *slash = strrchr(__FILE__, '/');
  int folder = slash == NULL ? 0 : (int)(slash - __FILE__ + 1);

  if (argc == 2 && strcmp(argv[1], "echo") == 0) return echo();
  snprintf(script, sizeof script, "%.*setf_terms.escript", folder, __FILE__);
  execlp("escript", "escript", script, argv[0], (char *)NULL);
  perror("escript");
  return 1;
}
