std = "lua54"
max_line_length = 130
exclude_files = { "build", ".luarocks", "lua_modules" }
files["spec"] = { std = "+busted" }
