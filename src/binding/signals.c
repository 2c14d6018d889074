/* Signals while something is suspended: SIGINT, SIGTERM and SIGHUP become a Lua error at the next instruction, so that
 * everything can be undone on the way out; while that goes on they are held back, and come through afterwards.
 * The waits of the core end with EDR_EINTERRUPTED when a signal arrives. */
#include <signal.h>
#include <string.h>

#include "binding.h"

static const int caught_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { CAUGHT_COUNT = sizeof caught_signals / sizeof caught_signals[0] };

static struct sigaction before[CAUGHT_COUNT];
static volatile sig_atomic_t arrived;
static lua_State *running; /* NULL while no signals are caught */

static const char *signal_name(int number) {
  return number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "SIGHUP";
}

static void raise_interrupted(lua_State *L, lua_Debug *unused) {
  (void)unused;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted by %s", signal_name(arrived));
}

/* lua_sethook is what Lua's own interpreter calls here, too: it is made to be called by a signal handler. */
static void on_signal(int number) {
  arrived = number;
  if (running != NULL) lua_sethook(running, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static void caught_set(sigset_t *set) {
  int i;
  sigemptyset(set);
  for (i = 0; i < CAUGHT_COUNT; i++) sigaddset(set, caught_signals[i]);
}

/*** From now on SIGINT, SIGTERM and SIGHUP raise a Lua error, "interrupted by NAME".
@function catch_signals
@return false where they are caught already
*/
int edr_lua_catch_signals(lua_State *L) {
  struct sigaction action;
  int i;
  if (running != NULL) {
    lua_pushboolean(L, 0);
    return 1;
  }
  arrived = 0;
  running = L;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  caught_set(&action.sa_mask);
  for (i = 0; i < CAUGHT_COUNT; i++) {
    sigaction(caught_signals[i], NULL, &before[i]);
    /* What the host program chose to ignore (nohup) stays ignored. */
    if (before[i].sa_handler != SIG_IGN) sigaction(caught_signals[i], &action, NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/*** Holds the caught signals back until they are released: nothing interrupts what undoes.
@function block_signals
@return the name of the signal that has arrived, if one has
*/
int edr_lua_block_signals(lua_State *L) {
  sigset_t set;
  caught_set(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (running != NULL) lua_sethook(running, NULL, 0, 0);
  if (arrived == 0) return 0;
  lua_pushstring(L, signal_name(arrived));
  return 1;
}

/*** Puts back what was there before; signals that were held back come through.
@function release_signals
*/
int edr_lua_release_signals(lua_State *L) {
  sigset_t set;
  int i;
  (void)L;
  if (running != NULL) {
    lua_sethook(running, NULL, 0, 0);
    running = NULL;
    for (i = 0; i < CAUGHT_COUNT; i++) sigaction(caught_signals[i], &before[i], NULL);
  }
  caught_set(&set);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  return 0;
}
