/* core.replace_file: a file's content replaced at once or not at all. */
#ifndef EDR_LUA_REPLACE_FILE_H
#define EDR_LUA_REPLACE_FILE_H

#include <lua.h>

/* core.replace_file(path, text, backup, expected) */
int edr_lua_replace_file(lua_State *L);

#endif
