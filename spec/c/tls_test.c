/* TLS as a transport, against a server of our own in another thread: bytes both ways with ticks in between, new keys in
 * the middle, peers that vanish, keep silent, drip or speak no TLS. What real nodes say is in spec/tls_spec.lua. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "certificates.h"
#include "check.h"
#include "clock.h"
#include "erlang_node.h"
#include "socket.h"
#include "stream.h"
#include "transport.h"

static certificates made;

/* ---- the server ---- */

typedef struct server {
  pthread_t thread;
  int listener;
  uint16_t port;
  int version;       /* of TLS, the only one */
  size_t renew_each; /* new keys after so many bytes; 0: never */
  size_t resets_at;  /* after so many bytes it is gone without a word; 0: never */
  int64_t floods_ms; /* for so long it says nothing but that its keys are new ones; 0: it echoes */
  size_t ticks;      /* empty frames that it got */
  size_t frames;
} server;

static SSL *server_accept(const server *self, int fd) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  SSL *ssl;
  SSL_CTX_set_min_proto_version(context, self->version);
  SSL_CTX_set_max_proto_version(context, self->version);
  SSL_CTX_use_certificate_chain_file(context, made.certificate);
  SSL_CTX_use_PrivateKey_file(context, made.key, SSL_FILETYPE_PEM);
  ssl = SSL_new(context);
  SSL_CTX_free(context);
  SSL_set_fd(ssl, fd);
  if (SSL_accept(ssl) == 1) return ssl;
  SSL_free(ssl);
  return NULL;
}

static void reset_connection(int fd) {
  struct linger linger = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* Reads frames and sends each one back, ticks left out, until the client goes. */
static void echo_frames(server *self, SSL *ssl, int fd) {
  static uint8_t frame[1 << 20];
  size_t total = 0, renewed = 0;
  for (;;) {
    size_t size, done;
    for (done = 0; done < 4;) {
      const int got = SSL_read(ssl, frame + done, (int)(4 - done));
      if (got <= 0) return;
      done += (size_t)got;
    }
    size = (size_t)frame[0] << 24 | (size_t)frame[1] << 16 | (size_t)frame[2] << 8 | frame[3];
    if (size == 0) {
      self->ticks++;
      continue;
    }
    for (done = 0; done < size;) {
      const int got = SSL_read(ssl, frame + 4 + done, (int)(size - done));
      if (got <= 0) return;
      done += (size_t)got;
    }
    self->frames++;
    total += size;
    if (self->resets_at != 0 && total >= self->resets_at) {
      reset_connection(fd);
      return;
    }
    if (SSL_write(ssl, frame, (int)(size + 4)) <= 0) return;
    if (self->renew_each != 0 && total - renewed >= self->renew_each) {
      renewed = total;
      if (self->version == TLS1_3_VERSION)
        SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
      else
        SSL_renegotiate(ssl);
      if (SSL_do_handshake(ssl) <= 0) return; /* asks for it; the answer comes among the frames */
    }
  }
}

/* Records without end and not a byte in them, each of which wants an answer: that takes us longer than the peer. */
static void flood_keys(const server *self, SSL *ssl) {
  const int64_t end_ms = edr_deadline_after(self->floods_ms);
  while (edr_clock_now_ms() < end_ms && SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
    if (SSL_do_handshake(ssl) <= 0) return;
}

static void *serve(void *argument) {
  server *self = argument;
  const int fd = accept(self->listener, NULL, NULL);
  sigset_t pipes; /* OpenSSL's own sockets raise them in this thread; ours must not in the other */
  SSL *ssl;
  sigemptyset(&pipes);
  sigaddset(&pipes, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipes, NULL);
  ssl = server_accept(self, fd);
  if (ssl != NULL && self->floods_ms > 0)
    flood_keys(self, ssl);
  else if (ssl != NULL)
    echo_frames(self, ssl, fd);
  SSL_free(ssl);
  close(fd);
  ERR_clear_error();
  return NULL;
}

static void server_start(server *self) {
  self->listener = test_listen(&self->port);
  CHECK(pthread_create(&self->thread, NULL, serve, self) == 0);
}

static void server_end(server *self) {
  pthread_join(self->thread, NULL);
  close(self->listener);
}

/* ---- the client ---- */

static edr_tls_options trusting(void) {
  return (edr_tls_options){.cacertfile = made.ca};
}

static edr_status open_transport(uint16_t port, const edr_tls_options *options, int64_t timeout_ms,
                                 edr_transport *out_transport, edr_error *error) {
  const int64_t deadline_ms = edr_deadline_after(timeout_ms);
  edr_status status;
  *out_transport = edr_transport_tcp(-1);
  status = edr_socket_connect("127.0.0.1", port, deadline_ms, &out_transport->fd, error);
  if (status != EDR_OK) return status;
  status = edr_tls_open(out_transport->fd, options, "localhost", deadline_ms, &out_transport->tls, error);
  if (status != EDR_OK) edr_transport_close(out_transport);
  return status;
}

static void check_open_fails(uint16_t port, const edr_tls_options *options, int64_t timeout_ms, edr_status expected,
                             const char *says) {
  edr_transport transport;
  edr_error error = {EDR_OK, 0, ""};
  const int64_t late = edr_deadline_after(timeout_ms) + 500;
  const edr_status status = open_transport(port, options, timeout_ms, &transport, &error);
  if (status != expected || strstr(error.text, says) == NULL) {
    fprintf(stderr, "wanted %s (\"%s\"), got %s: %s\n", edr_status_name(expected), says, edr_status_name(status),
            error.text);
  }
  CHECK(status == expected && strstr(error.text, says) != NULL);
  CHECK(edr_clock_now_ms() < late);
  CHECK(ERR_peek_error() == 0);
}

typedef struct received {
  size_t frames, bytes;
  bool damaged;
} received;

/* Frame number `n` is full of the byte `n`. */
static edr_status on_frame(void *context, const uint8_t *frame, size_t size) {
  received *so_far = context;
  for (size_t i = 0; i < size; i += 97) so_far->damaged |= frame[i] != (uint8_t)so_far->frames;
  so_far->frames++;
  so_far->bytes += size;
  return EDR_OK;
}

/* Frames of growing size are queued faster than they come back, while a ticker writes in between as often as it can. */
static void check_echo(int version, size_t renew_each) {
  enum { COUNT = 120 };
  static uint8_t frame[4 + 200000];
  server peer = {.version = version, .renew_each = renew_each};
  const edr_tls_options options = trusting();
  edr_transport transport;
  edr_stream stream;
  received got = {0};
  edr_error error = {EDR_OK, 0, ""};
  edr_status status;
  size_t sent = 0;
  server_start(&peer);
  status = open_transport(peer.port, &options, 20000, &transport, &error);
  if (status != EDR_OK) fprintf(stderr, "%s\n", error.text);
  CHECK(status == EDR_OK);
  if (status != EDR_OK) return;
  CHECK(edr_stream_open(&stream, transport, 0, 1, on_frame, &got) == EDR_OK);
  for (size_t i = 0; i < COUNT && status == EDR_OK; i++) {
    const size_t size = 1 + i * 1500;
    frame[0] = 0, frame[1] = (uint8_t)(size >> 16), frame[2] = (uint8_t)(size >> 8), frame[3] = (uint8_t)size;
    memset(frame + 4, (int)i, size);
    status = edr_stream_queue(&stream, frame, size + 4);
    sent += size;
  }
  CHECK(status == EDR_OK);
  while (status == EDR_OK && got.frames < COUNT) status = edr_stream_read(&stream, edr_deadline_after(10000));
  if (status != EDR_OK) {
    fprintf(stderr, "version %x, new keys each %zu: %s after %zu frames %s\n", (unsigned)version, renew_each,
            edr_status_name(status), got.frames, edr_stream_reason(&stream));
  }
  CHECK(status == EDR_OK && got.frames == COUNT && got.bytes == sent && !got.damaged);
  CHECK(edr_stream_read(&stream, edr_deadline_after(200)) == EDR_ETIMEOUT); /* ticks alone: the owner sleeps */
  CHECK(edr_stream_queued(&stream) == 0);
  edr_stream_close(&stream);
  server_end(&peer);
  CHECK(peer.frames == COUNT);
  CHECK(peer.ticks >= 2); /* of some 200, but this machine may be busy */
}

/* ---- peers that do not do as they should ---- */

static void test_reset(void) {
  static uint8_t frame[4 + 100000] = {0, 1, 0x86, 0xA0};
  server peer = {.version = TLS1_3_VERSION, .resets_at = 300000};
  const edr_tls_options options = trusting();
  edr_transport transport;
  edr_stream stream;
  received got = {0};
  edr_status status;
  server_start(&peer);
  CHECK(open_transport(peer.port, &options, 5000, &transport, NULL) == EDR_OK);
  CHECK(edr_stream_open(&stream, transport, 0, 1, on_frame, &got) == EDR_OK);
  do {
    status = edr_stream_write(&stream, frame, sizeof frame, 0, edr_deadline_after(5000)); /* a SIGPIPE would end us */
  } while (status == EDR_OK);
  CHECK(status == EDR_ENODEDOWN);
  CHECK(edr_stream_queue(&stream, frame, sizeof frame) == EDR_ENODEDOWN);
  edr_stream_close(&stream);
  server_end(&peer);
}

/* OpenSSL reads on and on where nothing comes of what it has read. */
static void test_flood_of_keys(void) {
  server peer = {.version = TLS1_3_VERSION, .floods_ms = 6000};
  const edr_tls_options options = trusting();
  edr_transport transport;
  edr_stream stream;
  received got = {0};
  int64_t before;
  server_start(&peer);
  CHECK(open_transport(peer.port, &options, 5000, &transport, NULL) == EDR_OK);
  CHECK(edr_stream_open(&stream, transport, 0, 1000, on_frame, &got) == EDR_OK);
  before = edr_clock_now_ms();
  CHECK(edr_stream_read(&stream, edr_deadline_after(300)) == EDR_ETIMEOUT);
  CHECK(edr_clock_now_ms() - before < 3000 && got.frames == 0);
  edr_stream_close(&stream);
  server_end(&peer);
}

/* Takes one connection and sends `data`, a byte every `pause_ms` or all at once; then hangs up or waits until we do. */
typedef struct false_server {
  pthread_t thread;
  int listener;
  uint16_t port;
  const char *data;
  size_t size;
  long pause_ms;
  bool stays;
} false_server;

static void *serve_falsely(void *argument) {
  const false_server *self = argument;
  const int fd = accept(self->listener, NULL, NULL);
  char hello[2048];
  (void)recv(fd, hello, sizeof hello, 0);
  for (size_t i = 0; i<self->size; i += self->pause_ms> 0 ? 1 : self->size) {
    if (send(fd, self->data + i, self->pause_ms > 0 ? 1 : self->size, MSG_NOSIGNAL) <= 0) break;
    test_sleep_ms(self->pause_ms);
  }
  while (self->stays && recv(fd, hello, sizeof hello, 0) > 0) continue;
  close(fd);
  return NULL;
}

static void check_false_server(const char *data, size_t size, long pause_ms, bool stays, edr_status expected,
                               const char *says) {
  false_server peer = {.data = data, .size = size, .pause_ms = pause_ms, .stays = stays};
  const edr_tls_options options = trusting();
  peer.listener = test_listen(&peer.port);
  CHECK(pthread_create(&peer.thread, NULL, serve_falsely, &peer) == 0);
  check_open_fails(peer.port, &options, 300, expected, says);
  pthread_join(peer.thread, NULL);
  close(peer.listener);
}

static void test_false_servers(void) {
  static const char web[] = "HTTP/1.1 400 Bad Request\r\n\r\n", alert[] = "\x15\3\3\0\2\2\x28",
                    hello[60] = "\x16\3\3\1\0\2\0\0\xfc\3\3";
  check_false_server("", 0, 0, true, EDR_ETIMEOUT, "keeps silent");
  check_false_server("", 0, 0, false, EDR_ENODEDOWN, "does it speak TLS?");
  check_false_server(web, sizeof web - 1, 0, true, EDR_ETLS, "does not speak TLS");
  check_false_server(alert, sizeof alert - 1, 0, true, EDR_ETLS,
                     "the node refused: sslv3 alert handshake failure: no cert");
  check_false_server(hello, sizeof hello, 0, false, EDR_ETLS, "closed the connection during the handshake");
  check_false_server(hello, sizeof hello, 20, true, EDR_ETIMEOUT, "did not finish the handshake in time");
}

/* What is wrong with the options is found before the peer hears a word, or in its certificate. */
static void test_options(void) {
  server peer = {.version = TLS1_3_VERSION};
  edr_tls_options options = {0};
  edr_transport transport;
  server_start(&peer);
  check_open_fails(peer.port, &options, 2000, EDR_ETLS, "no cacertfile");
  server_end(&peer); /* it saw us go */
  options = trusting();
  options.server_name = "";
  server_start(&peer);
  check_open_fails(peer.port, &options, 2000, EDR_ETLS, "server_name is empty");
  server_end(&peer);
  options.server_name = ".localhost";
  server_start(&peer);
  check_open_fails(peer.port, &options, 2000, EDR_ETLS, "begins with a dot");
  server_end(&peer);
  options = trusting();
  options.certfile = made.certificate;
  options.keyfile = made.key;
  CHECK(chmod(made.key, 0640) == 0);
  server_start(&peer);
  check_open_fails(peer.port, &options, 2000, EDR_ETLS, "chmod 600");
  server_end(&peer);
  CHECK(chmod(made.key, 0600) == 0);
  options = trusting();
  options.server_name = "127.0.0.2";
  server_start(&peer);
  check_open_fails(peer.port, &options, 2000, EDR_ETLS, "another host");
  server_end(&peer);
  options.server_name = "127.0.0.1";
  server_start(&peer);
  CHECK(open_transport(peer.port, &options, 5000, &transport, NULL) == EDR_OK);
  edr_transport_close(&transport);
  edr_transport_close(&transport);
  server_end(&peer);
  options = (edr_tls_options){.verify_none = true};
  server_start(&peer);
  CHECK(open_transport(peer.port, &options, 5000, &transport, NULL) == EDR_OK);
  edr_transport_close(&transport);
  server_end(&peer);
}

static void test_many_descriptors(void) {
  enum { COUNT = 1100 };
  int held[COUNT], count = 0;
  while (count < COUNT && (held[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) count++;
  if (count == COUNT)
    check_echo(TLS1_3_VERSION, 0);
  else
    printf("not tested: this machine allows %d open files only\n", count);
  while (count > 0) close(held[--count]);
}

int main(void) {
  struct rlimit limit;
  int before;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 4096) {
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  signal(SIGPIPE, SIG_DFL);
  certificates_make(&made);
  before = test_open_descriptors();
  check_echo(TLS1_2_VERSION, 0);
  check_echo(TLS1_3_VERSION, 0);
  check_echo(TLS1_2_VERSION, 700000);
  check_echo(TLS1_3_VERSION, 700000);
  test_reset();
  test_flood_of_keys();
  test_false_servers();
  test_options();
  test_many_descriptors();
  CHECK(test_open_descriptors() == before);
  certificates_remove(&made);
  return check_done();
}
