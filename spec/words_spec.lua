-- The words of messages: every text in our code is collected, and none has a word that style.md forbids.

local process = require "support.process"

-- Patterns, for a text in small letters with one blank at each end.
local FORBIDDEN = {
  "%f[%w]whoever%f[%W]", "%f[%w]whom%f[%W]", "%f[%w]whatever%f[%W]", "%f[%w]goes on%f[%W]", "%f[%w]go on%f[%W]",
  "%f[%w]sits%f[%W]", "%f[%w]sit suspended", "%f[%w]stands%f[%W]", "%f[%w]stood still", "is told%f[%W]",
  "is let go", "let go%f[%W]", "is waited for", "not waited for", "so much as to",
  "%%d processes", "%%d calls", "%%d websockets", "%%d requests", "%%d seconds", -- "1 process": base.count
}

-- The texts between quotes of a source, with their lines; comments and long brackets of documentation are none.
local function texts_of(source)
  local found, at, line = {}, 1, 1
  while at <= #source do
    local character = source:sub(at, at)
    local equals = source:match("^%-%-%[(=*)%[", at)
    local long = not equals and source:match("^%[(=*)%[", at)
    local stop
    if equals or long then
      stop = select(2, source:find("]" .. (equals or long) .. "]", at, true)) or #source
      if long then found[#found + 1] = { text = source:sub(at, stop), line = line } end
    elseif source:find("^%-%-", at) then
      stop = (source:find("\n", at, true) or #source + 1) - 1
    elseif character == '"' or character == "'" then
      stop = at + 1
      while source:sub(stop, stop) ~= character do stop = stop + (source:sub(stop, stop) == "\\" and 2 or 1) end
      found[#found + 1] = { text = source:sub(at + 1, stop - 1), line = line }
    end
    stop = stop or at
    line = line + select(2, source:sub(at, stop):gsub("\n", ""))
    at = stop + 1
  end
  return found
end

describe("the words of messages", function()
  it("are found in a source, and those of comments are not", function()
    local texts = {}
    for i, each in ipairs(texts_of "a = 'it\\'s' -- \"no\"\nb = [[long\nx]] --[[ 'no' ]]\nc = \"d\"") do
      texts[i] = each.line .. " " .. each.text
    end
    assert.same({ "1 it\\'s", "2 [[long\nx]]", "4 d" }, texts)
  end)

  it("are those of the vocabulary", function()
    local wrong, count = {}, 0
    local listed = process.output(("cd %s && find lua -name '*.lua' | sort"):format(process.quote(process.root)))
    for path in listed:gmatch "[^\n]+" do
      for _, each in ipairs(texts_of(process.read_file(process.root .. "/" .. path))) do
        count = count + 1
        local text = " " .. each.text:lower():gsub("%s+", " ") .. " "
        for _, pattern in ipairs(FORBIDDEN) do
          if text:find(pattern) then wrong[#wrong + 1] = ("%s:%d: %s"):format(path, each.line, each.text) end
        end
      end
    end
    assert.is_true(count > 1000)
    assert.same({}, wrong)
  end)
end)
