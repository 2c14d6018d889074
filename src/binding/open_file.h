/* Files that are opened without waiting, and looked at by their open handle. */
#ifndef EDR_LUA_OPEN_FILE_H
#define EDR_LUA_OPEN_FILE_H

#include <lua.h>

/* core.open_private(path, mode), core.open_plain(path), core.file_stat(file), core.private_folder(path) */
int edr_lua_open_private(lua_State *L);
int edr_lua_open_plain(lua_State *L);
int edr_lua_file_stat(lua_State *L);
int edr_lua_private_folder(lua_State *L);

#endif
