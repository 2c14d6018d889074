--- What a demo printed, as it stands in the README: between two marks, cut to what fits beside a page's margins. Reads it from
-- standard input.
--
--     lua5.4 spec/support/recording.lua README.md <TRANSCRIPT

local recording = {}

local BEGIN, END = "<!-- made by tools/recording -->\n", "<!-- the end of the recording -->\n"
local WIDTH = 112
-- What a plan explains at length is in the guides, and which machine recorded it does not matter.
local LEFT_OUT = {
  "building the release", "| +next: ", "| note ", "| modules ", "| configuration %a+ %(", "| protocols ",
  "applications? %a+ the same", "| +%d+ module", "supervisors will answer", "known to release_handler", "| processes of",
  "| %u[%w.]+ +%d+ ", "| %l+ +%d%.%d%.%d  ", "| %l+ +%- ", "| application ", "| ! ", "| +journal: ", "has no web server",
  "check_processes_running_old_code",
}

local function is_left_out(line)
  for _, pattern in ipairs(LEFT_OUT) do
    if line:find(pattern) then return true end
  end
  return false
end

--- The lines of a transcript that are kept, as one text; "…" stands where some are left out.
-- @string transcript
-- @treturn string
function recording.of(transcript)
  local kept, was_left_out = {}, false
  for line in transcript:gmatch "[^\n]+" do
    if is_left_out(line) then
      if not was_left_out and kept[1] then kept[#kept + 1] = "             | …" end
      was_left_out = true
    else
      was_left_out = false
      kept[#kept + 1] = utf8.len(line) > WIDTH and line:sub(1, utf8.offset(line, WIDTH) - 1) .. "…" or line
    end
  end
  return "```text\n" .. table.concat(kept, "\n") .. "\n```\n"
end

--- Puts a recording into a page, in the place of the one that is there.
-- @string page
-- @string made what `of` gave
-- @treturn[1] string the page
-- @return[2] nil where the page has no place for one
function recording.put(page, made)
  local _, from = page:find(BEGIN, 1, true)
  local to = from and page:find(END, from, true)
  return to and page:sub(1, from) .. made .. page:sub(to)
end

--- The recording in a page.
-- @string page
-- @treturn string
function recording.inside(page)
  local _, from = page:find(BEGIN, 1, true)
  local to = from and page:find(END, from, true)
  return to and page:sub(from + 1, to - 1)
end

if arg and arg[0] and arg[0]:find "recording%.lua$" and arg[1] then
  local file = assert(io.open(arg[1]))
  local page = file:read "a"
  file:close()
  local made = assert(recording.put(page, recording.of(io.read "a")), arg[1] .. " has no place for a recording")
  file = assert(io.open(arg[1] .. ".new", "w"))
  assert(file:write(made))
  assert(file:close())
  assert(os.rename(arg[1] .. ".new", arg[1]))
end

return recording
