/* The tunnel, with programs that stand in for ssh: what it is given, what it says where it fails, and that it ends. */
#define _GNU_SOURCE /* mkdtemp */
#include "tunnel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "socket.h"

static char folder[] = "/tmp/edr_tunnel.XXXXXX";
static char program[64];

/* The stand-in, from its lines. */
static void stand_in(const char *lines) {
  FILE *file = fopen(program, "w");
  CHECK(file != NULL);
  fprintf(file, "#!/bin/sh\n%s\n", lines);
  CHECK(fclose(file) == 0 && chmod(program, 0700) == 0);
}

static edr_status open_to(const char *host, int *out_fd, edr_tunnel **out_tunnel, edr_error *error) {
  return edr_tunnel_open(host, "10.0.0.7", 4369, edr_deadline_after(5000), out_fd, out_tunnel, error);
}

static void test_carries(void) {
  char text[200], *end;
  uint8_t data[512];
  size_t size = 0, got;
  edr_tunnel *tunnel = NULL;
  bool unreachable;
  int fd = -1;
  stand_in("echo \"$@\"; exec cat");
  CHECK(open_to("ops@web1", &fd, &tunnel, NULL) == EDR_OK);
  CHECK(edr_socket_write(fd, (const uint8_t *)"over\n", 5, edr_deadline_after(20000)) == EDR_OK);
  do {
    CHECK(edr_socket_read_some(fd, data + size, sizeof data - 1 - size, edr_deadline_after(20000), &got) == EDR_OK);
    size += got;
    data[size] = '\0';
  } while (strstr((char *)data, "\nover\n") == NULL);
  end = strstr((char *)data, "-W 10.0.0.7:4369 -- ops@web1\n");
  CHECK(end != NULL && strstr((char *)data, "BatchMode=yes") != NULL &&
        strstr((char *)data, "ConnectTimeout=5") != NULL);
  shutdown(fd, SHUT_WR);
  CHECK(edr_socket_read_some(fd, data, sizeof data, edr_deadline_after(20000), &got) == EDR_ENODEDOWN);
  CHECK(!edr_tunnel_failed(tunnel, text, sizeof text, &unreachable) && text[0] == '\0');
  close(fd);
  edr_tunnel_close(tunnel);
}

static void check_failure(const char *lines, const char *complaint, bool is_unreachable) {
  char text[64];
  uint8_t byte;
  size_t got;
  edr_tunnel *tunnel = NULL;
  bool unreachable;
  int fd = -1;
  stand_in(lines);
  CHECK(open_to("web1", &fd, &tunnel, NULL) == EDR_OK);
  CHECK(edr_socket_read_some(fd, &byte, 1, edr_deadline_after(20000), &got) == EDR_ENODEDOWN);
  CHECK(edr_tunnel_failed(tunnel, text, sizeof text, &unreachable));
  CHECK(strcmp(text, complaint) == 0 && unreachable == is_unreachable);
  CHECK(strstr(edr_tunnel_reason(tunnel), strstr(complaint, "said nothing") == NULL ? complaint : "") != NULL);
  close(fd);
  edr_tunnel_close(tunnel);
}

static void test_failures(void) {
  char path[96];
  edr_tunnel *tunnel = NULL;
  edr_error error;
  int fd = -1;
  check_failure("echo 'Permission denied\r' >&2; echo >&2; exit 255", "Permission denied", false);
  check_failure("echo 'channel 0: open failed' >&2; echo 'stdio forwarding failed' >&2; exit 255",
                "channel 0: open failed stdio forwarding failed", true);
  check_failure("exit 7", "it ended with exit code 7, and said nothing", false);
  check_failure("kill -9 $$", "it ended with exit code 137, and said nothing", false);
  /* The end of what it says is what counts. */
  check_failure("printf '%080d' 0 >&2; echo ' denied' >&2; exit 1",
                "00000000000000000000000000000000000000000000000000000000 denied" + 1, false);
  CHECK(open_to("-oProxyCommand=x", &fd, &tunnel, &error) == EDR_EBADARG);
  CHECK(open_to("", &fd, &tunnel, &error) == EDR_EBADARG && open_to("a b", &fd, &tunnel, &error) == EDR_EBADARG);
  snprintf(path, sizeof path, "%s/none", folder);
  CHECK(setenv("EDELIVER_RELUP_SSH", path, 1) == 0);
  CHECK(open_to("web1", &fd, &tunnel, &error) == EDR_ESSH && strstr(error.text, "could not be started") != NULL);
  CHECK(setenv("EDELIVER_RELUP_SSH", program, 1) == 0);
  CHECK(fd == -1 && tunnel == NULL);
}

/* One that does not mind the end of its input, nor SIGTERM. */
static void test_ends(void) {
  edr_tunnel *tunnel = NULL;
  uint8_t data[16] = "";
  size_t got = 0;
  int fd = -1;
  stand_in("trap '' TERM; echo $$; while :; do sleep 1; done");
  CHECK(open_to("web1", &fd, &tunnel, NULL) == EDR_OK);
  CHECK(edr_socket_read_some(fd, data, sizeof data - 1, edr_deadline_after(20000), &got) == EDR_OK);
  close(fd);
  edr_tunnel_close(tunnel);
  CHECK(kill((pid_t)atoi((char *)data), 0) != 0 && errno == ESRCH);
  edr_tunnel_close(NULL);
  edr_tunnel_kill(NULL);
}

int main(void) {
  CHECK(mkdtemp(folder) != NULL);
  snprintf(program, sizeof program, "%s/ssh", folder);
  CHECK(setenv("EDELIVER_RELUP_SSH", program, 1) == 0);
  test_carries();
  test_failures();
  test_ends();
  unlink(program);
  rmdir(folder);
  return check_done();
}
