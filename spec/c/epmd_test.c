/* epmd: the bytes of the question and of the answer, cut at every length; then real and false epmds. */
#include "epmd.h"

#include <pthread.h>

#include "check.h"
#include "clock.h"
#include "erlang_node.h"

static void test_request(void) {
  static const uint8_t expected[] = {0, 4, 122, 'a', 'b', 'c'};
  char name[257];
  edr_buf buf;
  edr_buf_init(&buf);
  CHECK(edr_epmd_put_port_please(&buf, "abc") == EDR_OK);
  CHECK(buf.size == sizeof expected && memcmp(buf.data, expected, sizeof expected) == 0);
  edr_buf_clear(&buf);
  CHECK(edr_epmd_put_port_please(&buf, "") == EDR_EBADARG);
  memset(name, 'a', sizeof name);
  name[256] = '\0';
  CHECK(edr_epmd_put_port_please(&buf, name) == EDR_EBADARG);
  CHECK(buf.size == 0);
  name[255] = '\0';
  CHECK(edr_epmd_put_port_please(&buf, name) == EDR_OK && buf.size == 258 && buf.data[0] == 1 && buf.data[1] == 0);
  edr_buf_deinit(&buf);
}

static void test_response(void) {
  /* as an epmd of OTP 25 sent it, with two extra bytes added */
  uint8_t good[] = {119, 0, 0xA2, 0x05, 77, 0, 0, 6, 0, 5, 0, 2, 'n', '1', 0, 2, 9, 9};
  static const uint8_t unknown[] = {119, 1};
  uint16_t port = 7;
  for (size_t size = 0; size < sizeof good; size++) CHECK(edr_epmd_read_port_resp(good, size, &port) == EDR_EAGAIN);
  CHECK(port == 7);
  CHECK(edr_epmd_read_port_resp(good, sizeof good, &port) == EDR_OK && port == 0xA205);
  port = 7;
  CHECK(edr_epmd_read_port_resp(unknown, 1, &port) == EDR_EAGAIN);
  CHECK(edr_epmd_read_port_resp(unknown, 2, &port) == EDR_ENODEDOWN);
  good[0] = 118;
  CHECK(edr_epmd_read_port_resp(good, 1, &port) == EDR_EPROTOCOL);
  good[0] = 119;
  good[5] = 1; /* not TCP */
  CHECK(edr_epmd_read_port_resp(good, sizeof good, &port) == EDR_EPROTOCOL);
  good[5] = 0;
  good[10] = 0xFF; /* a name of 65,282 bytes */
  CHECK(edr_epmd_read_port_resp(good, sizeof good, &port) == EDR_EPROTOCOL);
  good[10] = 0;
  good[2] = good[3] = 0;
  CHECK(edr_epmd_read_port_resp(good, sizeof good, &port) == EDR_EPROTOCOL);
  CHECK(port == 7);
}

/* Takes one connection, reads the question, answers with `size` bytes, one every `pause_ms`, and hangs up. */
typedef struct false_epmd {
  pthread_t thread;
  int listener;
  const uint8_t *answer;
  size_t size;
  long pause_ms;
} false_epmd;

static void *false_epmd_run(void *argument) {
  false_epmd *self = argument;
  uint8_t question[64];
  int fd = accept(self->listener, NULL, NULL);
  if (fd >= 0 && recv(fd, question, sizeof question, 0) > 0) {
    for (size_t i = 0; i < self->size; i++) {
      if (send(fd, self->answer + i, 1, MSG_NOSIGNAL) != 1) break;
      if (self->pause_ms > 0) test_sleep_ms(self->pause_ms);
    }
  }
  close(fd);
  return NULL;
}

static edr_status ask_false_epmd(const uint8_t *answer, size_t size, long pause_ms, int64_t timeout_ms,
                                 uint16_t *out_port, edr_error *error) {
  false_epmd server = {.answer = answer, .size = size, .pause_ms = pause_ms};
  uint16_t port;
  edr_status status;
  server.listener = test_listen(&port);
  pthread_create(&server.thread, NULL, false_epmd_run, &server);
  status = edr_epmd_lookup("127.0.0.1", port, "n1", edr_deadline_after(timeout_ms), out_port, error);
  pthread_join(server.thread, NULL);
  close(server.listener);
  return status;
}

static void test_false_epmds(void) {
  static const uint8_t good[] = {119, 0, 0x12, 0x34, 77, 0, 0, 6, 0, 5, 0, 2, 'n', '1', 0, 0};
  static const uint8_t web[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
  edr_error error = {EDR_OK, 0, ""};
  uint16_t port = 0;
  int64_t start;
  int before = test_open_descriptors(), listener;
  CHECK(ask_false_epmd(good, sizeof good, 1, 2000, &port, &error) == EDR_OK && port == 0x1234);
  CHECK(ask_false_epmd(good, 5, 0, 2000, &port, &error) == EDR_EPROTOCOL); /* hung up in the middle */
  CHECK(ask_false_epmd(good, 0, 0, 2000, &port, &error) == EDR_EPROTOCOL);
  CHECK(ask_false_epmd(web, sizeof web - 1, 0, 2000, &port, &error) == EDR_EPROTOCOL);
  CHECK(error.code == EDR_EPROTOCOL && strstr(error.text, "does not answer as epmd does") != NULL);
  start = edr_clock_now_ms();
  CHECK(ask_false_epmd(good, sizeof good, 40, 200, &port, &error) == EDR_ETIMEOUT); /* drips */
  CHECK(edr_clock_now_ms() - start < 1500);
  listener = test_listen(&port); /* takes connections and never says a word */
  start = edr_clock_now_ms();
  CHECK(edr_epmd_lookup("127.0.0.1", port, "n1", edr_deadline_after(150), &port, &error) == EDR_ETIMEOUT);
  CHECK(edr_clock_now_ms() - start >= 149 && edr_clock_now_ms() - start < 1000);
  close(listener);
  CHECK(test_open_descriptors() == before);
}

static void test_real_epmd(void) {
  edr_error error = {EDR_OK, 0, ""};
  uint16_t epmd_port, port = 0, other = 0;
  erlang_process epmd = erlang_start_epmd(&epmd_port);
  erlang_process node = erlang_start_node("-name", "epmd_test@127.0.0.1", ERLANG_TEST_COOKIE, "", NULL);
  char line[64];
  edr_buf names;
  int before;
  erlang_wait_node(&node);
  before = test_open_descriptors();
  CHECK(edr_epmd_lookup("127.0.0.1", epmd_port, "epmd_test", edr_deadline_after(2000), &port, &error) == EDR_OK);
  CHECK(port != 0 && test_port_answers(port));
  /* ERL_EPMD_PORT and a host name lead to the same place */
  CHECK(edr_epmd_lookup("localhost", 0, "epmd_test", edr_deadline_after(2000), &other, NULL) == EDR_OK &&
        other == port);
  CHECK(edr_epmd_lookup("127.0.0.1", epmd_port, "nobody", edr_deadline_after(2000), &other, &error) == EDR_ENODEDOWN);
  CHECK(error.code == EDR_ENODEDOWN && strstr(error.text, "\"nobody\"") != NULL);
  CHECK(edr_epmd_lookup("127.0.0.1", epmd_port, "", edr_deadline_after(2000), &other, &error) == EDR_EBADARG);
  CHECK(edr_epmd_lookup("no.such.host.invalid", epmd_port, "a", edr_deadline_after(2000), &other, &error) ==
        EDR_EUNKNOWNHOST);
  CHECK(edr_epmd_lookup("127.0.0.1", epmd_port, "epmd_test", edr_clock_now_ms() - 1, &other, &error) == EDR_ETIMEOUT);
  edr_buf_init(&names);
  CHECK(edr_epmd_names("127.0.0.1", epmd_port, edr_deadline_after(2000), &names) == EDR_OK);
  snprintf(line, sizeof line, "name epmd_test at port %u\n", (unsigned)port);
  CHECK(names.size == strlen(line) && memcmp(names.data, line, names.size) == 0);
  erlang_stop(&epmd);
  CHECK(edr_epmd_names("127.0.0.1", epmd_port, edr_deadline_after(2000), &names) == EDR_ENOEPMD);
  edr_buf_deinit(&names);
  CHECK(edr_epmd_lookup("127.0.0.1", epmd_port, "epmd_test", edr_deadline_after(2000), &other, &error) == EDR_ENOEPMD);
  CHECK(strstr(error.text, "no epmd answers on 127.0.0.1") != NULL);
  setenv("ERL_EPMD_PORT", "12x", 1);
  CHECK(edr_epmd_lookup("127.0.0.1", 0, "epmd_test", edr_deadline_after(2000), &other, &error) == EDR_EBADARG);
  CHECK(other == port);
  CHECK(test_open_descriptors() == before - 1); /* the pipe of the epmd that was stopped */
  erlang_stop(&node);
}

int main(void) {
  test_request();
  test_response();
  test_false_epmds();
  test_real_epmd();
  return check_done();
}
