// Guest `bodies`: holds bodies of requests and responses until their end, puts them in upper case and appends
// " assemblyscript". The Go guest of this name behaves the same; the Rust one is another.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  BufferTypeValues,
  Context,
  FilterDataStatusValues,
  get_buffer_bytes,
  registerRootContext,
  RootContext,
  set_buffer_bytes,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";

class Root extends RootContext {
  createContext(context_id: u32): Context {
    return new Stream(context_id, this);
  }
}

class Stream extends Context {
  constructor(context_id: u32, root_context: Root) {
    super(context_id, root_context);
  }

  onRequestBody(size: usize, end: bool): FilterDataStatusValues {
    return hold(BufferTypeValues.HttpRequestBody, size, end);
  }

  onResponseBody(size: usize, end: bool): FilterDataStatusValues {
    return hold(BufferTypeValues.HttpResponseBody, size, end);
  }
}

function hold(buffer: BufferTypeValues, size: usize, end: bool): FilterDataStatusValues {
  if (!end) {
    return FilterDataStatusValues.StopIterationAndBuffer;
  }
  const body = size > 0 ? String.UTF8.decode(get_buffer_bytes(buffer, 0, size as u32)) : "";
  set_buffer_bytes(buffer, 0, size as u32, String.UTF8.encode(body.toUpperCase() + " assemblyscript"));
  return FilterDataStatusValues.Continue;
}

registerRootContext((context_id: u32) => new Root(context_id), "");
