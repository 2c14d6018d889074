-- Who may require whom: the rooms of lua/edeliver/relup, from the top to the bottom. tools/lint holds every `require` against it.
--
-- A room is a folder, or a door: a file at the top, `init` for the facade itself. It may require its own modules, those of rooms
-- in its row, and those in the rows below, but not what it is said to be `without`.

return {
  rows = {
    { "cli", "repl" }, --                                   people
    { "init" }, --                                          the facade
    { "cluster" }, --                                       many nodes
    { "deploy" }, --                                        ship, register, configure, swap, verify, stay
    { "recover" }, --                                       after an accident
    { "lint" }, --                                          what is wrong with a relup
    { "sequence" }, --                                      a list of steps as data; the same inside a relup
    { "run" }, --                                           one run: begins, performs, finishes, reports
    { "file", "modification", "default_modification", "phoenix_modification" },
    { "instruction", "instructions" }, --                   17, named as edeliver names them
    { "insert_instruction", "shift_instruction" },
    { "step" }, --                                          what every step may use
    { "plan" }, --                                          what changes; asks, touches nothing
    { "undo" }, --                                          what is owed, where it is written, who undoes
    { "web" }, --                                           how each web server shows its listeners and sockets
    { "release" }, --                                       what lies on a disk
    { "otp" }, --                                           application, supervisor, release_handler
    { "node" }, --                                          everything that may be asked of a node
    { "script" }, --                                        the language of relups as data
    { "consult" }, --                                       the text of terms
    { "term" }, --                                          the values of terms
    { "base", "version" }, --                               escape, attempt, clock, signals, shell, our own files
    { "core" }, --                                          the C module
  },
  without = {
    instructions = { "undo", "core" },
    plan = { "undo" },
    undo = { "web" },
    release = { "otp", "node" },
  },
  -- Single ways up, each with its reason.
  exceptions = {
    { from = "init", to = "repl", because = "lua -i -l edeliver.relup is our own prompt" },
  },
  -- What `require("edeliver.relup." .. name)` may stand for, by the module that says it.
  dynamic = {
    ["init"] = { "lint", "file", "consult" },
    ["cli.commands.patch"] = { "default_modification", "phoenix_modification" },
  },
}
