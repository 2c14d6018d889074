/* Sockets under a deadline: a reader that is slow, one that does not read, one that is gone, one that drips. */
#include "socket.h"

#include <errno.h>
#include <pthread.h>

#include "check.h"
#include "clock.h"
#include "erlang_node.h"

/* Both ends of one connection. */
static void open_pair(int *out_ours, int *out_theirs) {
  uint16_t port;
  int listener = test_listen(&port);
  CHECK(edr_socket_connect("127.0.0.1", port, edr_deadline_after(2000), out_ours, NULL) == EDR_OK);
  *out_theirs = accept(listener, NULL, NULL);
  CHECK(*out_theirs >= 0);
  close(listener);
}

static void *read_slowly(void *argument) {
  int fd = *(int *)argument;
  static uint8_t chunk[65536];
  size_t total = 0;
  ssize_t got;
  while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0) {
    for (ssize_t i = 0; i < got; i++, total++) {
      if (chunk[i] != (uint8_t)(total * 7)) return NULL;
    }
    if (total % 3 == 0) test_sleep_ms(1);
  }
  *(int *)argument = (int)total;
  return NULL;
}

static void test_large_write(void) {
  enum { SIZE = 8 << 20 };
  uint8_t *data = malloc(SIZE);
  int ours, theirs, fd;
  pthread_t reader;
  open_pair(&ours, &theirs);
  fd = theirs;
  for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * 7);
  CHECK(pthread_create(&reader, NULL, read_slowly, &fd) == 0);
  CHECK(edr_socket_write(ours, data, SIZE, edr_deadline_after(10000)) == EDR_OK);
  close(ours);
  pthread_join(reader, NULL);
  CHECK(fd == SIZE); /* every byte came, in its place */
  close(theirs);
  free(data);
}

static void test_nobody_reads(void) {
  enum { SIZE = 32 << 20 };
  uint8_t *data = calloc(1, SIZE);
  int ours, theirs;
  int64_t start = edr_clock_now_ms();
  open_pair(&ours, &theirs);
  CHECK(edr_socket_write(ours, data, SIZE, edr_deadline_after(100)) == EDR_ETIMEOUT);
  CHECK(edr_clock_now_ms() - start >= 99 && edr_clock_now_ms() - start < 2000);
  close(theirs);
  /* the peer is gone with bytes unread: no SIGPIPE, which would end this test */
  CHECK(edr_socket_write(ours, data, SIZE, edr_deadline_after(1000)) == EDR_ENODEDOWN);
  CHECK(edr_socket_write(ours, data, 1, edr_deadline_after(1000)) == EDR_ENODEDOWN && errno == EPIPE);
  close(ours);
  free(data);
}

static void test_reading(void) {
  uint8_t data[8] = {0};
  size_t size = 0;
  int ours, theirs;
  open_pair(&ours, &theirs);
  CHECK(send(theirs, "abcde", 5, 0) == 5);
  CHECK(edr_socket_read(ours, data, 2, edr_deadline_after(1000)) == EDR_OK && memcmp(data, "ab", 2) == 0);
  /* a deadline that has passed stays passed, though bytes are here */
  CHECK(edr_socket_read(ours, data, 1, edr_clock_now_ms() - 1) == EDR_ETIMEOUT);
  CHECK(edr_socket_read_some(ours, data, sizeof data, EDR_NEVER, &size) == EDR_OK && size == 3);
  CHECK(memcmp(data, "cde", 3) == 0);
  CHECK(edr_socket_read(ours, data, 1, edr_deadline_after(50)) == EDR_ETIMEOUT);
  CHECK(send(theirs, "f", 1, 0) == 1);
  close(theirs);
  CHECK(edr_socket_read(ours, data, 2, edr_deadline_after(1000)) == EDR_ENODEDOWN && errno == 0);
  CHECK(edr_socket_wait(ours, POLLIN, edr_deadline_after(1000)) == EDR_OK);
  close(ours);
}

static void test_connecting(void) {
  edr_error error = {EDR_OK, 0, ""};
  int before = test_open_descriptors(), fd = -7, listener;
  uint16_t port;
  CHECK(edr_socket_connect("127.0.0.1", test_free_port(), edr_deadline_after(1000), &fd, &error) == EDR_EREFUSED);
  CHECK(error.sys_errno == ECONNREFUSED && strstr(error.text, "127.0.0.1") != NULL);
  CHECK(edr_socket_connect("no.such.host.invalid", 1, edr_deadline_after(1000), &fd, &error) == EDR_EUNKNOWNHOST);
  CHECK(edr_socket_connect("", 1, edr_deadline_after(1000), &fd, &error) != EDR_OK);
  listener = test_listen(&port);
  CHECK(edr_socket_connect("127.0.0.1", port, edr_clock_now_ms() - 1, &fd, &error) == EDR_ETIMEOUT);
  CHECK(fd == -7);
  CHECK(edr_socket_connect("localhost", port, EDR_NEVER, &fd, &error) == EDR_OK); /* whether ::1 comes first or not */
  close(fd);
  close(listener);
  CHECK(test_open_descriptors() == before);
}

/* A listener whose queue is full answers no more: connecting has to end with the deadline. */
static void test_full_queue(void) {
  enum { COUNT = 64 };
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int held[COUNT], count = 0, before = test_open_descriptors();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  edr_status status = EDR_OK;
  CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 0) == 0);
  CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
  while (count < COUNT && status == EDR_OK) {
    int64_t start = edr_clock_now_ms();
    status = edr_socket_connect("127.0.0.1", ntohs(address.sin_port), edr_deadline_after(150), &held[count], NULL);
    if (status == EDR_OK) count++;
    CHECK(edr_clock_now_ms() - start < 1500);
  }
  CHECK(status == EDR_ETIMEOUT);
  while (count > 0) close(held[--count]);
  close(listener);
  CHECK(test_open_descriptors() == before);
}

int main(void) {
  test_connecting();
  test_reading();
  test_large_write();
  test_nobody_reads();
  test_full_queue();
  return check_done();
}
