// Guest `extism`: a plugin for Extism hosts, with the PDK for AssemblyScript.

import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk";
import { error_set } from "@extism/as-pdk/lib/env";

// What the compiler calls when an error is thrown.
export function fail(message: string | null, file: string | null, line: u32, column: u32): void {
  error_set(Memory.allocateString(message === null ? "an error" : message).offset);
  unreachable();
}

export function hello(): i32 {
  const greeting = Config.get("greeting");
  Host.log(LogLevel.Info, "somebody is greeted");
  Host.outputString((greeting === null ? "hello" : greeting) + " " + Host.inputString() + "\n");
  return 0;
}

// A string has fewer characters than bytes here; the PDK says the number of characters.
export function beyond(): i32 {
  Host.outputString("äöü");
  return 0;
}

export function bytes(): i32 {
  Host.output(Host.input());
  return 0;
}

export function count(): i32 {
  const before = Var.getString("count");
  const now = (before === null ? 0 : parseInt(before)) + 1;
  Var.set("count", Uint8Array.wrap(String.UTF8.encode((now as i32).toString())));
  Host.outputString((now as i32).toString() + "\n");
  return 0;
}

export function refuse(): i32 {
  error_set(Memory.allocateString("it is refused: " + Host.inputString()).offset);
  return 1;
}

export function crash(): i32 {
  throw new Error("as it was asked for");
}
