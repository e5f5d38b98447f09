// c++ -std=c++17 -o build/rules_test rules_test.cc && build/rules_test
#undef NDEBUG
#include "rules.h"

#include <cassert>
#include <cstdio>

int main() {
  const Rules rules = Rules::read("key=open-sesame tag=blue");
  assert(rules.mistake.empty() && rules.tag == "blue");
  assert(rules.allow("open-sesame"));
  assert(!rules.allow("open"));
  assert(!rules.allow(""));

  for (const char *text : {"", "key=open-sesame", "key=k tag=blue tga=red", R"({"key": "k", "tag": "blue"})"})
    assert(!Rules::read(text).mistake.empty());
  assert(Rules::read("key=open-sesame tga=blue").mistake == "unknown word \"tga=blue\"");
  std::puts("ok");
}
