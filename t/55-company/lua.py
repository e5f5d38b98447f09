"""Filters that Lua runs (lua/resty/proxy-wasm.lua) in a location, and the code that an author would write around them."""

import deeds

RUNS = """
        proxy_wasm off; %(around)s
        access_by_lua_block {
            local filter = require("company").filter([==[quiet; %(script)s]==])
            local wasm = require "resty.proxy-wasm"
            local ok, err = wasm.on_http_request_headers(filter)
            if not ok then
                ngx.log(ngx.ERR, err)
                return ngx.exit(503)
            end
            ngx.req.read_body()
            local body, file = ngx.req.get_body_data(), ngx.req.get_body_file()
            if file then
                local from = assert(io.open(file, "rb"))
                body = from:read("*a")
                from:close()
            end
            if body and not wasm.on_http_request_body(filter, body) then
                return ngx.exit(503)
            end
        }
        header_filter_by_lua_block {
            local filter = require("company").filter([==[quiet; %(script)s]==])
            assert(require("resty.proxy-wasm").on_http_response_headers(filter))
            %(length)s
        }
        body_filter_by_lua_block {
            local filter = require("company").filter([==[quiet; %(script)s]==])
            assert(require("resty.proxy-wasm").on_http_response_body(filter))
        }"""
# One plugin context for each script, in each worker.
MODULE = """
local wasm = require "resty.proxy-wasm"
local _M, filters = {}, {}
local plugin = assert(wasm.load("company", "@GUEST@"))
function _M.filter(script)
    filters[script] = filters[script] or assert(wasm.on_configure(plugin, script))
    return filters[script]
end
return _M
"""


def runs(deed, feature):
    """What stands in the place of `@LUA@`."""
    if deed is deeds.NONE:
        return ""
    around = "proxy_wasm company quiet;" if "decoded" in feature.name else ""
    length = "ngx.header.content_length = nil" if deed.outcome == "response" else ""
    text = RUNS % {"around": around, "script": deed.script, "length": length}
    return text.replace("proxy_wasm off;", "") if around else text
