/* Opening a connection to a real node, and closing it, with each allocation failing in turn: the core's and
 * erl_interface's (exhaust.h), and OpenSSL's through its own hooks. Each open ends in time with a status that makes
 * sense, in words, leaves neither memory nor descriptors nor a thread behind, and does not spoil those that come after
 * it. An open under TLS allocates more than ten thousand times, mostly in the same places: of each place (all callers
 * up to main), the first and the last time fail. EDR_NOMEM_EACH=0 takes every allocation, EDR_NOMEM_EACH=16 each 16th
 * of the places. */
#include <errno.h>
#include <execinfo.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certificates.h"
#include "check.h"
#include "clock.h"
#include "erlang_node.h"
#include "exhaust.h"
#include "node.h"

/* Packets of more than 100 bytes, for which erl_interface takes memory, have names like this. */
#define LONG_NAME "a_name_so_long_that_erl_interface_takes_memory_for_each_packet_of_the_handshake_in_which_it_stands"

enum { PATIENCE_MS = 20000, MAX_ALLOCATIONS = 1 << 16, MAX_CALLERS = 64 };

/* ---- OpenSSL's memory ---- */

static _Thread_local long live_in_openssl;
static const char *fails_in;             /* if any, the next allocation of this source file of OpenSSL's fails */
static const char *failed_file = "core"; /* where the last failure was */
static int failed_line;

static bool openssl_fails(const char *file, int line) {
  bool now = fails();
  if (fails_in != NULL && strstr(file, fails_in) != NULL) {
    fails_in = NULL;
    now = failed = true;
    failures++;
  }
  if (now) failed_file = file, failed_line = line;
  return now;
}

static void *openssl_malloc(size_t size, const char *file, int line) {
  void *made = openssl_fails(file, line) ? NULL : __real_malloc(size);
  if (made != NULL) live_in_openssl++;
  return made;
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line) {
  void *made = openssl_fails(file, line) ? NULL : __real_realloc(old, size);
  if (made != NULL && old == NULL) live_in_openssl++;
  return made;
}

static void openssl_free(void *memory, const char *file, int line) {
  (void)file, (void)line;
  if (memory != NULL) live_in_openssl--;
  __real_free(memory);
}

/* ---- one open ---- */

typedef struct route {
  const char *name;
  const char *node;
  const edr_tls_options *tls;
  bool named;          /* under a name of ours */
  edr_status expected; /* with all the memory that it wants */
} route;

static uint16_t epmd_port;

static edr_node_options options_for(const route *to) {
  static char ours[160];
  static int used; /* a node may hold a name for a moment when its owner has gone */
  edr_node_options options;
  memset(&options, 0, sizeof options);
  snprintf(ours, sizeof ours, "%s_%d@127.0.0.1", LONG_NAME, ++used);
  options.dial =
      (edr_dial_options){.node = to->node,
                         .epmd_port = epmd_port,
                         .tls = to->tls,
                         .name = to->named ? ours : NULL,
                         .deadline_ms = edr_deadline_after(PATIENCE_MS)}; /* and the cookie of ~/.erlang.cookie */
  options.tick_ms = 3600000;
  return options;
}

static bool says(const edr_error *error, const char *words) {
  return strstr(error->text, words) != NULL;
}

/* EDR_ETLS: OpenSSL does not always say that it was memory. A thread is not memory. */
static bool makes_sense(const route *to, edr_status status, const edr_error *error) {
  if (!failed || status == EDR_OK) return status == to->expected && (!failed || to->tls != NULL);
  return status == EDR_ENOMEM || (status == EDR_ETLS && to->tls != NULL) ||
         (status == EDR_ESYSTEM && error->sys_errno == EAGAIN && says(error, "no thread"));
}

/* In words, which do not blame the node, since there is nothing wrong with it. */
static bool is_said(edr_status status, const edr_error *error) {
  if (status == EDR_OK) return true;
  if (error->code != status || error->text[0] == '\0' || says(error, ERLANG_TEST_COOKIE)) return false;
  if (status == EDR_ENOMEM) return says(error, "memory");
  if (says(error, "no reason given") || says(error, "malloc failure") || says(error, "without a word")) return false;
  return !says(error, "the node refused") || says(error, "alert");
}

/* Opens and closes, the `n`th allocation failing; 0: none. */
static void check_open(const route *to, long n) {
  edr_node_options options = options_for(to);
  const int descriptors = test_open_descriptors();
  const long before = live;
  edr_node *node = NULL;
  edr_error error = {EDR_OK, 0, ""};
  edr_status status;
  failed = false;
  failed_file = "core";
  until_failure = n;
  status = edr_node_open(&options, &node, &error);
  if (status == EDR_OK) edr_node_free(node);
  until_failure = 0;
  witness = NULL;
  if (!makes_sense(to, status, &error) || !is_said(status, &error) || live != before || ERR_peek_error() != 0)
    fprintf(stderr, "%s, allocation %ld (%s:%d): %s: %s; %ld blocks are left\n", to->name, n, failed_file, failed_line,
            edr_status_name(status), error.text, live - before);
  CHECK(makes_sense(to, status, &error));
  CHECK(is_said(status, &error));
  CHECK((status == EDR_OK) == (node != NULL));
  CHECK(live == before);
  CHECK(test_open_descriptors() == descriptors);
  CHECK(edr_clock_now_ms() < options.dial.deadline_ms);
  CHECK(ERR_peek_error() == 0);
}

/* OpenSSL keeps a few things for the next time, but no more of them each time. */
static void check_open_twice(const route *to, long n) {
  const long before = live_in_openssl;
  long once;
  check_open(to, n);
  if ((once = live_in_openssl) <= before) return;
  check_open(to, n);
  if (live_in_openssl > once)
    fprintf(stderr, "%s, allocation %ld (%s:%d): OpenSSL has %ld more blocks each time\n", to->name, n, failed_file,
            failed_line, live_in_openssl - once);
  CHECK(live_in_openssl <= once);
}

/* ---- all of its allocations ---- */

static uint64_t places[MAX_ALLOCATIONS]; /* of each allocation of an open: a hash of who called whom */
static size_t place_count;

static void note_place(void) {
  void *callers[MAX_CALLERS];
  const int count = backtrace(callers, MAX_CALLERS);
  uint64_t hash = 14695981039346656037u; /* FNV-1a, by the word */
  for (int i = 0; i < count; i++) hash = (hash ^ (uint64_t)(uintptr_t)callers[i]) * 1099511628211u;
  if (place_count < MAX_ALLOCATIONS) places[place_count++] = hash;
}

static bool first_or_last(size_t at) {
  bool before = false, after = false;
  for (size_t i = 0; i < at && !before; i++) before = places[i] == places[at];
  for (size_t i = at + 1; i < place_count && !after; i++) after = places[i] == places[at];
  return !before || !after;
}

/* Fails one of `each` allocations of those that are taken. */
static void sweep(const route *to, size_t each) {
  const char *wanted = getenv("EDR_NOMEM_EACH");
  const size_t share = wanted != NULL ? (size_t)atol(wanted) : 1;
  const long before = failures;
  size_t taken = 0;
  place_count = 0;
  witness = note_place;
  check_open(to, 0);
  CHECK(place_count > 0 && place_count < MAX_ALLOCATIONS);
  for (size_t i = 0; i < place_count; i++) {
    if (place_count > 100 && ((share != 0 && !first_or_last(i)) || taken++ % (each * (share != 0 ? share : 1)) != 0))
      continue;
    check_open_twice(to, (long)i + 1);
    if (taken % 64 == 1) check_open(to, 0); /* the many that OpenSSL does without show the same */
  }
  check_open(to, 0);
  printf("%s: %zu allocations, %ld failed\n", to->name, place_count, failures - before);
}

/* What is made once for a program can be made later, when it could not be made at first: erl_interface's table, ... */
static void test_first_open(const route *to) {
  edr_node_options options;
  edr_node *node;
  edr_error error;
  edr_status status;
  long n = 0;
  do {
    options = options_for(to);
    failed = false;
    until_failure = ++n;
    status = edr_node_open(&options, &node, &error);
    if (status == EDR_OK) edr_node_free(node);
    until_failure = 0;
    CHECK(is_said(status, &error) && (status == EDR_OK || status == EDR_ENOMEM || status == EDR_ESYSTEM));
  } while (failed && n < 100);
  CHECK(status == EDR_OK && n > 1 && n < 100);
}

/* ... and our method for OpenSSL's BIOs. OpenSSL's own things are made with enough memory: what it could not make once,
 * it does not try to make again. */
static void test_first_tls(const route *to) {
  SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
  fails_in = "bio_meth.c";
  check_open(to, 0);
  CHECK(failed && fails_in == NULL);
  check_open(to, 0);
  check_open(to, 0);
}

/* ---- the nodes ---- */

static erlang_process start_tls_node(const certificates *made, char path[80]) {
  const char *const more[] = {"-kernel",  "inet_dist_use_interface", "{127,0,0,1}", "-proto_dist",
                              "inet_tls", "-ssl_dist_optfile",       path,          NULL};
  FILE *file;
  snprintf(path, 80, "%s/tls.conf", made->folder);
  file = fopen(path, "w");
  if (file == NULL) exit(2);
  fprintf(file,
          "[{server, [{certfile, \"%s\"}, {keyfile, \"%s\"}, {cacertfile, \"%s\"}, {verify, verify_peer}, "
          "{fail_if_no_peer_cert, true}]}].\n",
          made->certificate, made->key, made->ca);
  fclose(file);
  return erlang_start_node("-name", "secret@127.0.0.1", ERLANG_TEST_COOKIE, "", more);
}

static void write_cookie(const certificates *made, char path[80]) {
  int fd;
  snprintf(path, 80, "%s/.erlang.cookie", made->folder);
  fd = open(path, O_WRONLY | O_CREAT, 0600);
  if (fd < 0 || write(fd, ERLANG_TEST_COOKIE, strlen(ERLANG_TEST_COOKIE)) < 0) exit(2);
  close(fd);
  setenv("HOME", made->folder, 1);
}

static void test_plain(const char *long_name) {
  const route plain = {.name = "TCP", .node = long_name};
  const route named = {.name = "TCP, under a name of ours", .node = long_name, .named = true};
  test_first_open(&plain);
  sweep(&plain, 1);
  sweep(&named, 1);
}

/* A peer that must be refused is refused, whatever fails. */
static void test_tls(const certificates *made) {
  const edr_tls_options trusting = {.cacertfile = made->ca, .certfile = made->certificate, .keyfile = made->key};
  edr_tls_options elsewhere = trusting, distrusting = trusting;
  const route good = {.name = "TLS", .node = "secret@127.0.0.1", .tls = &trusting};
  route bad = {.name = "TLS, a certificate of another host",
               .node = "secret@127.0.0.1",
               .tls = &elsewhere,
               .expected = EDR_ETLS};
  elsewhere.server_name = "elsewhere";
  distrusting.cacertfile = made->other_ca;
  test_first_tls(&good);
  sweep(&good, 1);
  sweep(&bad, 16);
  bad.name = "TLS, a certificate of another CA";
  bad.tls = &distrusting;
  sweep(&bad, 16);
}

int main(void) {
  char config[80], cookie[80];
  erlang_process epmd, plain, secret;
  certificates made;
  CHECK(CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1);
  certificates_make(&made);
  epmd = erlang_start_epmd(&epmd_port);
  plain = erlang_start_node("-name", LONG_NAME "@127.0.0.1", ERLANG_TEST_COOKIE, "", NULL);
  secret = start_tls_node(&made, config);
  erlang_wait_node(&plain);
  erlang_wait_node(&secret);
  write_cookie(&made, cookie);
  test_plain(LONG_NAME "@127.0.0.1");
  test_tls(&made);
  erlang_stop(&plain);
  erlang_stop(&secret);
  erlang_stop(&epmd);
  unlink(config);
  unlink(cookie);
  certificates_remove(&made);
  printf("%ld allocations failed\n", failures);
  return check_done();
}
