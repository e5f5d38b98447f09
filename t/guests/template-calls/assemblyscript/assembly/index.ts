// In the place of assembly/index.ts of templates/assemblyscript: the service `auth` knows which keys are good.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  BaseContext,
  Context,
  continue_request,
  FilterHeadersStatusValues,
  LogLevelValues,
  makeHeaderPair,
  registerRootContext,
  RootContext,
  send_http_response,
  stream_context,
  WasmResultValues,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";
import { log } from "./host";

class Root extends RootContext {
  createContext(id: u32): Context {
    return new Request(id, this);
  }
}

class Request extends Context {
  onRequestHeaders(_count: u32, _end: bool): FilterHeadersStatusValues {
    const key = stream_context.headers.request.get("x-api-key");
    const headers = [
      makeHeaderPair(":method", "GET"),
      makeHeaderPair(":path", "/check"),
      makeHeaderPair(":authority", "auth"),
      makeHeaderPair("x-api-key", key),
    ];
    const status = this.root_context.httpCall("auth", headers, new ArrayBuffer(0), [], 2000, this, onAnswer);
    if (status != WasmResultValues.Ok) {
      log(LogLevelValues.error, "the service is not asked: " + status.toString());
      send_http_response(503, "", new ArrayBuffer(0), []);
    }
    return FilterHeadersStatusValues.StopIteration;
  }
}

// The SDK has made the request's context the effective one again: what is said here is said about that request.
function onAnswer(_request: BaseContext, count: u32, _bodySize: usize, _trailers: u32): void {
  if (count == 0) {
    // There was no answer.
    send_http_response(503, "", new ArrayBuffer(0), []);
  } else if (stream_context.headers.http_callback.get(":status") == "200") {
    continue_request();
  } else {
    send_http_response(403, "", String.UTF8.encode("a bad key\n"), []);
  }
}

registerRootContext((id: u32) => new Root(id), "my_filter");
