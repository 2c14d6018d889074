/* BEAM files as Lua sees them. */
#ifndef EDR_LUA_BEAM_FILE_H
#define EDR_LUA_BEAM_FILE_H

#include <lua.h>

#include "beam.h"

void edr_lua_beam_setup(lua_State *L);

/* core.beam(bytes) -> a module's file */
int edr_lua_beam(lua_State *L);

/* Returns nil, what is wrong with the file and where, and the code. */
int edr_lua_beam_refused(lua_State *L, const edr_beam *beam, edr_status status);

#endif
