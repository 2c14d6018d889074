/* Signals while something is suspended: SIGINT, SIGTERM, SIGHUP and SIGQUIT become a Lua error at the next instruction,
 * so that everything can be undone on the way out. SIGPIPE is ignored: a reader of our output who leaves ends nothing.
 * So is what a terminal stops programs by (SIGTSTP, SIGTTIN, SIGTTOU): one that is stopped leaves sockets suspended
 * until its lease has run out. One error a second: another signal right behind the first is kept for take_signal, so
 * that it does not cut off what the first has begun. Meanwhile they are held back, and come through afterwards, or into
 * what a step brought along for its own undoing. The waits of the core end with EDR_EINTERRUPTED when a signal arrives.
 * Some other coroutine that computes on and on is not interrupted before it yields. One Lua state of the program at a
 * time can catch signals. */
#include "signals.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static const int caught_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int ignored_signals[] = {SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
enum {
  CAUGHT_COUNT = sizeof caught_signals / sizeof caught_signals[0],
  IGNORED_COUNT = sizeof ignored_signals / sizeof ignored_signals[0],
  RAISE_EVERY_S = 2
};

/* A hook belongs to one coroutine. The main one and the one that asked for signals get it: whichever runs first,
 * raises. */
typedef struct hooked {
  lua_State *thread;
  lua_Hook hook; /* what was there before: a debugger's, a coverage tool's */
  int mask, count;
} hooked;

static const char running_key; /* its address is where the registry keeps the coroutine that asked alive */
static struct sigaction before[CAUGHT_COUNT], before_ignored[IGNORED_COUNT];
static sigset_t mask_before;
static bool blocked;
static volatile sig_atomic_t arrived;
static volatile sig_atomic_t kept; /* one that came right behind another, 0: none */
static struct timespec raised_at;  /* when `arrived` came; all signals are blocked while it is written */
static hooked hooks[2];
static volatile sig_atomic_t hook_count; /* 0 while no signals are caught */

static const char *signal_name(int number) {
  return number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : number == SIGHUP ? "SIGHUP" : "SIGQUIT";
}

static void raise_interrupted(lua_State *L, lua_Debug *unused);

/* Puts back the hooks that were there before ours, where ours are set. */
static void take_hooks_back(void) {
  int i;
  for (i = 0; i < hook_count; i++) {
    if (lua_gethook(hooks[i].thread) == raise_interrupted)
      lua_sethook(hooks[i].thread, hooks[i].hook, hooks[i].mask, hooks[i].count);
  }
}

static void raise_interrupted(lua_State *L, lua_Debug *unused) {
  (void)unused;
  take_hooks_back();
  luaL_error(L, "interrupted by %s", signal_name(arrived));
}

/* lua_sethook is what Lua's own interpreter calls here, too: it is made to be called by a signal handler. */
static void on_signal(int number) {
  struct timespec now;
  int i;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (arrived != 0 && now.tv_sec - raised_at.tv_sec < RAISE_EVERY_S) {
    kept = number;
    return;
  }
  arrived = number;
  raised_at = now;
  for (i = 0; i < hook_count; i++)
    lua_sethook(hooks[i].thread, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static void add_hook(lua_State *thread) {
  hooks[hook_count] = (hooked){thread, lua_gethook(thread), lua_gethookmask(thread), lua_gethookcount(thread)};
  hook_count++;
}

static void caught_set(sigset_t *set) {
  int i;
  sigemptyset(set);
  for (i = 0; i < CAUGHT_COUNT; i++) sigaddset(set, caught_signals[i]);
}

/*** From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT raise a Lua error, "interrupted by NAME"; SIGPIPE, and the signals
by which a terminal stops programs, are ignored.
@function catch_signals
@return false where they are caught already
*/
int edr_lua_catch_signals(lua_State *L) {
  struct sigaction action;
  int i;
  lua_State *first;
  if (hook_count > 0) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_pushthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &running_key);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  first = lua_tothread(L, -1);
  arrived = kept = 0;
  add_hook(first);
  if (first != L) add_hook(L);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  caught_set(&action.sa_mask);
  for (i = 0; i < CAUGHT_COUNT; i++) {
    sigaction(caught_signals[i], NULL, &before[i]);
    /* What the host program chose to ignore (nohup) stays ignored. */
    if (before[i].sa_handler != SIG_IGN) sigaction(caught_signals[i], &action, NULL);
  }
  action.sa_handler = SIG_IGN;
  for (i = 0; i < IGNORED_COUNT; i++) sigaction(ignored_signals[i], &action, &before_ignored[i]);
  lua_pushboolean(L, 1);
  return 1;
}

static void hold_back(void) {
  sigset_t set;
  caught_set(&set);
  if (!blocked) pthread_sigmask(SIG_BLOCK, &set, &mask_before);
  blocked = true;
  take_hooks_back();
}

/*** Holds the caught signals back until they are released: nothing interrupts what undoes.
@function block_signals
@return the name of the signal that has arrived since they were caught, if one has
*/
int edr_lua_block_signals(lua_State *L) {
  hold_back();
  if (arrived == 0) return 0;
  lua_pushstring(L, signal_name(arrived));
  return 1;
}

static int hold_back_again(lua_State *L, int status, lua_KContext unused) {
  (void)unused;
  hold_back();
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) : lua_error(L);
}

/*** Calls a function that signals may interrupt although they are held back: they raise in it, and nowhere else.
@function let_signals_through
@param f
@param ... its arguments
@return what it returns
@raise what it raises
*/
int edr_lua_let_signals_through(lua_State *L) {
  luaL_checkany(L, 1);
  if (!blocked || hook_count == 0) {
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
  }
  arrived = 0; /* the next one raises at once */
  pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
  blocked = false;
  return hold_back_again(L, lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, hold_back_again), 0);
}

/*** Calls a function that may not yield: where it tries, that raises. What has to come to its end must not depend on a
coroutine that somebody may drop.
@function without_yield
@param f
@param ... its arguments
@return what it returns
@raise what it raises
*/
int edr_lua_without_yield(lua_State *L) {
  luaL_checkany(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/*** Takes a signal that arrived while they are held back: it will not come through any more.
@function take_signal
@return its name, or nil where none has
*/
int edr_lua_take_signal(lua_State *L) {
  const struct timespec at_once = {0, 0};
  sigset_t set;
  int number;
  if (!blocked) return 0;
  caught_set(&set);
  number = kept;
  kept = 0;
  if (number == 0) number = sigtimedwait(&set, NULL, &at_once);
  if (number <= 0) return 0;
  lua_pushstring(L, signal_name(number));
  return 1;
}

/*** Puts back what was there before; signals that were held back come through. For the caller that got true from
`catch_signals`.
@function release_signals
*/
int edr_lua_release_signals(lua_State *L) {
  int i;
  if (hook_count > 0) {
    for (i = 0; i < CAUGHT_COUNT; i++) sigaction(caught_signals[i], &before[i], NULL);
    for (i = 0; i < IGNORED_COUNT; i++) sigaction(ignored_signals[i], &before_ignored[i], NULL);
    take_hooks_back();
    hook_count = 0;
    arrived = kept = 0;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &running_key);
  }
  if (blocked) pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
  blocked = false;
  return 0;
}
