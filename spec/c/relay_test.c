/* The relay against a real node: everybody fine, some dead, some silent, all dead, nobody; a great many; pids of an
 * earlier life; who sits suspended. No process of ours is left on the node by any of it. And what was cut short does
 * not come after what undoes it. */
#include "processes.h"
#include "relay.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "check.h"
#include "clock.h"
#include "erlang_node.h"
#include "open_node.h"

static uint16_t epmd_port;

static edr_node *open_node(const erlang_process *process, bool rex) {
  return test_open_node(process, epmd_port, rex);
}

/* Appends `count` new processes of a kind; relay_makers.erl says which there are. */
static void make(edr_node *node, const char *kind, int count, edr_pids *pids) {
  edr_buf message, answer;
  edr_etf_reader reader;
  edr_buf_init(&message);
  edr_buf_init(&answer);
  edr_etf_put_tuple(&message, 2);
  edr_etf_put_pid(&message, edr_node_self(node));
  edr_etf_put_tuple(&message, 2);
  edr_etf_put_atom(&message, kind, strlen(kind));
  edr_etf_put_int(&message, count);
  CHECK(edr_node_send_name(node, "maker", &message, edr_deadline_after(1000)) == EDR_OK);
  CHECK(edr_node_receive(node, edr_deadline_after(20000), &answer) == EDR_OK);
  edr_etf_reader_init(&reader, answer.data, answer.size, NULL);
  CHECK(edr_pids_read_list(pids, &reader) == EDR_OK);
  edr_etf_reader_deinit(&reader);
  edr_buf_deinit(&message);
  edr_buf_deinit(&answer);
}

static size_t count_processes(edr_node *node) {
  edr_pids all;
  size_t count;
  edr_pids_init(&all);
  CHECK(edr_processes_all(node, edr_deadline_after(5000), &all) == EDR_OK);
  count = all.count;
  edr_pids_deinit(&all);
  return count;
}

static bool count_comes_to(edr_node *node, size_t wanted) {
  int i;
  for (i = 0; i < 200 && count_processes(node) != wanted; i++) test_sleep_ms(10);
  return i < 200;
}

/* How long it took, in ms; every answer from `from` to `to` must be `expected`. */
static int64_t ask(edr_node *node, const edr_pids *pids, const char *request, int64_t timeout_ms,
                   edr_relay_result *result) {
  const int64_t before = edr_clock_now_ms();
  CHECK(edr_relay_sys(node, pids, request, edr_deadline_after(timeout_ms), result) == EDR_OK);
  CHECK(result->count == pids->count);
  return edr_clock_now_ms() - before;
}

static bool all(const edr_relay_result *result, size_t from, size_t to, edr_answer expected) {
  for (; from < to; from++) {
    if (result->answers[from] != expected) return false;
  }
  return true;
}

static size_t count_suspended(edr_node *node, const edr_pids *pids, size_t *out_hibernating) {
  edr_pids suspended, hibernating;
  size_t count;
  edr_pids_init(&suspended);
  edr_pids_init(&hibernating);
  CHECK(edr_processes_suspended(node, pids, edr_deadline_after(20000), &suspended, &hibernating, NULL) == EDR_OK);
  count = suspended.count;
  if (out_hibernating != NULL) *out_hibernating = hibernating.count;
  edr_pids_deinit(&suspended);
  edr_pids_deinit(&hibernating);
  return count;
}

static void test_classes(edr_node *node) {
  edr_pids pids;
  edr_relay_result result;
  int64_t took;
  size_t before;
  edr_pids_init(&pids);

  CHECK(edr_relay_sys(node, &pids, "suspend", edr_deadline_after(1000), &result) == EDR_OK); /* nobody */
  CHECK(result.count == 0 && result.failed == 0 && !result.sent);
  edr_relay_result_deinit(&result);

  make(node, "make", 50, &pids);
  before = count_processes(node);
  took = ask(node, &pids, "suspend", 5000, &result);
  CHECK(result.failed == 0 && result.sent && all(&result, 0, 50, EDR_ANSWER_OK) && took < 2500);
  edr_relay_result_deinit(&result);
  CHECK(count_suspended(node, &pids, NULL) == 50);
  ask(node, &pids, "resume", 5000, &result);
  CHECK(result.failed == 0 && count_suspended(node, &pids, NULL) == 0);
  edr_relay_result_deinit(&result);
  CHECK(count_comes_to(node, before)); /* the mailboxes are gone */

  make(node, "dead", 20, &pids); /* some are dead: told well before the deadline */
  took = ask(node, &pids, "suspend", 10000, &result);
  CHECK(result.failed == 20 && all(&result, 0, 50, EDR_ANSWER_OK) && all(&result, 50, 70, EDR_ANSWER_NOPROC));
  CHECK(took < 5000);
  edr_relay_result_deinit(&result);

  make(node, "deaf", 5, &pids); /* and some are silent, to the deadline */
  took = ask(node, &pids, "resume", 400, &result);
  CHECK(result.failed == 25 && all(&result, 0, 50, EDR_ANSWER_OK) && all(&result, 50, 70, EDR_ANSWER_NOPROC));
  CHECK(all(&result, 70, 75, EDR_ANSWER_TIMEOUT) && took >= 400 && took < 3000);
  edr_relay_result_deinit(&result);
  CHECK(count_comes_to(node, before + 5));
  edr_pids_deinit(&pids);

  make(node, "dead", 30, &pids); /* everybody is dead */
  took = ask(node, &pids, "resume", 10000, &result);
  CHECK(result.failed == 30 && all(&result, 0, 30, EDR_ANSWER_NOPROC) && took < 5000);
  edr_relay_result_deinit(&result);
  edr_pids_deinit(&pids);
}

typedef struct seen {
  size_t lists, dead, next;
} seen;

static edr_status on_info(void *context, size_t index, edr_slice info) {
  seen *s = context;
  if (index != s->next++) return EDR_EPROTOCOL;
  if (info.data[0] == 108)
    s->lists++; /* LIST_EXT; else the atom undefined */
  else
    s->dead++;
  return EDR_OK;
}

static void put_item(edr_buf *items, const char *item) {
  edr_buf_clear(items);
  edr_etf_put_list(items, 1);
  edr_etf_put_atom(items, item, strlen(item));
  edr_etf_put_nil(items);
}

/* Pids of before the node was started anew: not the node's own to its functions, and simply dead to us. */
static void test_earlier_life(edr_node *node) {
  edr_pids pids;
  edr_relay_result result;
  edr_buf items;
  seen s = {0, 0, 0};
  edr_pids_init(&pids);
  make(node, "make", 3, &pids);
  pids.entries[1].creation ^= 5;
  ask(node, &pids, "suspend", 5000, &result);
  CHECK(result.failed == 1 && result.answers[0] == EDR_ANSWER_OK && result.answers[1] == EDR_ANSWER_NOPROC);
  CHECK(result.answers[2] == EDR_ANSWER_OK);
  edr_relay_result_deinit(&result);
  CHECK(count_suspended(node, &pids, NULL) == 2);
  edr_buf_init(&items);
  put_item(&items, "memory");
  CHECK(edr_processes_info(node, &pids, &items, edr_deadline_after(5000), on_info, &s) == EDR_OK);
  CHECK(s.lists == 2 && s.dead == 1);
  put_item(&items, "no_such_item");
  CHECK(edr_processes_info(node, &pids, &items, edr_deadline_after(5000), on_info, &s) == EDR_EBADARG);
  edr_buf_deinit(&items);
  edr_pids_deinit(&pids);
}

static void test_hibernating(edr_node *node) {
  edr_pids pids;
  size_t hibernating = 0;
  edr_pids_init(&pids);
  make(node, "asleep", 4, &pids);
  CHECK(count_suspended(node, &pids, &hibernating) == 0 && hibernating == 4);
  edr_pids_deinit(&pids);
}

static void test_many(edr_node *node) {
  enum { MANY = 50000 };
  edr_pids pids;
  edr_relay_result result;
  edr_buf items;
  seen s = {0, 0, 0};
  size_t before;
  edr_pids_init(&pids);
  make(node, "make", MANY, &pids);
  make(node, "dead", 100, &pids);
  before = count_processes(node);
  ask(node, &pids, "suspend", 20000, &result);
  CHECK(result.failed == 100 && all(&result, 0, MANY, EDR_ANSWER_OK) &&
        all(&result, MANY, MANY + 100, EDR_ANSWER_NOPROC));
  edr_relay_result_deinit(&result);
  CHECK(count_suspended(node, &pids, NULL) == MANY);
  ask(node, &pids, "resume", 20000, &result);
  CHECK(result.failed == 100);
  edr_relay_result_deinit(&result);
  edr_buf_init(&items);
  put_item(&items, "status");
  CHECK(edr_processes_info(node, &pids, &items, edr_deadline_after(20000), on_info, &s) == EDR_OK);
  CHECK(s.lists == MANY && s.dead == 100);
  edr_buf_deinit(&items);
  CHECK(count_comes_to(node, before));
  edr_pids_deinit(&pids);
}

/* ---- a request that is cut short while what hands it out gets no time ---- */

static int cut_fd = -1; /* what the alarm shuts down, too */

static void on_alarm(int number) {
  (void)number;
  if (cut_fd >= 0) (void)shutdown(cut_fd, SHUT_RDWR);
}

static void alarm_after(long ms) {
  const struct itimerval once = {{0, 0}, {0, ms * 1000}};
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &once, NULL);
}

/* Until that process has ended. */
static void wait_for_end(edr_node *node, const edr_pid *pid) {
  edr_ref ref;
  edr_buf down;
  edr_buf_init(&down);
  CHECK(edr_node_monitor(node, pid, &ref) == EDR_OK);
  CHECK(edr_node_receive(node, edr_deadline_after(20000), &down) == EDR_OK);
  edr_buf_deinit(&down);
}

/* Until all that lies in the mailboxes of these servers was dealt with. */
static void drain(edr_node *node, const edr_pids *pids) {
  edr_buf arguments;
  edr_call *call = NULL;
  size_t i;
  edr_buf_init(&arguments);
  edr_etf_put_list(&arguments, 2);
  edr_etf_put_export(&arguments, "sys", "get_status", 1);
  edr_etf_put_list(&arguments, pids->count);
  for (i = 0; i < pids->count; i++) edr_pids_put(&arguments, pids, i);
  edr_etf_put_nil(&arguments);
  edr_etf_put_nil(&arguments);
  CHECK(edr_node_call_await(node, "lists", "map", &arguments, edr_deadline_after(20000), &call) == EDR_OK);
  edr_call_free(call);
  edr_buf_deinit(&arguments);
}

/* A signal comes, and, where `cut`, the connection is lost. Whoever resumes then has the last word. */
static void test_cut_short(const erlang_process *process, edr_node *other, bool cut) {
  edr_node *node = open_node(process, false);
  edr_pids pids, holder;
  edr_pid pid;
  edr_relay_result result;
  edr_pids_init(&pids);
  edr_pids_init(&holder);
  make(other, "make", 500, &pids);
  ask(node, &pids, "resume", 5000, &result);
  edr_relay_result_deinit(&result);
  make(other, "hold", 1500, &holder);
  edr_pids_get(&holder, 0, &pid);
  cut_fd = cut ? edr_node_fd(node) : -1;
  alarm_after(300);
  CHECK(edr_relay_sys(node, &pids, "suspend", edr_deadline_after(20000), &result) == EDR_EINTERRUPTED);
  CHECK(result.sent);
  edr_relay_result_deinit(&result);
  ask(other, &pids, "resume", 20000, &result);
  CHECK(result.failed == 0);
  edr_relay_result_deinit(&result);
  wait_for_end(other, &pid);
  drain(other, &pids);
  CHECK(count_suspended(other, &pids, NULL) == 0);
  edr_pids_deinit(&pids);
  edr_pids_deinit(&holder);
  edr_node_free(node);
}

static void kill_later(const erlang_process *process, long ms) {
  if (fork() == 0) {
    test_sleep_ms(ms);
    kill(process->pid, SIGKILL);
    _exit(0);
  }
}

/* The node dies while answers are waited for. */
static void test_node_dies(erlang_process *process, edr_node *node) {
  edr_pids pids;
  edr_relay_result result;
  int status;
  edr_pids_init(&pids);
  make(node, "deaf", 3, &pids);
  kill_later(process, 200);
  CHECK(edr_relay_sys(node, &pids, "suspend", edr_deadline_after(20000), &result) == EDR_ENODEDOWN);
  CHECK(result.sent && result.count == 3 && result.failed == 3);
  edr_relay_result_deinit(&result);
  CHECK(edr_relay_sys(node, &pids, "suspend", edr_deadline_after(20000), &result) == EDR_ENODEDOWN && !result.sent);
  edr_relay_result_deinit(&result);
  edr_pids_deinit(&pids);
  wait(&status); /* of kill_later, or of the node, which erlang_stop then looks for in vain */
}

int main(void) {
  char makers[1024];
  erlang_process process, epmd = erlang_start_epmd(&epmd_port);
  edr_node *node, *by_rex;
  erlang_put_module(makers, sizeof makers, __FILE__, "relay_makers");
  process = erlang_start_node("-name", "relay@127.0.0.1", ERLANG_TEST_COOKIE, makers, NULL);
  erlang_wait_node(&process);
  node = open_node(&process, false);
  by_rex = open_node(&process, true);
  test_classes(node);
  test_classes(by_rex);
  test_earlier_life(node);
  test_earlier_life(by_rex);
  test_hibernating(node);
  test_cut_short(&process, node, false); /* while pids still are in the order in which processes were spawned */
  test_cut_short(&process, node, true);
  test_many(node);
  test_node_dies(&process, node);
  edr_node_free(node);
  edr_node_free(by_rex);
  erlang_stop(&process);
  erlang_stop(&epmd);
  return check_done();
}
