-- What a program in Lua should not do with resty.proxy-wasm: any of its functions in any phase with any arguments, in any
-- order, from several coroutines and timers at a time. run.py --lua makes the requests; each has a seed.

local ffi = require "ffi"
local wasm = require "resty.proxy-wasm"

local _M = {}

-- What requests share: whatever was made, until it is dropped.
local plugins, contexts = {}, {}
local MOST = 12

-- Numbers that are the same in each run: math.random belongs to the whole VM.
local function numbers(seed)
    local state = seed % 2147483647
    return function(bound)
        state = (state * 16807) % 2147483647
        return state % bound
    end
end

local function pick(list, random)
    return list[random(#list) + 1]
end

local function text(random)
    local bytes = {}
    for n = 1, random(40) do
        bytes[n] = string.char(random(256))
    end
    return table.concat(bytes)
end

local function odd(random)
    local kinds = {
        function() return nil end,
        function() return true end,
        function() return -1 end,
        function() return 0 / 0 end,
        function() return "" end,
        function() return text(random) end,
        function() return string.rep("x", 100000) end,
        function() return {} end,
        function() return print end,
        function() return ngx.null end,
        function() return ffi.new("int[64]") end,
        function() return ffi.cast("void *", 0) end,
        function() return ffi.cast("ngx_http_wasm_plugin_t *", 0) end,
        function() return ffi.new("uint64_t", 1) end,
        function() return coroutine.create(print) end,
        function() return pick(plugins, random) end,
        function() return pick(contexts, random) end,
    }
    return pick(kinds, random)()
end

local function keep(list, value, random)
    if value == nil then
        return
    end
    if #list >= MOST then
        list[random(MOST) + 1] = value
    else
        list[#list + 1] = value
    end
end

local function plugin(random)
    return random(8) == 0 and odd(random) or pick(plugins, random)
end

local function context(random)
    return random(8) == 0 and odd(random) or pick(contexts, random)
end

local SCRIPTS = {
    "log info x", "pause", "trap", "loop", "grow 2", "request.add x 1", "response.add x 1", "quiet; request-body upper",
    "quiet; response-body upper", "request-body sum", "abort", "nonsense", "x",
}

local steps

local CAN_WAIT = { rewrite = true, access = true, content = true, timer = true }

local STEPS = {
    function(random)
        local name = random(8) == 0 and odd(random) or "p" .. random(5)
        local path = random(8) == 0 and odd(random) or pick(_M.guests, random)
        if #plugins < MOST or random(6) == 0 then
            keep(plugins, (wasm.load(name, path)), random)
        end
    end,
    function(random)
        local conf = random(6) == 0 and odd(random) or pick(SCRIPTS, random)
        keep(contexts, (wasm.on_configure(plugin(random), conf)), random)
    end,
    function(random) wasm.on_http_request_headers(context(random)) end,
    function(random) wasm.on_http_request_headers(context(random)) end,
    function(random)
        wasm.on_http_request_body(context(random), random(3) == 0 and odd(random) or text(random), random(2) == 0)
    end,
    function(random) wasm.on_http_response_headers(context(random)) end,
    function(random) wasm.on_http_response_headers(context(random)) end,
    function(random) wasm.on_http_response_body(context(random)) end,
    function(random) wasm.on_http_response_body(context(random)) end,
    function(random)
        if #contexts > 0 then
            table.remove(contexts, random(#contexts) + 1)
        end
    end,
    function(random)
        if #plugins > 0 then
            table.remove(plugins, random(#plugins) + 1)
        end
    end,
    function() collectgarbage() end,
    function(random)
        if CAN_WAIT[ngx.get_phase()] then
            ngx.sleep(random(20) / 1000)
        end
    end,
    function(random)
        if CAN_WAIT[ngx.get_phase()] then
            local seed = random(1000000)
            local thread = ngx.thread.spawn(function() steps(numbers(seed), 4) end)
            if random(2) == 0 then
                ngx.thread.wait(thread)
            elseif random(2) == 0 then
                ngx.thread.kill(thread)
            end
        end
    end,
    function(random)
        local seed = random(1000000)
        ngx.timer.at(random(30) / 1000, function() steps(numbers(seed), 4) end)
    end,
    function(random)
        local phase = ngx.get_phase()
        if phase == "rewrite" or phase == "access" then
            ngx.req.read_body()
            ngx.req.set_header("x-" .. random(9), text(random):gsub("[%c]", ""))
        elseif phase == "content" then
            ngx.say(text(random))
        elseif phase == "header_filter" then
            ngx.header.content_length = nil
        end
    end,
    function(random)
        if random(4) == 0 and ngx.get_phase() == "content" then
            ngx.location.capture("/sub?seed=" .. random(1000000))
        end
    end,
    function(random)
        local phase = ngx.get_phase()
        if random(6) == 0 and (phase == "rewrite" or phase == "access" or phase == "content") then
            ngx.exec("/sub", { seed = random(1000000) })
        end
    end,
}

function steps(random, count)
    for _ = 1, random(count) + 1 do
        pcall(pick(STEPS, random), random)
    end
end

function _M.run(offset)
    steps(numbers((tonumber(ngx.var.arg_seed) or 1) * 8 + offset + 1), 6)
end

return _M
