// Guest `calls`: calls the services that its configuration and the request header `x-calls` name, all at once, and answers
// with what came. The grammar is in t/guests/README.md; the Go guest of this name behaves the same.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  BaseContext,
  BufferTypeValues,
  Context,
  FilterHeadersStatusValues,
  get_buffer_bytes,
  LogLevelValues,
  makeHeaderPair,
  registerRootContext,
  RootContext,
  send_http_response,
  stream_context,
  WasmResultValues,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";
import { proxy_log } from "@gcoredev/proxy-wasm-sdk-as/assembly/imports";

// The SDK's own log function writes to standard output; this one calls the host's.
function log(text: string): void {
  const bytes = String.UTF8.encode(text);
  proxy_log(LogLevelValues.info as usize, changetype<usize>(bytes), bytes.byteLength);
}

class Root extends RootContext {
  createContext(context_id: u32): Context {
    return new Stream(context_id, this);
  }
}

class Stream extends Context {
  words: string = "";
  isLate: bool = false;
  // What came of each call.
  lines: Array<string> = new Array<string>();
  // The calls that have not ended, in the order in which they were made.
  open: u32 = 0;

  constructor(context_id: u32, root_context: Root) {
    super(context_id, root_context);
  }

  onRequestHeaders(_headers: u32, _end: bool): FilterHeadersStatusValues {
    this.words = this.root_context.getConfiguration();
    const header = stream_context.headers.request.get("x-calls");
    if (header != "") this.words = header;
    if (this.words.startsWith("log ")) {
      this.isLate = true;
      return FilterHeadersStatusValues.Continue;
    }
    this.begin(this.words);
    if (this.open == 0) this.answer();
    return FilterHeadersStatusValues.StopIteration;
  }

  onLog(): void {
    if (this.isLate) this.begin(this.words.slice(4));
  }

  begin(words: string): void {
    const calls = words.split(";");
    for (let i = 0; i < calls.length; i++) {
      const parts = calls[i].trim().split(" ");
      if (parts.length != 3) continue;
      const number = this.lines.length;
      this.lines.push("refused\n");
      const headers = [
        makeHeaderPair(":method", parts[1]),
        makeHeaderPair(":path", parts[2]),
        makeHeaderPair(":authority", parts[0]),
        makeHeaderPair("x-from", "assemblyscript"),
      ];
      const call = new Call(this.context_id, this.root_context, this, number);
      const status = this.root_context.httpCall(parts[0], headers, new ArrayBuffer(0), [], 20000, call, on_answer);
      if (status == WasmResultValues.Ok) this.open++;
    }
  }

  ended(number: i32, line: string): void {
    this.lines[number] = line;
    this.open--;
    if (this.open != 0) return;
    if (this.isLate) {
      log("late: " + this.lines.join(""));
    } else {
      this.answer();
    }
  }

  answer(): void {
    const body = String.UTF8.encode(this.lines.join(""));
    send_http_response(200, "", body, [makeHeaderPair("x-answered", "assemblyscript")]);
  }
}

// What the callback of a call gets: functions here cannot remember variables around them.
class Call extends Context {
  stream: Stream;
  number: i32;

  constructor(context_id: u32, root_context: RootContext, stream: Stream, number: i32) {
    super(context_id, root_context);
    this.stream = stream;
    this.number = number;
  }
}

function on_answer(context: BaseContext, headers: u32, size: usize, _trailers: u32): void {
  const call = context as Call;
  let line = "none\n";
  if (headers > 0) {
    const body = size > 0 ? String.UTF8.decode(get_buffer_bytes(BufferTypeValues.HttpCallResponseBody, 0, size as u32)) : "";
    line = stream_context.headers.http_callback.get(":status") + " " + body + "\n";
  }
  call.stream.ended(call.number, line);
}

registerRootContext((context_id: u32) => new Root(context_id), "");
