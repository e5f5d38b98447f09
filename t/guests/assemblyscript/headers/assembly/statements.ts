// The grammar of the guest `headers`: what a statement is, and how its text is read.

export enum Operation {
  Add,
  Replace,
  Remove,
  Deny,
  Log,
}

// A piece of a VALUE: a text, or the name of a request header.
export class Part {
  constructor(public text: string, public header: bool) {}
}

export class Statement {
  // For responses; else for requests.
  response: bool = false;
  // Of a header edit.
  value: Array<Part> = [];

  constructor(
    public operation: Operation,
    // The header's name, the path's prefix, or the text to log.
    public name: string,
    // The response's status, or the log level.
    public status: u32 = 0,
  ) {}
}

// Where the first word of the text ends.
function wordEnd(text: string): i32 {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code == 0x20 || code == 0x09) return i;
  }
  return text.length;
}

function first(text: string): string {
  return text.substring(0, wordEnd(text));
}

function others(text: string): string {
  return text.substring(wordEnd(text)).trim();
}

// -1 when it is no number of three digits from 200 to 599.
function status(text: string): i32 {
  if (text.length != 3) return -1;
  let number = 0;
  for (let i = 0; i < 3; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number >= 200 && number < 600 ? number : -1;
}

// Null when a %{ is not closed.
function parts(value: string): Array<Part> | null {
  const found = new Array<Part>();
  let start = 0;
  while (true) {
    const open = value.indexOf("%{", start);
    if (open < 0) {
      found.push(new Part(value.substring(start), false));
      return found;
    }
    const close = value.indexOf("}", open);
    if (close < 0) return null;
    found.push(new Part(value.substring(start, open), false));
    found.push(new Part(value.substring(open + 2, close), true));
    start = close + 1;
  }
}

// Null when the statement is wrong.
export function parse(text: string): Statement | null {
  const verb = first(text);
  const name = first(others(text));
  const rest = others(others(text));

  if (verb == "deny") {
    const code = status(rest);
    return code < 0 ? null : new Statement(Operation.Deny, name, code);
  }
  if (verb == "log") {
    const level = ["trace", "debug", "info", "warn", "error", "critical"].indexOf(name);
    return level < 0 || rest.length == 0 ? null : new Statement(Operation.Log, rest, level);
  }

  const dot = verb.indexOf(".");
  const side = verb.substring(0, dot < 0 ? 0 : dot);
  const operation = ["add", "replace", "remove"].indexOf(verb.substring(dot + 1));
  if ((side != "request" && side != "response") || operation < 0 || name.length == 0) return null;
  if ((rest.length == 0) != (operation == Operation.Remove)) return null;
  const value = parts(rest);
  if (value === null) return null;
  const statement = new Statement(operation as Operation, name);
  statement.response = side == "response";
  statement.value = value;
  return statement;
}
