/* Dialing: real nodes that take us, refuse us or are not there, and peers that keep silent, drip, hang up or talk
 * nonsense. After each failure as many descriptors are open as before, and the cookie is in no text. */
#include "dial.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "clock.h"
#include "control.h"
#include "epmd.h"
#include "erlang_node.h"
#include "socket.h"

static uint16_t epmd_port;
static erlang_process epmd, short_node, long_node, choosy_node, ipv6_node;

static edr_dial_options options_for(const char *node) {
  edr_dial_options options = {.node = node, .cookie = ERLANG_TEST_COOKIE, .deadline_ms = edr_deadline_after(5000)};
  return options;
}

/* Dials, expecting `expected` within the deadline and a bit, and nothing left behind; `says` is part of the text. */
static void check_refused(const edr_dial_options *options, edr_status expected, const char *says) {
  edr_dialed untouched, dialed;
  edr_error error = {EDR_OK, 0, ""};
  edr_status status;
  int64_t late = options->deadline_ms + 500;
  int before = test_open_descriptors();
  memset(&dialed, 0x5A, sizeof dialed);
  untouched = dialed;
  status = edr_dial(options, &dialed, &error);
  if (status != expected || strstr(error.text, says) == NULL) {
    fprintf(stderr, "wanted %s (\"%s\"), got %s: %s\n", edr_status_name(expected), says, edr_status_name(status),
            error.text);
  }
  CHECK(status == expected);
  CHECK(error.code == expected && strstr(error.text, says) != NULL);
  CHECK(strstr(error.text, ERLANG_TEST_COOKIE) == NULL);
  CHECK(memcmp(&untouched, &dialed, sizeof dialed) == 0);
  CHECK(test_open_descriptors() == before);
  CHECK(edr_clock_now_ms() < late);
}

/* ---- talking on an open connection: {6, Self, '', echo} and {Self, What} ---- */

/* Sends it and waits for the frame that comes back; its size, or 0. */
static size_t ask_echo(const edr_dialed *dialed, const char *what, uint8_t *frame, size_t room) {
  edr_buf out;
  uint8_t length[4];
  size_t size = 0;
  int64_t deadline_ms = edr_deadline_after(3000);
  edr_buf_init(&out);
  edr_buf_put_u32(&out, 0);
  edr_buf_put_u8(&out, 'p');
  edr_etf_put_version(&out);
  edr_etf_put_tuple(&out, 4);
  edr_etf_put_int(&out, 6);
  edr_etf_put_pid(&out, &dialed->self);
  edr_etf_put_atom(&out, "", 0);
  edr_etf_put_atom(&out, "echo", 4);
  edr_etf_put_version(&out);
  edr_etf_put_tuple(&out, 2);
  edr_etf_put_pid(&out, &dialed->self);
  edr_etf_put_atom(&out, what, strlen(what));
  edr_buf_patch_u32(&out, 0, (uint32_t)(out.size - 4));
  if (edr_buf_status(&out) == EDR_OK &&
      edr_socket_write(dialed->transport.fd, out.data, out.size, deadline_ms) == EDR_OK) {
    do { /* ticks, and the pings that a node begins with, are not for us */
      size = 0;
      if (edr_socket_read(dialed->transport.fd, length, 4, deadline_ms) != EDR_OK) break;
      size = (size_t)length[2] << 8 | length[3];
      if (length[0] != 0 || length[1] != 0 || size > room) size = 0;
      if (size == 0) continue;
      if (edr_socket_read(dialed->transport.fd, frame, size, deadline_ms) != EDR_OK) size = 0;
    } while (size > 0 && memcmp(frame, "p\203h\003a\002", 6) != 0 && memcmp(frame, "p\203h\003a\026", 6) != 0);
  }
  edr_buf_deinit(&out);
  return size;
}

static bool contains(const uint8_t *data, size_t size, const char *text) {
  size_t length = strlen(text);
  for (size_t i = 0; i + length <= size; i++) {
    if (memcmp(data + i, text, length) == 0) return true;
  }
  return false;
}

/* A message to our pid comes back, so that name and creation are right; and we are a hidden node. */
static void check_talks(const edr_dialed *dialed) {
  uint8_t frame[2048];
  size_t size = ask_echo(dialed, "there_and_back", frame, sizeof frame);
  CHECK(size > 0 && contains(frame, size, "there_and_back"));
  size = ask_echo(dialed, "hidden", frame, sizeof frame);
  CHECK(size > 0 && contains(frame, size, dialed->self.node));
}

static void check_descriptor(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(getsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &value, &size) == 0 && value != 0);
  CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size) == 0 && value != 0);
}

/* Dials, talks, closes; whom we went by. */
static edr_pid check_dials(const edr_dial_options *options) {
  edr_dialed dialed = {0};
  edr_error error = {EDR_OK, 0, ""};
  edr_status status = edr_dial(options, &dialed, &error);
  CHECK(status == EDR_OK);
  if (status != EDR_OK) {
    fprintf(stderr, "%s: %s\n", options->node, error.text);
    return dialed.self;
  }
  check_descriptor(dialed.transport.fd);
  CHECK((dialed.our_flags & EDR_DFLAG_DIST_MONITOR_NAME) != 0 && (dialed.our_flags & EDR_DFLAG_SPAWN) == 0);
  CHECK((dialed.our_flags & ~(uint64_t)0x200000000) == (0x407074F9C | 0x20)); /* 0x200000000: name us */
  CHECK((dialed.peer_flags & EDR_DFLAG_SPAWN) != 0 && (dialed.peer_flags & 0x10000) != 0);
  CHECK(dialed.self.creation != 0);
  check_talks(&dialed);
  close(dialed.transport.fd);
  return dialed.self;
}

static void test_success(void) {
  edr_dial_options options = options_for(short_node.name);
  edr_pid first, second;
  int before = test_open_descriptors();
  first = check_dials(&options);
  second = check_dials(&options);
  /* A node gives the same name again once its last owner has gone, with another creation. */
  CHECK(strchr(first.node, '@') != NULL);
  CHECK(strcmp(first.node, second.node) != 0 || first.creation != second.creation);
  options = options_for(long_node.name);
  check_dials(&options);
  options.address = "localhost"; /* a tunnel's end, say */
  options.deadline_ms = EDR_NEVER;
  options.name = "operator@127.0.0.1";
  first = check_dials(&options);
  CHECK(strcmp(first.node, options.name) == 0);
  CHECK(test_open_descriptors() == before);
}

static void test_ipv6(void) {
  edr_dial_options options = options_for(ipv6_node.name);
  options.address = "::1";
  check_dials(&options);
}

static void test_given_port(void) {
  edr_dial_options options = options_for(long_node.name);
  uint16_t port = 0;
  CHECK(edr_epmd_lookup("127.0.0.1", epmd_port, "dial_long", options.deadline_ms, &port, NULL) == EDR_OK);
  setenv("ERL_EPMD_PORT", "1", 1); /* epmd is not asked */
  options.port = port;
  check_dials(&options);
  options.node = "somebody_else@127.0.0.1";
  check_refused(&options, EDR_ENODEDOWN, "it calls itself dial_long@127.0.0.1");
  options.port = test_free_port();
  check_refused(&options, EDR_EREFUSED, "takes no connections");
  options = options_for(long_node.name);
  check_refused(&options, EDR_ENOEPMD, "no epmd answers on 127.0.0.1 port 1");
  options.epmd_port = epmd_port;
  check_dials(&options);
  options.epmd_port = port; /* a node is no epmd */
  options.deadline_ms = edr_deadline_after(300);
  check_refused(&options, EDR_EPROTOCOL, "does not answer as epmd does");
}

static void restore_epmd(void) {
  char text[8];
  snprintf(text, sizeof text, "%u", (unsigned)epmd_port);
  setenv("ERL_EPMD_PORT", text, 1);
}

static void test_refusals(void) {
  edr_dial_options options = options_for(long_node.name);
  edr_dialed dialed;
  options.cookie = "not_the_cookie";
  check_refused(&options, EDR_EAUTH, "refused our cookie");
  options = options_for("nobody@127.0.0.1");
  check_refused(&options, EDR_ENODEDOWN, "knows no node \"nobody\"");
  options = options_for("n1@no.such.host.invalid");
  check_refused(&options, EDR_EUNKNOWNHOST, "no.such.host.invalid");
  options = options_for(choosy_node.name);
  check_refused(&options, EDR_ENOTALLOWED, "net_kernel:allow");
  options.name = "y@x";
  check_refused(&options, EDR_ENOTALLOWED, "from y@x");
  options.name = "x@y";
  check_dials(&options);
  options = options_for(long_node.name);
  options.name = "twice@127.0.0.1";
  CHECK(edr_dial(&options, &dialed, NULL) == EDR_OK);
  check_refused(&options, EDR_EALIVE, "twice@127.0.0.1 already");
  close(dialed.transport.fd);
  options = options_for(long_node.name);
  options.deadline_ms = edr_clock_now_ms() - 1;
  check_refused(&options, EDR_ETIMEOUT, "in time");
}

static void test_bad_arguments(void) {
  static const char *const names[] = {"", "n1", "@host", "n1@", "n1@host@host", "n1@ho st", "n1\n@host", "n\xff@host"};
  char text[1200];
  edr_dial_options options;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    options = options_for(names[i]);
    check_refused(&options, EDR_EBADARG, "name@host");
    options = options_for(long_node.name);
    options.name = names[i];
    check_refused(&options, EDR_EBADARG, "name@host");
  }
  options = options_for(NULL);
  check_refused(&options, EDR_EBADARG, "name@host");
  memset(text, 'a', sizeof text);
  text[sizeof text - 1] = '\0';
  options = options_for(long_node.name);
  options.cookie = text;
  check_refused(&options, EDR_EBADARG, "cookie");
  text[512] = '\0'; /* as long as one may be: only wrong */
  check_refused(&options, EDR_EAUTH, "refused our cookie");
  options.cookie = "";
  check_refused(&options, EDR_EBADARG, "cookie");
  options = options_for(text);
  text[253] = '@';
  text[256] = '\0';
  check_refused(&options, EDR_EBADARG, "name@host");
}

/* ---- the cookie file ---- */

static void write_cookie(const char *path, const char *text, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0 && write(fd, text, size) == (ssize_t)size);
  close(fd);
}

static void check_cookie_refused(const edr_dial_options *options, const char *path) {
  char big[600];
  check_refused(options, EDR_EAUTH, path);
  write_cookie(path, ERLANG_TEST_COOKIE "\n", strlen(ERLANG_TEST_COOKIE) + 1);
  check_dials(options);
  CHECK(chmod(path, 0640) == 0); /* as Erlang: "must be accessible by owner only" */
  check_refused(options, EDR_EAUTH, "others than its owner can use");
  CHECK(chmod(path, 0600) == 0);
  if (geteuid() == 0) { /* only root can give a file away, and takes none of another user's */
    CHECK(chown(path, 12345, (gid_t)-1) == 0);
    check_refused(options, EDR_EAUTH, "belongs to another user (12345)");
    CHECK(chown(path, 0, (gid_t)-1) == 0);
  }
  write_cookie(path, "\n", 1);
  check_refused(options, EDR_EAUTH, "empty");
  memset(big, 'c', sizeof big);
  write_cookie(path, big, sizeof big);
  check_refused(options, EDR_EAUTH, "over 512 bytes");
  unlink(path);
  mkdir(path, 0700);
  check_refused(options, EDR_EAUTH, "not a plain file");
  rmdir(path);
  mkfifo(path, 0600);
  check_refused(options, EDR_EAUTH, "not a plain file");
  unlink(path);
}

/* The second place, without a word of which the first one is complained about. */
static void check_configured_cookie(const edr_dial_options *options, const char *home) {
  char folder[64], path[96];
  snprintf(folder, sizeof folder, "%s/.config", home);
  mkdir(folder, 0700);
  snprintf(folder, sizeof folder, "%s/.config/erlang", home);
  mkdir(folder, 0700);
  snprintf(path, sizeof path, "%s/.erlang.cookie", folder);
  write_cookie(path, ERLANG_TEST_COOKIE, strlen(ERLANG_TEST_COOKIE));
  check_dials(options);
  chmod(path, 0604);
  check_refused(options, EDR_EAUTH, path);
  chmod(path, 0400);
  setenv("XDG_CONFIG_HOME", "/nowhere", 1);
  check_refused(options, EDR_EAUTH, "/.erlang.cookie cannot be read");
  snprintf(folder, sizeof folder, "%s/.config", home);
  setenv("XDG_CONFIG_HOME", folder, 1);
  check_dials(options);
  unsetenv("XDG_CONFIG_HOME");
  unlink(path);
  snprintf(path, sizeof path, "%s/erlang", folder);
  rmdir(path);
  rmdir(folder);
}

/* How often the cookie is in memory that can be written to: the text of this program cannot. */
static int copies_of_cookie(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  int copies = 0;
  CHECK(maps != NULL);
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    const size_t size = strlen(ERLANG_TEST_COOKIE);
    unsigned long from, to, at;
    char access[5];
    if (sscanf(line, "%lx-%lx %4s", &from, &to, access) != 3 || strncmp(access, "rw", 2) != 0) continue;
    for (at = from; at + size <= to; at++) {
      /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
      const char *here = (const char *)at;
      if (here[0] == ERLANG_TEST_COOKIE[0] && memcmp(here, ERLANG_TEST_COOKIE, size) == 0) copies++;
    }
  }
  if (maps != NULL) fclose(maps);
  return copies;
}

/* Under a sanitizer there is too much memory to look at, and valgrind minds that it is. */
static bool can_look_at_memory(void) {
  const char *preloaded = getenv("LD_PRELOAD");
#ifdef __SANITIZE_ADDRESS__
  return false;
#endif
  return preloaded == NULL || strstr(preloaded, "vgpreload") == NULL;
}

/* Ours are wiped, and erl_interface, which would keep one in a table, is given none. */
static void test_cookie_in_memory(const edr_dial_options *options) {
  char *copy;
  if (!can_look_at_memory()) return;
  check_dials(options);
  CHECK(copies_of_cookie() == 0);
  copy = strdup(ERLANG_TEST_COOKIE);
  CHECK(copies_of_cookie() == 1); /* they would be found */
  free(copy);
}

static void test_cookie_file(void) {
  char home[] = "/tmp/edr_dial_test_XXXXXX", path[64];
  const char *old_home = getenv("HOME");
  char *kept = old_home != NULL ? strdup(old_home) : NULL;
  edr_dial_options options = options_for(long_node.name);
  options.cookie = NULL;
  CHECK(mkdtemp(home) != NULL);
  snprintf(path, sizeof path, "%s/.erlang.cookie", home);
  setenv("HOME", home, 1);
  unsetenv("XDG_CONFIG_HOME");
  check_cookie_refused(&options, path);
  check_configured_cookie(&options, home);
  write_cookie(path, ERLANG_TEST_COOKIE, strlen(ERLANG_TEST_COOKIE));
  test_cookie_in_memory(&options);
  unlink(path);
  rmdir(home);
  unsetenv("HOME");
  check_refused(&options, EDR_EAUTH, "HOME is not set");
  if (kept != NULL) setenv("HOME", kept, 1);
  free(kept);
}

/* ---- false nodes ---- */

/* Takes one connection, waits for the first bytes if told to, sends what it has, and hangs up or stays. */
typedef struct false_node {
  pthread_t thread;
  int listener;
  uint16_t port;
  bool listens_first, stays;
  long pause_ms; /* between bytes */
  uint8_t data[2048];
  size_t size;
} false_node;

static void *false_node_run(void *argument) {
  false_node *self = argument;
  uint8_t name[256];
  int fd = accept(self->listener, NULL, NULL);
  size_t step = self->pause_ms > 0 ? 1 : self->size;
  if (self->listens_first && recv(fd, name, sizeof name, 0) <= 0) step = self->size = 0;
  for (size_t i = 0; i < self->size && step > 0; i += step) {
    if (send(fd, self->data + i, step, MSG_NOSIGNAL) <= 0) break;
    if (self->pause_ms > 0) test_sleep_ms(self->pause_ms);
  }
  while (self->stays && recv(fd, name, sizeof name, 0) > 0) continue; /* until the other side hangs up */
  close(fd);
  return NULL;
}

static void check_false_node(false_node *self, int64_t timeout_ms, edr_status expected, const char *says) {
  edr_dial_options options = options_for("false@127.0.0.1");
  self->listener = test_listen(&self->port);
  CHECK(pthread_create(&self->thread, NULL, false_node_run, self) == 0);
  options.port = self->port;
  options.deadline_ms = edr_deadline_after(timeout_ms);
  {
    /* the false node's own descriptor comes and goes in this process: check_refused would count it */
    edr_dialed dialed;
    edr_error error = {EDR_OK, 0, ""};
    edr_status status = edr_dial(&options, &dialed, &error);
    if (status != expected || strstr(error.text, says) == NULL) {
      fprintf(stderr, "wanted %s (\"%s\"), got %s: %s\n", edr_status_name(expected), says, edr_status_name(status),
              error.text);
    }
    CHECK(status == expected && strstr(error.text, says) != NULL);
    CHECK(edr_clock_now_ms() < options.deadline_ms + 500);
  }
  pthread_join(self->thread, NULL);
  close(self->listener);
}

static void add_packet(false_node *self, const void *data, size_t size) {
  self->data[self->size++] = (uint8_t)(size >> 8);
  self->data[self->size++] = (uint8_t)size;
  memcpy(self->data + self->size, data, size);
  self->size += size;
}

static const char given_name[] = "snamed:\0\005A@b.c\0\0\0\1";
static const char challenge[] = "N\0\0\0\4\7\7\x4F\x9C\1\2\3\4\0\0\0\1\0\017false@127.0.0.1";

/* A node up to its challenge, and no further. */
static void add_challenge(false_node *self) {
  self->listens_first = true;
  add_packet(self, given_name, sizeof given_name - 1);
  add_packet(self, challenge, sizeof challenge - 1);
}

static void test_false_nodes(void) {
  int before = test_open_descriptors();
  {
    false_node closes = {0};
    check_false_node(&closes, 2000, EDR_EPROTOCOL, "closed the connection");
  }
  {
    false_node silent = {.stays = true};
    check_false_node(&silent, 150, EDR_ETIMEOUT, "did not finish the handshake in time");
  }
  {
    /* A packet of 500 bytes, one every 20 ms: each single wait is short, the whole is not. */
    false_node drips = {.listens_first = true, .pause_ms = 20};
    uint8_t packet[500];
    memset(packet, 's', sizeof packet);
    add_packet(&drips, packet, 40);
    drips.data[1] = 250;
    check_false_node(&drips, 300, EDR_ETIMEOUT, "did not finish the handshake in time");
  }
  {
    false_node web = {.listens_first = true};
    memcpy(web.data, "HTTP/1.1 400 Bad Request\r\n\r\n", web.size = 28);
    check_false_node(&web, 2000, EDR_EPROTOCOL, "handshake packet of 18516 bytes");
  }
  {
    false_node tls = {.listens_first = true};
    memcpy(tls.data, "\x15\3\3\0\2\2\x46", tls.size = 7);
    check_false_node(&tls, 2000, EDR_ETLS, "wants TLS");
  }
  {
    false_node hangs_up = {0};
    add_challenge(&hangs_up);
    check_false_node(&hangs_up, 2000, EDR_EAUTH, "refused our cookie");
  }
  {
    /* Takes whatever we send for right, but cannot know the answer to our challenge. */
    false_node impostor = {.stays = true};
    add_challenge(&impostor);
    add_packet(&impostor, "aaaaaaaaaaaaaaaaa", 17);
    check_false_node(&impostor, 2000, EDR_EAUTH, "could not prove");
  }
  {
    false_node long_name = {.stays = true, .listens_first = true};
    uint8_t packet[400];
    memset(packet, 'a', sizeof packet);
    memcpy(packet, "snamed:\1\0", 9);
    packet[9 + 255] = '@';
    add_packet(&long_name, packet, 9 + 256 + 4);
    check_false_node(&long_name, 2000, EDR_EPROTOCOL, "name that cannot be used");
  }
  {
    false_node weak = {.stays = true};
    add_challenge(&weak);
    memset(weak.data + 2 + 18 + 2 + 1, 0, 8); /* no flag at all */
    check_false_node(&weak, 2000, EDR_EPROTOCOL, "OTP 23");
  }
  CHECK(test_open_descriptors() == before);
}

/* Nothing comes back to our connect at all: the queue of who listens there is full, so the kernel drops our SYN. */
static void test_blackhole(void) {
  edr_dial_options options = options_for("false@127.0.0.1");
  int listener = test_listen(&options.port), queued[8];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK(listen(listener, 0) == 0);
  address.sin_port = htons(options.port);
  for (int i = 0; i < 8; i++) {
    queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)connect(queued[i], (struct sockaddr *)&address, sizeof address);
  }
  test_sleep_ms(20);
  options.deadline_ms = edr_deadline_after(200);
  check_refused(&options, EDR_ETIMEOUT, "could not be reached in time");
  options.epmd_port = options.port; /* an epmd that is like this */
  options.port = 0;
  options.deadline_ms = edr_deadline_after(200);
  check_refused(&options, EDR_ETIMEOUT, "could not be reached in time");
  for (int i = 0; i < 8; i++) close(queued[i]);
  close(listener);
}

/* An epmd that takes the connection and keeps silent. */
static void test_silent_epmd(void) {
  edr_dial_options options = options_for("false@127.0.0.1");
  int listener = test_listen(&options.epmd_port);
  options.deadline_ms = edr_deadline_after(200);
  check_refused(&options, EDR_ETIMEOUT, "did not answer in time");
  close(listener);
}

/* Every byte of a good handshake turned into another one: an error or, where the byte does not matter, a refusal of the
 * impostor, and never more than that. */
static void test_damaged_handshakes(void) {
  false_node good = {0};
  int before = test_open_descriptors();
  add_challenge(&good);
  for (size_t i = 0; i < good.size; i++) {
    false_node damaged = good;
    damaged.data[i] ^= (uint8_t)(1u << i % 8);
    {
      edr_dial_options options = options_for("false@127.0.0.1");
      edr_dialed dialed;
      edr_status status;
      damaged.listener = test_listen(&options.port);
      pthread_create(&damaged.thread, NULL, false_node_run, &damaged);
      status = edr_dial(&options, &dialed, NULL);
      CHECK(status == EDR_EPROTOCOL || status == EDR_EAUTH || status == EDR_ENODEDOWN);
      pthread_join(damaged.thread, NULL);
      close(damaged.listener);
    }
  }
  CHECK(test_open_descriptors() == before);
}

/* ---- signals, many descriptors, threads ---- */

static void on_alarm(int number) {
  (void)number;
}

static void test_interrupted(void) {
  struct sigaction action, old;
  edr_dial_options options = options_for("false@127.0.0.1");
  int listener = test_listen(&options.port); /* nobody accepts: the kernel takes the connection */
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, &old);
  alarm(1);
  check_refused(&options, EDR_EINTERRUPTED, "a signal arrived");
  alarm(0);
  sigaction(SIGALRM, &old, NULL);
  close(listener);
}

static void test_many_descriptors(void) {
  enum { COUNT = 1100 };
  int held[COUNT], count = 0;
  edr_dial_options options = options_for(long_node.name);
  edr_dialed dialed;
  while (count < COUNT && (held[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) count++;
  if (count == COUNT) {
    CHECK(edr_dial(&options, &dialed, NULL) == EDR_OK && dialed.transport.fd > 1023);
    check_talks(&dialed);
    close(dialed.transport.fd);
    options.cookie = "not_the_cookie";
    check_refused(&options, EDR_EAUTH, "refused our cookie");
  } else {
    printf("not tested: this machine allows %d open files only\n", count);
  }
  while (count > 0) close(held[--count]);
}

static void *dial_in_thread(void *argument) {
  check_dials(argument);
  return NULL;
}

static void test_two_at_once(void) {
  edr_dial_options first = options_for(long_node.name), second = options_for(short_node.name);
  edr_dialed one, two;
  pthread_t thread;
  CHECK(edr_dial(&first, &one, NULL) == EDR_OK && edr_dial(&first, &two, NULL) == EDR_OK);
  CHECK(strcmp(one.self.node, two.self.node) != 0);
  check_talks(&two);
  check_talks(&one);
  close(one.transport.fd);
  close(two.transport.fd);
  /* CHECK counts in this thread and that one; it is joined before anybody looks */
  CHECK(pthread_create(&thread, NULL, dial_in_thread, &second) == 0);
  CHECK(edr_dial(&first, &one, NULL) == EDR_OK);
  pthread_join(thread, NULL);
  check_talks(&one);
  close(one.transport.fd);
}

static bool have_ipv6(void) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool have = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  if (fd >= 0) close(fd);
  return have;
}

static void start_nodes(bool ipv6) {
  static const char *const six[] = {"-proto_dist",       "inet6_tcp", "-kernel", "inet_dist_use_interface",
                                    "{0,0,0,0,0,0,0,1}", NULL};
  epmd = erlang_start_epmd(&epmd_port);
  short_node = erlang_start_node("-sname", "dial_short@localhost", ERLANG_TEST_COOKIE, "", NULL);
  long_node = erlang_start_node("-name", "dial_long@127.0.0.1", ERLANG_TEST_COOKIE, "", NULL);
  choosy_node =
      erlang_start_node("-name", "dial_choosy@127.0.0.1", ERLANG_TEST_COOKIE, "net_kernel:allow([x@y]), ", NULL);
  if (ipv6) ipv6_node = erlang_start_node("-sname", "dial_six@localhost", ERLANG_TEST_COOKIE, "", six);
  erlang_wait_node(&short_node);
  erlang_wait_node(&long_node);
  erlang_wait_node(&choosy_node);
  if (ipv6) erlang_wait_node(&ipv6_node);
}

int main(void) {
  struct rlimit limit;
  bool ipv6 = have_ipv6();
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 4096) {
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  start_nodes(ipv6);
  test_success();
  if (ipv6) test_ipv6();
  test_given_port();
  restore_epmd();
  test_refusals();
  test_bad_arguments();
  test_cookie_file();
  test_false_nodes();
  test_blackhole();
  test_silent_epmd();
  test_damaged_handshakes();
  test_interrupted();
  test_many_descriptors();
  test_two_at_once();
  erlang_stop(&short_node);
  erlang_stop(&long_node);
  erlang_stop(&choosy_node);
  if (ipv6) erlang_stop(&ipv6_node);
  erlang_stop(&epmd);
  return check_done();
}
