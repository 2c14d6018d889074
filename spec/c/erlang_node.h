/* Real Erlang nodes for the C tests, with an epmd and a cookie of their own. Every process is ended by its pid, and
 * dies with the test should that crash. Start several nodes first and wait for them afterwards: they boot side by side.
 */
#ifndef EDR_ERLANG_NODE_H
#define EDR_ERLANG_NODE_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ERLANG_TEST_COOKIE "a_cookie_of_the_c_tests"

/* A process named `echo` on every test node: {Pid, hidden} is answered with nodes(hidden), {Pid, Term} with Term. */
#define ERLANG_TEST_ECHO                                                                                               \
  "register(echo, spawn(fun() -> F = fun(G) -> receive {P, hidden} -> P ! nodes(hidden); {P, T} -> P ! T end, G(G) "   \
  "end, F(F) end)), "

typedef struct erlang_process {
  pid_t pid;
  int out;       /* reads what it prints */
  char name[64]; /* of a node: name@host */
} erlang_process;

static inline void test_sleep_ms(long ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

/* A socket that listens on a free port of 127.0.0.1. */
static inline int test_listen(uint16_t *out_port) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    perror("test_listen");
    exit(2);
  }
  *out_port = ntohs(address.sin_port);
  return fd;
}

/* A port of 127.0.0.1 on which nobody listens. */
static inline uint16_t test_free_port(void) {
  uint16_t port;
  close(test_listen(&port));
  return port;
}

static inline bool test_port_answers(uint16_t port) {
  struct sockaddr_in address;
  bool answers;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  close(fd);
  return answers;
}

/* Runs a program with its output in a pipe of ours. */
static inline erlang_process erlang_spawn(char *const arguments[]) {
  erlang_process process = {-1, -1, ""};
  int out[2];
  if (pipe(out) != 0) {
    perror("pipe");
    exit(2);
  }
  fcntl(out[0], F_SETFD, FD_CLOEXEC);
  process.pid = fork();
  if (process.pid == 0) {
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("ERL_CRASH_DUMP_SECONDS", "0", 1);
    dup2(null, 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    close(out[1]);
    execvp(arguments[0], arguments);
    _exit(127);
  }
  close(out[1]);
  process.out = out[0];
  return process;
}

static inline void erlang_stop(erlang_process *process) {
  if (process->pid > 0) {
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
  }
  if (process->out >= 0) close(process->out);
  process->pid = process->out = -1;
}

/* An epmd on a port of its own, which ERL_EPMD_PORT names from now on. */
static inline erlang_process erlang_start_epmd(uint16_t *out_port) {
  char text[8];
  char *arguments[] = {"epmd", "-port", text, "-address", "127.0.0.1", NULL}; /* and ::1, which it adds itself */
  erlang_process process;
  *out_port = test_free_port();
  snprintf(text, sizeof text, "%u", (unsigned)*out_port);
  setenv("ERL_EPMD_PORT", text, 1);
  process = erlang_spawn(arguments);
  for (int i = 0; i < 200 && !test_port_answers(*out_port); i++) test_sleep_ms(10);
  return process;
}

/* Starts a node; `kind` is "-sname" or "-name"; `eval` is run once the node is up: expressions, each followed by a
 * comma. `more` are further arguments, up to a NULL; without them (NULL) the node listens on 127.0.0.1 alone. */
static inline erlang_process erlang_start_node(const char *kind, const char *name, const char *cookie, const char *eval,
                                               const char *const *more) {
  char *arguments[32] = {"erl", "-noinput", "-start_epmd", "false",        "-boot",      "start_clean",
                         "+S",  "1",        "-setcookie",  (char *)cookie, (char *)kind, (char *)name};
  int count = 12; /* there is an epmd: -start_epmd false keeps the node from trying to start another */
  static const char *const loopback[] = {"-kernel", "inet_dist_use_interface", "{127,0,0,1}", NULL};
  char expressions[2048];
  snprintf(expressions, sizeof expressions, "%s %s io:format(\"up as ~s.~n\", [node()]).", ERLANG_TEST_ECHO, eval);
  if (more == NULL) more = loopback;
  while (*more != NULL && count < 28) arguments[count++] = (char *)*more++;
  arguments[count++] = "-eval";
  arguments[count++] = expressions;
  arguments[count] = NULL;
  return erlang_spawn(arguments);
}

/* What `eval` of erlang_start_node must be to compile MODULE.erl, beside the C file `file`, on the node, and start it.
 */
static inline void erlang_put_module(char *eval, size_t size, const char *file, const char *module) {
  const char *slash = strrchr(file, '/');
  snprintf(eval, size,
           "{ok, %s, Beam} = compile:file(\"%.*s%s.erl\", [binary, report]), "
           "{module, %s} = code:load_binary(%s, \"%s\", Beam), %s:start(), ",
           module, slash == NULL ? 0 : (int)(slash - file + 1), file, module, module, module, module, module);
}

/* Waits until the node is up, and fills in its name. Ends the test where it does not come up. */
static inline void erlang_wait_node(erlang_process *process) {
  char text[1024] = "", *up, *end;
  size_t size = 0;
  struct pollfd item = {process->out, POLLIN, 0};
  for (;;) {
    ssize_t got = poll(&item, 1, 20000) == 1 ? read(process->out, text + size, sizeof text - 1 - size) : -1;
    if (got <= 0) {
      fprintf(stderr, "a test node did not start: %s\n", text);
      exit(2); /* the processes die with us */
    }
    size += (size_t)got;
    text[size] = '\0';
    up = strstr(text, "up as ");
    end = up != NULL ? strstr(up, ".\n") : NULL;
    if (end == NULL) continue;
    *end = '\0';
    snprintf(process->name, sizeof process->name, "%.60s", up + strlen("up as "));
    return;
  }
}

/* How many descriptors this process has open. */
static inline int test_open_descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  int count = -3; /* itself, . and .. */
  if (folder == NULL) {
    perror("/proc/self/fd");
    exit(2);
  }
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

#endif
