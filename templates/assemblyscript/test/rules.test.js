import assert from "node:assert";
import { test } from "node:test";
import { allow, mistake } from "../build/rules.js";

test("only the right key is allowed", () => {
  assert(allow("key=open-sesame tag=blue", "open-sesame"));
  assert(!allow("key=open-sesame tag=blue", "open"));
  assert(!allow("key=open-sesame tag=blue", ""));
  assert(!allow("tag=blue", ""));
});

test("a bad configuration is refused", () => {
  assert.equal(mistake("key=open-sesame tag=blue"), "");
  assert.notEqual(mistake(""), "");
  assert.notEqual(mistake("key=open-sesame"), "");
  assert.notEqual(mistake('{"key": "open-sesame", "tag": "blue"}'), "");
  assert.notEqual(mistake("key=open-sesame tag=blue tga=red"), "");
  assert.equal(mistake("key=open-sesame tga=blue"), 'unknown word "tga=blue"');
});
