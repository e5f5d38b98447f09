// Requests need the right `x-api-key`, and responses get a tag. rules.h decides, this file talks to the host.
#include "proxy_wasm.h"
#include "rules.h"

using namespace proxy_wasm;

class MyFilter : public Filter {
public:
  bool configure(std::string text) override {
    rules = Rules::read(text);
    if (rules.mistake.empty()) return true;
    log(Level::Error, "bad configuration: " + rules.mistake);
    return false;
  }
  std::unique_ptr<Request> request() override;

  Rules rules;
  Counter refused{"my_filter_refused"};
};

class MyRequest : public Request {
public:
  explicit MyRequest(MyFilter &filter) : filter(filter) {}

  Action onRequestHeaders() override {
    if (filter.rules.allow(header(Map::RequestHeaders, "x-api-key").value_or(""))) return Action::Continue;
    log(Level::Info, "refused: no key, or a wrong one");
    filter.refused.increment();
    respond(403, "no key\n", {{"content-type", "text/plain"}});
    return Action::Pause;
  }

  Action onResponseHeaders() override {
    add_header(Map::ResponseHeaders, "x-tag", filter.rules.tag);
    return Action::Continue;
  }

private:
  MyFilter &filter;
};

std::unique_ptr<Request> MyFilter::request() { return std::make_unique<MyRequest>(*this); }
std::unique_ptr<Filter> proxy_wasm::make_filter() { return std::make_unique<MyFilter>(); }
