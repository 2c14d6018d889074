/* ssh as a carrier; contracts in tunnel.h. */
#define _GNU_SOURCE /* memfd_create, POSIX_SPAWN_SETSID */
#include "tunnel.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

extern char **environ;

enum { ADDRESS_MAX = 255, ENDING_MS = 1000, LOOK_EVERY_NS = 2000000, CONNECT_MAX_S = 3600 };

struct edr_tunnel {
  pid_t pid;     /* 0: it has ended, and was waited for */
  int exit_code; /* then; 128 and more: by a signal */
  char reason[200];
  int complaints; /* a file without a name: its stderr, which can be read also when ssh has gone, and never blocks it */
};

/* What ssh would take for an option, or a shell for several words, is no host. */
static bool host_valid(const char *host) {
  if (host[0] == '\0' || host[0] == '-' || strlen(host) > ADDRESS_MAX) return false;
  for (const char *c = host; *c != '\0'; c++) {
    if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("'\"`$\\;&<>|(){}", *c) != NULL) return false;
  }
  return true;
}

/* ---- starting it ---- */

/* In a session of its own, so that a Ctrl-C is ours alone, with signals as at the beginning of a program. 0, or an
 * errno. */
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  int problem;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  problem = posix_spawnattr_setsigmask(attributes, &none);
  if (problem == 0) problem = posix_spawnattr_setsigdefault(attributes, &all);
  if (problem == 0) {
    problem = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  return problem;
}

static int spawn(char *const arguments[], int stream, int complaints, pid_t *out_pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int problem = posix_spawn_file_actions_init(&actions);
  if (problem != 0) return problem;
  problem = posix_spawnattr_init(&attributes);
  if (problem != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return problem;
  }
  problem = set_attributes(&attributes);
  if (problem == 0) problem = posix_spawn_file_actions_adddup2(&actions, stream, 0);
  if (problem == 0) problem = posix_spawn_file_actions_adddup2(&actions, stream, 1);
  if (problem == 0) problem = posix_spawn_file_actions_adddup2(&actions, complaints, 2);
  if (problem == 0) problem = posix_spawnp(out_pid, arguments[0], &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return problem;
}

static int start(const char *host, const char *address, uint16_t port, int64_t deadline_ms, int stream,
                 edr_tunnel *tunnel) {
  static char program[] = "ssh", flags[] = "-Tax", o[] = "-o", batch[] = "BatchMode=yes", level[] = "LogLevel=INFO",
              alive[] = "ServerAliveInterval=15", count[] = "ServerAliveCountMax=3", w[] = "-W", rest[] = "--";
  char *chosen = getenv("EDELIVER_RELUP_SSH");
  char to[ADDRESS_MAX + 16], at[ADDRESS_MAX + 1], patience[48];
  char *arguments[] = {program, flags, o, batch, o, level, o, alive, o, count, o, patience, w, to, rest, at, NULL};
  int64_t seconds = CONNECT_MAX_S;
  if (chosen != NULL && chosen[0] != '\0') arguments[0] = chosen;
  if (deadline_ms != EDR_NEVER) seconds = (deadline_ms - edr_clock_now_ms() + 999) / 1000;
  if (seconds < 1) seconds = 1;
  if (seconds > CONNECT_MAX_S) seconds = CONNECT_MAX_S;
  snprintf(patience, sizeof patience, "ConnectTimeout=%d", (int)seconds);
  snprintf(to, sizeof to, strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, (unsigned)port);
  snprintf(at, sizeof at, "%s", host);
  return spawn(arguments, stream, tunnel->complaints, &tunnel->pid);
}

edr_status edr_tunnel_open(const char *host, const char *address, uint16_t port, int64_t deadline_ms, int *out_fd,
                           edr_tunnel **out_tunnel, edr_error *error) {
  int pair[2] = {-1, -1}, problem;
  edr_tunnel *tunnel;
  if (!host_valid(host) || !host_valid(address)) {
    return edr_error_set(error, EDR_EBADARG, 0, "\"%.80s\" is no host that ssh can be given: it looks like user@host",
                         host_valid(host) ? address : host);
  }
  tunnel = calloc(1, sizeof *tunnel);
  if (tunnel == NULL) return edr_error_set(error, EDR_ENOMEM, ENOMEM, "no memory for a tunnel to %s", host);
  tunnel->complaints = memfd_create("ssh", MFD_CLOEXEC);
  if (tunnel->complaints < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    problem = errno;
    edr_tunnel_close(tunnel);
    return edr_error_set(error, EDR_ESYSTEM, problem, "no pipe to ssh could be opened: %s", strerror(problem));
  }
  problem = start(host, address, port, deadline_ms, pair[1], tunnel);
  close(pair[1]);
  if (problem != 0) {
    const char *chosen = getenv("EDELIVER_RELUP_SSH");
    close(pair[0]);
    edr_tunnel_close(tunnel);
    return edr_error_set(error, EDR_ESSH, problem, "%.200s could not be started: %s. On Debian it is in openssh-client",
                         chosen != NULL && chosen[0] != '\0' ? chosen : "ssh", strerror(problem));
  }
  *out_fd = pair[0];
  *out_tunnel = tunnel;
  return EDR_OK;
}

/* ---- its end ---- */

static bool has_ended(edr_tunnel *tunnel) {
  int status;
  pid_t found;
  if (tunnel->pid == 0) return true;
  found = waitpid(tunnel->pid, &status, WNOHANG);
  if (found == 0 || (found < 0 && errno == EINTR)) return false;
  /* Where somebody else has waited for it (a program that ignores SIGCHLD), it is not known how it ended. */
  tunnel->exit_code = found < 0 ? 255 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  tunnel->pid = 0;
  return true;
}

static bool ends_in(edr_tunnel *tunnel, int64_t ms) {
  const struct timespec moment = {0, LOOK_EVERY_NS};
  const int64_t until = edr_clock_now_ms() + ms;
  while (!has_ended(tunnel)) {
    if (edr_clock_now_ms() >= until) return false;
    nanosleep(&moment, NULL);
  }
  return true;
}

/* The end of what was complained, in one line. */
static void read_complaints(const edr_tunnel *tunnel, char *text, size_t size) {
  const off_t end = lseek(tunnel->complaints, 0, SEEK_END);
  const off_t from = end > (off_t)(size - 1) ? end - (off_t)(size - 1) : 0;
  ssize_t got = end > 0 ? pread(tunnel->complaints, text, size - 1, from) : 0;
  size_t used = 0;
  if (got < 0) got = 0;
  for (ssize_t i = 0; i < got; i++) {
    if (text[i] == '\r') continue;
    text[used++] = (char)((unsigned char)text[i] < ' ' ? ' ' : text[i]);
  }
  while (used > 0 && text[used - 1] == ' ') used--;
  text[used] = '\0';
}

bool edr_tunnel_failed(edr_tunnel *tunnel, char *text, size_t size, bool *out_unreachable) {
  *out_unreachable = false;
  text[0] = '\0';
  if (ends_in(tunnel, ENDING_MS) && tunnel->exit_code == 0) return false;
  read_complaints(tunnel, text, size);
  if (text[0] == '\0' && tunnel->pid != 0) return false;
  if (text[0] == '\0') snprintf(text, size, "it ended with exit code %d, and said nothing", tunnel->exit_code);
  *out_unreachable = strstr(text, "stdio forwarding failed") != NULL;
  return true;
}

const char *edr_tunnel_reason(edr_tunnel *tunnel) {
  read_complaints(tunnel, tunnel->reason, sizeof tunnel->reason);
  return tunnel->reason;
}

void edr_tunnel_kill(edr_tunnel *tunnel) {
  if (tunnel != NULL && !has_ended(tunnel)) kill(tunnel->pid, SIGKILL);
}

void edr_tunnel_close(edr_tunnel *tunnel) {
  if (tunnel == NULL) return;
  if (!ends_in(tunnel, ENDING_MS)) {
    kill(tunnel->pid, SIGTERM);
    if (!ends_in(tunnel, ENDING_MS)) {
      edr_tunnel_kill(tunnel);
      ends_in(tunnel, ENDING_MS);
    }
  }
  if (tunnel->complaints >= 0) close(tunnel->complaints);
  free(tunnel);
}
