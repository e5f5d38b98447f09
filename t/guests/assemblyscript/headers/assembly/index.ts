// Guest `headers`: edits request and response headers, denies paths and logs, as its configuration says.
// The grammar is in t/guests/README.md; the Rust and Go guests of this name behave the same.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  LogLevelValues,
  makeHeaderPair,
  registerRootContext,
  RootContext,
  send_http_response,
  WasmResultValues,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";
import {
  add_header_map_value,
  get_header_map_value,
  HeaderMapTypeValues,
  remove_header_map_value,
  replace_header_map_value,
} from "@gcoredev/proxy-wasm-sdk-as/assembly/runtime";
import { proxy_log } from "@gcoredev/proxy-wasm-sdk-as/assembly/imports";
import { parse, Operation, Part, Statement } from "./statements";

const LANGUAGE = "assemblyscript";

// The SDK's own log function writes to standard output; this one calls the host's.
function log(level: LogLevelValues, text: string): void {
  const bytes = String.UTF8.encode(text);
  proxy_log(level as usize, changetype<usize>(bytes), bytes.byteLength);
}

// Empty when there is no such header.
function requestHeader(name: string): ArrayBuffer {
  return get_header_map_value(HeaderMapTypeValues.RequestHeaders, String.UTF8.encode(name));
}

function expand(parts: Array<Part>): ArrayBuffer {
  const pieces = new Array<ArrayBuffer>();
  let size = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const piece = part.header ? requestHeader(part.text) : String.UTF8.encode(part.text);
    pieces.push(piece);
    size += piece.byteLength;
  }
  const value = new ArrayBuffer(size);
  let end: usize = changetype<usize>(value);
  for (let i = 0; i < pieces.length; i++) {
    memory.copy(end, changetype<usize>(pieces[i]), pieces[i].byteLength);
    end += pieces[i].byteLength;
  }
  return value;
}

function startsWith(bytes: ArrayBuffer, prefix: ArrayBuffer): bool {
  return bytes.byteLength >= prefix.byteLength &&
    memory.compare(changetype<usize>(bytes), changetype<usize>(prefix), prefix.byteLength) == 0;
}

function edit(map: HeaderMapTypeValues, statement: Statement): void {
  const name = String.UTF8.encode(statement.name);
  switch (statement.operation) {
    case Operation.Add:
      add_header_map_value(map, name, expand(statement.value));
      break;
    case Operation.Replace:
      replace_header_map_value(map, name, expand(statement.value));
      break;
    case Operation.Remove:
      remove_header_map_value(map, name);
      break;
  }
}

// Whether the request is answered.
function deny(statement: Statement): bool {
  if (!startsWith(requestHeader(":path"), String.UTF8.encode(statement.name))) return false;
  const body = String.UTF8.encode("denied by " + LANGUAGE + "\n");
  return send_http_response(statement.status, "", body, [makeHeaderPair("x-denied-by", LANGUAGE)]) ==
    WasmResultValues.Ok;
}

class Root extends RootContext {
  statements: Array<Statement> = [];

  createContext(id: u32): Context {
    return new Stream(id, this, this.statements);
  }

  onConfigure(size: u32): bool {
    if (!super.onConfigure(size)) return false;
    this.statements = [];
    const texts = (size == 0 ? "" : this.getConfiguration()).replaceAll("\n", ";").split(";");
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i].trim();
      if (text.length == 0) continue;
      const statement = parse(text);
      if (statement === null) {
        log(LogLevelValues.error, "bad statement: " + text);
        return false;
      }
      this.statements.push(statement);
    }
    return true;
  }
}

class Stream extends Context {
  statements: Array<Statement>;

  constructor(id: u32, root: RootContext, statements: Array<Statement>) {
    super(id, root);
    this.statements = statements;
  }

  onRequestHeaders(count: u32, end: bool): FilterHeadersStatusValues {
    for (let i = 0; i < this.statements.length; i++) {
      const statement = this.statements[i];
      if (statement.response) continue;
      if (statement.operation == Operation.Log) {
        log(statement.status as LogLevelValues, statement.name);
      } else if (statement.operation == Operation.Deny) {
        if (deny(statement)) return FilterHeadersStatusValues.StopIteration;
      } else {
        edit(HeaderMapTypeValues.RequestHeaders, statement);
      }
    }
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(count: u32, end: bool): FilterHeadersStatusValues {
    for (let i = 0; i < this.statements.length; i++) {
      if (this.statements[i].response) edit(HeaderMapTypeValues.ResponseHeaders, this.statements[i]);
    }
    return FilterHeadersStatusValues.Continue;
  }
}

registerRootContext((id: u32) => new Root(id), "headers");
