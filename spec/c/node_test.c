/* A connection against a real node: calls of every outcome, several at once, by erpc and by rex; messages, monitors,
 * links; what the node asks of us; and what happens when it goes away in the middle. */
#include "node.h"

#include <stdarg.h>

#include "check.h"
#include "clock.h"
#include "erlang_node.h"
#include "open_node.h"

static uint16_t epmd_port;

static edr_node *open_node(const erlang_process *process, bool rex) {
  return test_open_node(process, epmd_port, rex);
}

/* An argument list: each character of `kinds` takes one argument: a(tom), l(ist of an atom), i(nteger), b(inary),
 * s(tring), p(id). */
static edr_buf arguments(const char *kinds, ...) {
  edr_buf buf;
  va_list list;
  const char *text;
  va_start(list, kinds);
  edr_buf_init(&buf);
  edr_etf_put_list(&buf, strlen(kinds));
  for (; *kinds != '\0'; kinds++) {
    switch (*kinds) {
    case 'a':
      text = va_arg(list, const char *);
      edr_etf_put_atom(&buf, text, strlen(text));
      break;
    case 'l':
      text = va_arg(list, const char *);
      edr_etf_put_list(&buf, 1);
      edr_etf_put_atom(&buf, text, strlen(text));
      edr_etf_put_nil(&buf);
      break;
    case 'i':
      edr_etf_put_int(&buf, va_arg(list, int));
      break;
    case 'b':
      text = va_arg(list, const char *);
      edr_etf_put_binary(&buf, text, strlen(text));
      break;
    case 's':
      text = va_arg(list, const char *);
      edr_etf_put_string(&buf, (const uint8_t *)text, strlen(text));
      break;
    default:
      edr_etf_put_pid(&buf, va_arg(list, const edr_pid *));
      break;
    }
  }
  va_end(list);
  edr_etf_put_nil(&buf);
  return buf;
}

static edr_call *start(edr_node *node, const char *module, const char *function, edr_buf args) {
  edr_call *call = NULL;
  CHECK(edr_node_call(node, module, function, &args, edr_deadline_after(30000), &call) == EDR_OK);
  edr_buf_deinit(&args);
  return call;
}

static edr_call *finish(edr_node *node, edr_call *call, edr_outcome outcome) {
  const edr_status status = edr_node_await(node, call, edr_deadline_after(5000));
  if (status != EDR_OK) fprintf(stderr, "%s\n", edr_node_error(node)->text);
  CHECK(status == EDR_OK && edr_call_outcome(call) == outcome);
  return call;
}

static bool is(edr_slice value, const char *atom) {
  edr_etf_reader reader;
  bool same;
  edr_etf_reader_init(&reader, value.data, value.size, NULL);
  same = edr_etf_read_this_atom(&reader, atom) == EDR_OK;
  edr_etf_reader_deinit(&reader);
  return same;
}

static bool returns(edr_node *node, const char *module, const char *function, edr_buf args, const char *atom) {
  edr_call *call = finish(node, start(node, module, function, args), EDR_OUTCOME_RETURN);
  const bool same = is(edr_call_value(call), atom);
  edr_call_free(call);
  return same;
}

static int64_t process_count(edr_node *node) {
  edr_call *call =
      finish(node, start(node, "erlang", "system_info", arguments("a", "process_count")), EDR_OUTCOME_RETURN);
  int64_t count = -1;
  CHECK(edr_slice_int(edr_call_value(call), &count) == EDR_OK);
  edr_call_free(call);
  return count;
}

static bool count_comes_to(edr_node *node, int64_t wanted) {
  int i;
  for (i = 0; i < 100 && process_count(node) != wanted; i++) test_sleep_ms(10);
  return i < 100;
}

static void test_outcomes(edr_node *node, bool rex) {
  edr_call *call;
  edr_slice parts;
  CHECK(returns(node, "erlang", "node", arguments(""), edr_node_name(node)));
  call = finish(node, start(node, "erlang", "throw", arguments("a", "ball")),
                rex ? EDR_OUTCOME_RETURN : EDR_OUTCOME_THROW);
  CHECK(is(edr_call_value(call), "ball"));
  edr_call_free(call);
  call = finish(node, start(node, "erlang", "exit", arguments("a", "tired")), EDR_OUTCOME_EXIT);
  CHECK(is(edr_call_value(call), "tired"));
  edr_call_free(call);
  call = finish(node, start(node, "erlang", "error", arguments("a", "broken")),
                rex ? EDR_OUTCOME_EXIT : EDR_OUTCOME_ERROR);
  parts = edr_call_value(call);
  CHECK(rex ? parts.data[0] == 104 : is(parts, "broken")); /* rex: {broken, Stack} */
  edr_call_free(call);
  call = finish(node, start(node, "no_such_module", "f", arguments("")), rex ? EDR_OUTCOME_EXIT : EDR_OUTCOME_ERROR);
  CHECK(rex ? edr_call_value(call).data[0] == 104 : is(edr_call_value(call), "undef"));
  edr_call_free(call);
}

/* Answers come in another order than the calls; one that is given up does not become the answer of the next. */
static void test_in_flight(edr_node *node) {
  edr_call *slow = start(node, "timer", "sleep", arguments("i", 200)),
           *fast = start(node, "erlang", "node", arguments(""));
  edr_call *given_up;
  int i;
  edr_call_free(finish(node, fast, EDR_OUTCOME_RETURN));
  CHECK(edr_call_outcome(slow) == EDR_OUTCOME_PENDING);
  CHECK(edr_node_await(node, slow, edr_deadline_after(10)) == EDR_ETIMEOUT);
  edr_call_free(finish(node, slow, EDR_OUTCOME_RETURN));

  given_up = start(node, "timer", "sleep", arguments("i", 50));
  CHECK(edr_node_await(node, given_up, edr_deadline_after(1)) == EDR_ETIMEOUT);
  edr_call_free(given_up);
  for (i = 0; i < 20; i++) {
    CHECK(returns(node, "erlang", "node", arguments(""), edr_node_name(node)));
    test_sleep_ms(5);
  }
}

static void test_what_the_node_asks(edr_node *node) {
  edr_call *call;
  CHECK(returns(node, "net_adm", "ping", arguments("a", edr_node_self(node)->node), "pong"));
  CHECK(returns(node, "io", "format", arguments("s", "printed by a called function\n"), "ok"));
  /* gen_server:call to a name that we don't have: it is told at once, and does not wait for its timeout */
  call = start(node, "erlang", "monitor", arguments("ap", "process", edr_node_self(node)));
  edr_call_free(finish(node, call, EDR_OUTCOME_RETURN));
}

static void test_sizes(edr_node *node) {
  enum { COUNT = 20 * 1000 * 1000 };
  edr_call *call = finish(node, start(node, "binary", "copy", arguments("bi", "x", COUNT)), EDR_OUTCOME_RETURN);
  edr_slice value = edr_call_value(call);
  edr_buf args;
  int i;
  CHECK(value.size == COUNT + 5 && value.data[5] == 'x' && value.data[value.size - 1] == 'x');
  edr_buf_init(&args); /* and as large a question: byte_size/1 of it */
  edr_etf_put_list(&args, 1);
  edr_buf_append(&args, value.data, value.size);
  edr_etf_put_nil(&args);
  edr_call_free(call);
  edr_call_free(finish(node, start(node, "erlang", "byte_size", args), EDR_OUTCOME_RETURN));

  /* {{{...}}}, deeper than is read: an error of this call alone. lists:foldl(fun erlang:make_tuple/2, x, [1, 1, ...])
   */
  for (i = 1000; i <= 3000; i += 2000) {
    edr_status status;
    uint8_t ones[3000];
    memset(ones, 1, sizeof ones);
    edr_buf_init(&args);
    edr_etf_put_list(&args, 3);
    edr_etf_put_export(&args, "erlang", "make_tuple", 2);
    edr_etf_put_atom(&args, "x", 1);
    edr_etf_put_string(&args, ones, (size_t)i);
    edr_etf_put_nil(&args);
    call = start(node, "lists", "foldl", args);
    status = edr_node_await(node, call, edr_deadline_after(5000));
    CHECK(status == (i == 1000 ? EDR_OK : EDR_ELIMIT));
    edr_call_free(call);
  }
  CHECK(edr_node_is_open(node) && returns(node, "erlang", "node", arguments(""), edr_node_name(node)));
}

static void sleeper(edr_node *node, edr_pid *out_pid) {
  edr_buf args = arguments("aal", "timer", "sleep", "infinity");
  edr_call *call = NULL;
  CHECK(edr_node_call_await(node, "erlang", "spawn", &args, edr_deadline_after(5000), &call) == EDR_OK);
  CHECK(edr_slice_pid(edr_call_value(call), out_pid) == EDR_OK);
  edr_call_free(call);
  edr_buf_deinit(&args);
}

static bool receive_down(edr_node *node, const edr_ref *ref, const char *reason) {
  edr_buf message;
  edr_etf_reader reader;
  edr_pid pid;
  edr_ref got;
  size_t arity = 0;
  bool is_it;
  edr_buf_init(&message);
  CHECK(edr_node_receive(node, edr_deadline_after(5000), &message) == EDR_OK);
  edr_etf_reader_init(&reader, message.data, message.size, NULL);
  is_it = edr_etf_read_tuple(&reader, &arity) == EDR_OK && arity == 5 &&
          edr_etf_read_this_atom(&reader, "DOWN") == EDR_OK && edr_etf_read_ref(&reader, &got) == EDR_OK &&
          edr_ref_equal(&got, ref) && edr_etf_read_this_atom(&reader, "process") == EDR_OK &&
          edr_etf_read_pid(&reader, &pid) == EDR_OK && edr_etf_read_this_atom(&reader, reason) == EDR_OK;
  edr_etf_reader_deinit(&reader);
  edr_buf_deinit(&message);
  return is_it;
}

static void test_messages(edr_node *node) {
  edr_buf message, got;
  edr_pid pid;
  edr_ref ref, unused;
  edr_slice value;

  edr_buf_init(&message);
  edr_buf_init(&got);
  edr_etf_put_tuple(&message, 2);
  edr_etf_put_pid(&message, edr_node_self(node));
  edr_etf_put_atom(&message, "hello", 5);
  CHECK(edr_node_send_name(node, "echo", &message, edr_deadline_after(1000)) == EDR_OK);
  CHECK(edr_node_receive(node, edr_deadline_after(5000), &got) == EDR_OK);
  value = (edr_slice){got.data, got.size};
  CHECK(is(value, "hello"));
  CHECK(edr_node_receive(node, edr_deadline_after(10), &got) == EDR_ETIMEOUT);
  edr_buf_deinit(&message);
  edr_buf_deinit(&got);

  sleeper(node, &pid);
  CHECK(edr_node_monitor(node, &pid, &unused) == EDR_OK && edr_node_demonitor(node, &unused) == EDR_OK);
  CHECK(edr_node_monitor(node, &pid, &ref) == EDR_OK);
  CHECK(edr_node_kill(node, &pid) == EDR_OK);
  CHECK(receive_down(node, &ref, "killed"));
  CHECK(edr_node_monitor(node, &pid, &ref) == EDR_OK); /* it is dead by now */
  CHECK(receive_down(node, &ref, "noproc"));
}

/* Each monitor is told once, but for those that were taken back. */
static void test_many_monitors(edr_node *node) {
  enum { COUNT = 1000 };
  static edr_ref refs[COUNT];
  edr_buf got;
  edr_pid pid;
  size_t i, told = 0;

  edr_buf_init(&got);
  sleeper(node, &pid);
  for (i = 0; i < COUNT; i++) CHECK(edr_node_monitor(node, &pid, &refs[i]) == EDR_OK);
  for (i = 0; i < COUNT; i += 7)
    CHECK(edr_node_demonitor(node, &refs[i]) == EDR_OK && edr_node_demonitor(node, &refs[i]) == EDR_OK);
  CHECK(edr_node_kill(node, &pid) == EDR_OK);
  while (told < COUNT - (COUNT + 6) / 7 && edr_node_receive(node, edr_deadline_after(5000), &got) == EDR_OK) told++;
  CHECK(told == COUNT - (COUNT + 6) / 7);
  CHECK(edr_node_receive(node, edr_deadline_after(10), &got) == EDR_ETIMEOUT);
  edr_buf_deinit(&got);
}

/* Acts end when they shall, also one that was given up before the node knew of it; and with the connection. */
static void test_acts_end(const erlang_process *process, edr_node *other) {
  enum { MEGABYTES = 16 }; /* more than any buffer between us takes */
  const int64_t before = process_count(other);
  static char bytes[MEGABYTES << 20];
  edr_buf forever = arguments("a", "infinity"), large;
  edr_call *call, *act = NULL, *given_up = NULL, *before_it = NULL, *last = NULL;
  edr_node *node = open_node(process, false);

  memset(bytes, 'x', sizeof bytes - 1);
  large = arguments("b", bytes);
  CHECK(edr_node_act(node, "timer", "sleep", &forever, edr_deadline_after(1000), &act) == EDR_OK);
  kill(process->pid, SIGSTOP);
  CHECK(waitpid(process->pid, NULL, WUNTRACED) == process->pid); /* now all of its threads have stopped */
  CHECK(edr_node_call(node, "erlang", "byte_size", &large, edr_deadline_after(20), &before_it) == EDR_ETIMEOUT);
  CHECK(edr_node_act(node, "timer", "sleep", &forever, edr_deadline_after(20), &given_up) == EDR_ETIMEOUT);
  kill(process->pid, SIGCONT);
  CHECK(edr_node_end_acts(node, edr_deadline_after(20000)) == EDR_OK); /* also of whom no call is left */
  CHECK(count_comes_to(other, before + 1));                            /* the process that minds this connection */
  CHECK(edr_node_act(node, "timer", "sleep", &forever, edr_deadline_after(1000), &last) == EDR_OK);
  CHECK(edr_node_call(node, "erlang", "node", &forever, edr_deadline_after(30000), &call) ==
        EDR_OK); /* badarg or not: it is in flight */
  edr_node_free(node);
  edr_call_free(act);
  edr_call_free(last);
  CHECK(edr_node_await(other, call, edr_deadline_after(1)) == EDR_ETIMEOUT); /* still safe to look at, and to free */
  edr_call_free(call);
  CHECK(count_comes_to(other, before));
  edr_buf_deinit(&forever);
  edr_buf_deinit(&large);
}

static void test_closed(const erlang_process *process) {
  edr_node *node = open_node(process, false);
  edr_call *call = start(node, "timer", "sleep", arguments("i", 5000));
  edr_buf args = arguments(""), message;
  edr_pid pid = *edr_node_self(node);
  edr_ref ref;
  edr_buf_init(&message);
  edr_node_close(node);
  edr_node_close(node);
  CHECK(!edr_node_is_open(node) && edr_node_fd(node) == -1 && !edr_node_wants_write(node));
  CHECK(edr_node_await(node, call, edr_deadline_after(1000)) == EDR_ECLOSED);
  edr_call_free(call);
  CHECK(edr_node_call(node, "erlang", "node", &args, edr_deadline_after(30000), &call) == EDR_ECLOSED);
  CHECK(edr_node_cast(node, "erlang", "node", &args, 0) == EDR_ECLOSED);
  CHECK(edr_node_send(node, &pid, &args, 0) == EDR_ECLOSED && edr_node_monitor(node, &pid, &ref) == EDR_ECLOSED);
  CHECK(edr_node_receive(node, 0, &message) == EDR_ECLOSED && edr_node_pump(node) == EDR_ECLOSED);
  CHECK(edr_node_error(node)->code == EDR_ECLOSED);
  edr_buf_deinit(&args);
  edr_buf_deinit(&message);
  edr_node_free(node);
}

/* The node dies: a call that waits says so, an answer that was here before is still one. */
static void test_killed(erlang_process *process) {
  edr_node *node = open_node(process, false);
  edr_call *answered = start(node, "erlang", "node", arguments("")), *waiting;
  edr_buf args = arguments("");
  waiting = start(node, "timer", "sleep", arguments("i", 60000));
  test_sleep_ms(200);
  erlang_stop(process);
  test_sleep_ms(50);
  (void)edr_node_cast(node, "erlang", "node", &args,
                      edr_deadline_after(100)); /* a write may be the first to find out */
  (void)edr_node_cast(node, "erlang", "node", &args, edr_deadline_after(100));
  edr_call_free(finish(node, answered, EDR_OUTCOME_RETURN));
  CHECK(edr_node_await(node, waiting, edr_deadline_after(5000)) == EDR_ENODEDOWN);
  CHECK(edr_call_outcome(waiting) == EDR_OUTCOME_PENDING && !edr_node_is_open(node));
  CHECK(strstr(edr_node_error(node)->text, process->name) != NULL);
  edr_call_free(waiting);
  edr_buf_deinit(&args);
  edr_node_free(node);
}

int main(void) {
  static const char *const short_tick[] = {"-kernel", "inet_dist_use_interface", "{127,0,0,1}", "net_ticktime", "4",
                                           NULL};
  erlang_process epmd = erlang_start_epmd(&epmd_port);
  erlang_process process = erlang_start_node("-name", "calls@127.0.0.1", ERLANG_TEST_COOKIE, "", NULL);
  erlang_process ticking = erlang_start_node("-name", "ticks@127.0.0.1", ERLANG_TEST_COOKIE, "", short_tick);
  edr_node *node, *by_rex, *idle;
  int64_t since;
  int descriptors;

  erlang_wait_node(&process);
  erlang_wait_node(&ticking);
  descriptors = test_open_descriptors();
  idle = open_node(&ticking, false);
  since = edr_clock_now_ms();
  node = open_node(&process, false);
  by_rex = open_node(&process, true);
  test_outcomes(node, false);
  test_outcomes(by_rex, true);
  test_in_flight(node);
  test_in_flight(by_rex);
  test_what_the_node_asks(node);
  test_what_the_node_asks(by_rex);
  test_sizes(node);
  test_messages(node);
  test_many_monitors(node);
  test_messages(by_rex);
  test_many_monitors(by_rex);
  test_acts_end(&process, node);
  test_closed(&process);
  edr_node_free(by_rex);
  edr_node_free(node);
  test_killed(&process);
  /* Nobody has touched this connection for longer than its node's patience of 4 to 5 s. */
  while (edr_clock_now_ms() - since < 6500) test_sleep_ms(100);
  CHECK(returns(idle, "erlang", "node", arguments(""), "ticks@127.0.0.1"));
  edr_node_free(idle);
  edr_node_free(NULL);
  erlang_stop(&ticking);
  CHECK(test_open_descriptors() <= descriptors);
  erlang_stop(&epmd);
  return check_done();
}
