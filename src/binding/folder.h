/* What lies in a folder. */
#ifndef EDR_LUA_FOLDER_H
#define EDR_LUA_FOLDER_H

#include <lua.h>

/* core.list_folder(path), core.read_link(path) */
int edr_lua_list_folder(lua_State *L);
int edr_lua_read_link(lua_State *L);

#endif
