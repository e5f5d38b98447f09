// Requests need the right `x-api-key`, and responses get a tag. rules.ts decides, this file talks to the host.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  Context,
  Counter,
  FilterHeadersStatusValues,
  LogLevelValues,
  makeHeaderPair,
  registerRootContext,
  RootContext,
  send_http_response,
  stream_context,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";
import { log } from "./host";
import { Rules } from "./rules";

class Root extends RootContext {
  rules: Rules = new Rules("");
  refused: Counter = new Counter("my_filter_refused");

  onConfigure(size: u32): bool {
    if (!super.onConfigure(size)) return false;
    this.rules = new Rules(this.getConfiguration());
    if (this.rules.mistake == "") return true;
    log(LogLevelValues.error, "bad configuration: " + this.rules.mistake);
    return false;
  }

  createContext(id: u32): Context {
    return new Request(id, this);
  }
}

// There is one of these for each request.
class Request extends Context {
  constructor(id: u32, public root: Root) {
    super(id, root);
  }

  onRequestHeaders(_count: u32, _end: bool): FilterHeadersStatusValues {
    if (this.root.rules.allow(stream_context.headers.request.get("x-api-key"))) return FilterHeadersStatusValues.Continue;
    log(LogLevelValues.info, "refused: no key, or a wrong one");
    this.root.refused.increment(1);
    send_http_response(403, "", String.UTF8.encode("no key\n"), [makeHeaderPair("content-type", "text/plain")]);
    return FilterHeadersStatusValues.StopIteration;
  }

  onResponseHeaders(_count: u32, _end: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-tag", this.root.rules.tag);
    return FilterHeadersStatusValues.Continue;
  }
}

registerRootContext((id: u32) => new Root(id), "my_filter");
