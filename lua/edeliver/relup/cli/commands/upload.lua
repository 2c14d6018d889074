--- `upload`: sends a release's tarball to where the node's release handler looks for it.
--
-- It is written below another name; only when it is whole, and on the disk, does it get its own.
--
-- @module edeliver.relup.cli.commands.upload

local core = require "edeliver.relup.core"
local exit = require "edeliver.relup.cli.exit"
local lacking = require "edeliver.relup.deploy.lacking"
local progress = require "edeliver.relup.cli.progress"
local release_folder = require "edeliver.relup.otp.release_folder"
local output = require "edeliver.relup.cli.output"
local room = require "edeliver.relup.step.room"
local sending = require "edeliver.relup.deploy.sending"
local session = require "edeliver.relup.cli.session"
local verified_file = require "edeliver.relup.release.verified_file"

local charlist = require("edeliver.relup.term").charlist

local upload = {
  on_node = true,
  summary = "Send a release's tarball to the node.",
  description = "It goes to the node's releases folder. A half-written file never has the final name. Where <file>.sha256 lies\n"
    .. "beside it, the file must have that digest. Sign a release with\n"
    .. "openssl pkeyutl -sign -rawin -inkey private.pem -in FILE -out FILE.sig",
  examples = {
    "edeliver-relup myapp@web1 upload _build/myapp-1.4.6.tar.gz",
    "edeliver-relup myapp@web1 upload rel.tar.gz --as 1.4.6/myapp.tar.gz",
    "edeliver-relup myapp@web1 upload myapp-1.4.6.tar.gz --verify-key release-key.pem",
  },
}

local PLAIN_FILE = 420 -- 0644

function upload.add_to_parser(parser)
  parser:argument("file", "The tarball."):argname "<file>"
  parser:option("--as", "Its name below the releases folder (default: its own)."):argname "NAME"
  parser:flag("--replace", "Replace a file of that name which differs.")
  parser:option("--verify-key", "Ed25519 public key (PEM): <file>.sig must be its signature of the tarball."):argname "FILE"
end

-- Looks at the local file: its size, or nil, message, code.
local function inspect(file, path)
  local magic = file:read(2)
  if magic ~= "\x1f\x8b" then return nil, path .. " is no gzipped tarball", "badarg" end
  local size = file:seek "end"
  file:seek "set"
  return size
end

local function final_name(args)
  local name = args.as or args.file:match "[^/]*$"
  if not name:find "^[%w_][%w_.+~@ /-]*%.tar%.gz$" or name:find("..", 1, true) or name:find "/.*/" then
    return nil, ("%q is no name for a tarball: NAME-VERSION.tar.gz or VERSION/NAME.tar.gz"):format(name), "badarg"
  end
  return name
end

-- What is there already under the final name: "same", "none", or nil, message, code.
local function compare(node, path, sum, replace)
  local there, message, code = release_folder.exists(node, path)
  if there == nil then return nil, message, code end
  if not there then return "none" end
  local other
  other, message, code = release_folder.md5(node, path)
  if not other then return nil, message, code end
  if other == sum then return "same" end
  if replace then return "none" end
  return nil, ("%s has another %s already; --replace replaces it"):format(node.name, path), "exists"
end

-- Sends it as a deploy sends files: below another name, checked, synced, renamed; what was cut off before is continued.
local function transfer(args, node, file, size, name, sum)
  local crc, message, code = core.crc32(file)
  local where
  if crc then where, message, code = lacking.places(node) end
  if not where then return nil, message, code end
  local as = "releases/" .. name
  local source = {
    stream = function(_, _, visit)
      file:seek "set"
      return visit(as, function(bytes) return file:read(bytes) end)
    end,
  }
  local shown = progress.new(args.output, "upload", size)
  local now <close>, problem, why = sending.begin(node, {
    release = { path = args.file, source = source }, where = where, identity = sum:sub(1, 16), bytes = size, links = {},
    needed = { { name = as, size = size, md5 = sum, crc = crc, mode = PLAIN_FILE } }, folders = { { name = as } },
  }, function(sent) shown:update(sent) end)
  if not now then return nil, problem, why end
  local sent
  sent, message, code = now:run()
  shown:finish()
  local closed, left = now:close()
  if sent then return true end
  return nil, closed and message or ("%s; %s"):format(message, left), code
end

local function run(args, node, file, size, verified)
  local out = args.output
  local name, message, code = final_name(args)
  local folder, path, sum, there
  if name then folder, message, code = release_folder.path(node) end
  if folder then
    path = folder .. "/" .. name
    sum, message, code = core.file_digest(file, "md5")
  end
  if sum then there, message, code = compare(node, path, sum, args.replace) end
  if not there then return nil, message, code end
  local started = core.now()
  if there ~= "same" then
    if not session.confirm(args, ("Writes %s (%d bytes) on %s."):format(path, size, node.name)) then return false end
    local made
    made, message, code = node:call("filelib", "ensure_dir", { charlist(path) })
    if made then made, message, code = room.to_write(node, size) end
    if not made then return nil, message, code end
    made, message, code = transfer(args, node, file, size, name, sum)
    if not made then return nil, message, code end
  end
  local ms = core.now() - started
  out:give { path = path, bytes = size, md5 = sum, already_there = there == "same", ms = ms,
    verified = output.array(verified) }
  out:line(there == "same" and ("%s is there already, the same."):format(path)
    or ("%s: %s in %.1f s, checksum %s."):format(path, progress.bytes(size), ms / 1000, sum))
  return true
end

--- Runs the command.
-- @return exit code
function upload.command(args)
  local out = args.output
  local file <close>, verified, why = verified_file.open(args.file, args.verify_key)
  local size, message, code
  if file then size, message, code = inspect(file, args.file) else message, code = verified, why end
  if not size then
    out:fail(message, code)
    return exit.of(code)
  end
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local done
  done, message, code = run(args, node, file, size, verified)
  if done then return exit.OK end
  if done == false then return exit.REFUSED end
  out:fail(message, code)
  return (code == "exists" or code == "busy") and exit.REFUSED or code == "badarg" and exit.USAGE or exit.FAILED
end

return upload
