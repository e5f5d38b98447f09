-- Runs a chain of filters from Lua, as a gateway written in Lua does: loaded once, called in each phase.

local wasm = require "resty.proxy-wasm"

local _M = {}
local filters = {}

function _M.load(name, path, configuration, count)
    local plugin = assert(wasm.load(name, path))
    for number = 1, count do
        filters[number] = assert(wasm.on_configure(plugin, configuration))
    end
end

local function each(callback, ...)
    for _, filter in ipairs(filters) do
        local ok, err = callback(filter, ...)
        if not ok then
            ngx.log(ngx.ERR, err)
            return ngx.exit(503)
        end
    end
end

function _M.request_headers()
    each(wasm.on_http_request_headers)
end

function _M.request_body()
    each(wasm.on_http_request_headers)
    ngx.req.read_body()
    each(wasm.on_http_request_body, ngx.req.get_body_data(), true)
end

function _M.response_headers()
    each(wasm.on_http_response_headers)
end

function _M.response_body()
    each(wasm.on_http_response_body)
end

return _M
