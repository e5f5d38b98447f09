-- Checks JSON by a schema, with the same words as the guest `json`.

local cjson = require "cjson.safe"

local _M = {}

function _M.read(text)
    return assert(cjson.decode(text))
end

local function is_a(value, kind)
    if kind == "object" then
        return type(value) == "table" and value[1] == nil
    elseif kind == "array" then
        return type(value) == "table" and (value[1] ~= nil or next(value) == nil)
    elseif kind == "integer" then
        return type(value) == "number" and value % 1 == 0
    elseif kind == "null" then
        return value == cjson.null
    end
    return type(value) == kind
end

local function allows(schema, value)
    if schema.type and not is_a(value, schema.type) then
        return false
    end
    local kind = type(value)
    if kind == "table" then
        for _, name in ipairs(schema.required or {}) do
            if value[name] == nil then
                return false
            end
        end
        for name, inner in pairs(schema.properties or {}) do
            if value[name] ~= nil and not allows(inner, value[name]) then
                return false
            end
        end
        if schema.items then
            for _, item in ipairs(value) do
                if not allows(schema.items, item) then
                    return false
                end
            end
        end
    elseif kind == "number" then
        return value >= (schema.minimum or value) and value <= (schema.maximum or value)
    elseif kind == "string" then
        return #value <= (schema.maxLength or #value)
    end
    return true
end

function _M.check_body(schema)
    ngx.req.read_body()
    local value = cjson.decode(ngx.req.get_body_data() or "")
    if value == nil or not allows(schema, value) then
        ngx.status = 400
        ngx.print("not what the schema says\n")
        return ngx.exit(400)
    end
end

return _M
