/* The program as one file: Lua, our modules, the libraries that they use, and the core, inside. start.lua decides what
 * runs.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded.h"

int luaopen_edeliver_relup_core(lua_State *L);
int luaopen_lpeg(lua_State *L);
int luaopen_term_core(lua_State *L);
int luaopen_luv(lua_State *L);
int luaopen_readline(lua_State *L);
void rl_callback_sigcleanup(void);

/* Readline has it and libedit does not; the Lua module names it, and nobody here calls it. */
void rl_callback_sigcleanup(void) {}

/* inside(name): the text of a file that the program carries, or nil. */
static int inside(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const edr_embedded_file *file;
  for (file = edr_embedded; file->name != NULL; file++) {
    if (strcmp(file->name, name) == 0) {
      lua_pushlstring(L, file->text, file->size);
      return 1;
    }
  }
  lua_pushnil(L);
  return 1;
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
}

/* Everything that may raise. Gives the exit code. */
static int start(lua_State *L) {
  const char **words = (const char **)lua_touserdata(L, 1);
  int i;
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  preload(L, "edeliver.relup.core", luaopen_edeliver_relup_core);
  preload(L, "lpeg", luaopen_lpeg);
  preload(L, "term.core", luaopen_term_core);
  preload(L, "C-readline", luaopen_readline);
  preload(L, "luv", luaopen_luv);
  preload(L, "edeliver.relup.inside", inside);
  lua_newtable(L);
  for (i = 0; words[i] != NULL; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
  lua_pushcfunction(L, inside);
  lua_pushliteral(L, "start.lua");
  lua_call(L, 1, 1);
  if (luaL_loadbufferx(L, lua_tostring(L, -1), lua_rawlen(L, -1), "@inside:/start.lua", "t") != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int code = 2;
  (void)argc;
  if (L == NULL) {
    fputs("edeliver-relup: no memory\n", stderr);
    return code;
  }
  lua_pushcfunction(L, start);
  lua_pushlightuserdata(L, argv);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    code = (int)lua_tointeger(L, -1);
  } else {
    fprintf(stderr, "edeliver-relup: %s\n", lua_tostring(L, -1));
  }
  lua_close(L);
  return code;
}
