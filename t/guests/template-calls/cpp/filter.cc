// In the place of filter.cc of templates/cpp: the service `auth` knows which keys are good.
#include "proxy_wasm.h"

using namespace proxy_wasm;

class MyRequest : public Request {
public:
  Action onRequestHeaders() override {
    const std::string key = header(Map::RequestHeaders, "x-api-key").value_or("");
    if (!call("auth", {{":method", "GET"}, {":path", "/check"}, {":authority", "auth"}, {"x-api-key", key}}, 2000)) {
      log(Level::Error, "the service is not asked");
      respond(503, "");
    }
    return Action::Pause;
  }

  void onCallResponse(size_t, size_t) override {
    const std::optional<std::string> status = header(Map::CallResponseHeaders, ":status");
    if (status == "200") resume_request();
    else if (status) respond(403, "a bad key\n");
    else respond(503, ""); // There was no answer.
  }
};

class MyFilter : public Filter {
public:
  bool configure(std::string) override { return true; }
  std::unique_ptr<Request> request() override { return std::make_unique<MyRequest>(); }
};

std::unique_ptr<Filter> proxy_wasm::make_filter() { return std::make_unique<MyFilter>(); }
