// What the filter decides, without a call to the host: rules_test.cc runs it on any machine.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

// The filter's configuration: `key=open-sesame tag=blue`.
struct Rules {
  std::string key, tag;
  // What is wrong with it, if anything.
  std::string mistake;

  static Rules read(std::string_view text) {
    Rules rules;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(text.size(), word.size() + 1));
      if (word.substr(0, 4) == "key=") rules.key = word.substr(4);
      else if (word.substr(0, 4) == "tag=") rules.tag = word.substr(4);
      else if (!word.empty()) rules.mistake = "unknown word \"" + std::string(word) + "\"";
    }
    const bool is_whole = !rules.key.empty() && !rules.tag.empty();
    if (!is_whole && rules.mistake.empty()) rules.mistake = "it must have key=KEY and tag=TAG";
    return rules;
  }

  bool allow(std::string_view given) const { return !key.empty() && given == key; }
};
