--- Configuration fields in messages, as the command line calls them: `config.target = "channels"` is `--target channels` there.
--
-- @module edeliver.relup.cli.option_names

local option_names = {}

local OPTIONS = {
  applications = "--app", engine = "--engine", grace = "--grace", journal = "--journal", listener = "--listener",
  max_mailbox = "--max-mailbox", port = "--port", refuse = "--refuse", rehearse = "--rehearse", target = "--target",
  tolerate = "--tolerate",
}

--- A text that names configuration fields, in the words of the command line.
-- @string text
function option_names.of(text)
  text = text:gsub('config%.([%a_]+) = "(%w+)"', function(field, value)
    return OPTIONS[field] and ("%s %s"):format(OPTIONS[field], value)
  end)
  return (text:gsub("config%.([%a_]+)", OPTIONS))
end

return option_names
