--- The swap, seen from outside: prepares it on the node, lets the relup call for it, says what came of it.
--
-- The swap itself is erlang/swap.erl. Knows no websockets and no run.
--
-- @classmod edeliver.relup.step.swap

local base = require "edeliver.relup.base.random"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local swap = {}
swap.__index = swap

return swap
