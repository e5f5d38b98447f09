// What the SDK leaves out.
import { LogLevelValues } from "@gcoredev/proxy-wasm-sdk-as/assembly";
import { proxy_log } from "@gcoredev/proxy-wasm-sdk-as/assembly/imports";

/** Writes to nginx's error log. The SDK's own function of this name writes to standard output: level info, always. */
export function log(level: LogLevelValues, text: string): void {
  const bytes = String.UTF8.encode(text);
  proxy_log(level as usize, changetype<usize>(bytes), bytes.byteLength);
}

/** Where errors end that nobody catches: asconfig.json names it. The trap that follows fails the request. */
// @ts-ignore: decorator
@global
export function log_abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message === null ? "abort" : message;
  const place = file === null ? "?" : file;
  log(LogLevelValues.critical, text + " at " + place + ":" + line.toString() + ":" + column.toString());
  unreachable();
}
