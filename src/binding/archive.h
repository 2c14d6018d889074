/* Archives (tar, gzipped or not) that are read from Lua, and digests. Knows no files: Lua gives it the bytes. */
#ifndef EDR_LUA_ARCHIVE_H
#define EDR_LUA_ARCHIVE_H

#include <lua.h>

void edr_lua_archive_setup(lua_State *L);

/* core.archive(read) -> an archive; core.md5(bytes), core.deflate(bytes) */
int edr_lua_archive(lua_State *L);
int edr_lua_deflate(lua_State *L);
int edr_lua_md5(lua_State *L);

#endif
