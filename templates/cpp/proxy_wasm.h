// What filter.cc needs of Proxy-Wasm (ABI 0.2.1), in place of an SDK. More functions of the host are declared in the same way:
// their names and types are in the specification of Proxy-Wasm. Include it in one file: it defines what the host calls.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#define HOST(name) extern "C" __attribute__((import_module("env"), import_name(#name))) uint32_t name
#define CALLBACK(name) extern "C" __attribute__((export_name(#name)))

HOST(proxy_log)(uint32_t level, const char *text, size_t size);
HOST(proxy_get_buffer_bytes)(uint32_t buffer, size_t start, size_t size, char **value, size_t *value_size);
HOST(proxy_get_header_map_value)(uint32_t map, const char *name, size_t name_size, char **value, size_t *value_size);
HOST(proxy_add_header_map_value)(uint32_t map, const char *name, size_t name_size, const char *value, size_t value_size);
HOST(proxy_send_local_response)(uint32_t status, const char *details, size_t details_size, const char *body, size_t body_size,
                                const char *headers, size_t headers_size, int32_t grpc_status);
HOST(proxy_define_metric)(uint32_t type, const char *name, size_t size, uint32_t *id);
HOST(proxy_increment_metric)(uint32_t id, int64_t by);
HOST(proxy_http_call)(const char *service, size_t service_size, const char *headers, size_t headers_size, const char *body,
                      size_t body_size, const char *trailers, size_t trailers_size, uint32_t milliseconds, uint32_t *token);
HOST(proxy_set_effective_context)(uint32_t context);
HOST(proxy_continue_stream)(uint32_t stream);

namespace proxy_wasm {

enum class Level : uint32_t { Trace, Debug, Info, Warn, Error, Critical };
enum class Map : uint32_t { RequestHeaders = 0, ResponseHeaders = 2, CallResponseHeaders = 6 };
enum class Buffer : uint32_t { CallResponseBody = 4, PluginConfiguration = 7 };
enum class Action : uint32_t { Continue, Pause };
using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

inline void log(Level level, std::string_view text) { proxy_log(uint32_t(level), text.data(), text.size()); }

// What the host has put into memory that it took from malloc.
inline std::string taken(char *value, size_t size) {
  std::string text(value, size);
  std::free(value);
  return text;
}

inline std::string buffer(Buffer which, size_t size) {
  char *value = nullptr;
  size_t value_size = 0;
  return proxy_get_buffer_bytes(uint32_t(which), 0, size, &value, &value_size) == 0 ? taken(value, value_size) : "";
}

inline std::optional<std::string> header(Map map, std::string_view name) {
  char *value = nullptr;
  size_t size = 0;
  if (proxy_get_header_map_value(uint32_t(map), name.data(), name.size(), &value, &size) != 0) return std::nullopt;
  return taken(value, size);
}

inline void add_header(Map map, std::string_view name, std::string_view value) {
  proxy_add_header_map_value(uint32_t(map), name.data(), name.size(), value.data(), value.size());
}

// As the host reads lists of headers: their number, the two sizes of each, and all of them, each with a zero behind it.
inline std::string encoded(const Headers &headers) {
  std::string sizes, texts;
  const auto number = [&sizes](uint32_t value) { sizes.append(reinterpret_cast<const char *>(&value), sizeof value); };
  number(headers.size());
  for (const auto &[name, value] : headers) {
    number(name.size());
    number(value.size());
    texts.append(name).push_back('\0');
    texts.append(value).push_back('\0');
  }
  return sizes + texts;
}

inline void respond(uint32_t status, std::string_view body, const Headers &headers = {}) {
  const std::string list = encoded(headers);
  proxy_send_local_response(status, nullptr, 0, body.data(), body.size(), list.data(), list.size(), -1);
}

inline void resume_request() { proxy_continue_stream(0); }

class Counter {
public:
  explicit Counter(std::string_view name) { proxy_define_metric(0, name.data(), name.size(), &id); }
  void increment(int64_t by = 1) { proxy_increment_metric(id, by); }

private:
  uint32_t id = 0;
};

// One for each request.
class Request {
public:
  virtual ~Request() = default;
  virtual Action onRequestHeaders() { return Action::Continue; }
  virtual Action onResponseHeaders() { return Action::Continue; }
  // The answer to a call, or none (no headers).
  virtual void onCallResponse(size_t /*headers*/, size_t /*body_size*/) {}

  // Whether the call is under way.
  bool call(std::string_view service, const Headers &headers, uint32_t milliseconds);
  uint32_t id = 0;
};

// One for each `proxy_wasm` of nginx.conf, in each worker.
class Filter {
public:
  virtual ~Filter() = default;
  virtual bool configure(std::string text) = 0;
  virtual std::unique_ptr<Request> request() = 0;
};

// filter.cc has it.
std::unique_ptr<Filter> make_filter();

inline std::unordered_map<uint32_t, std::unique_ptr<Filter>> filters;
inline std::unordered_map<uint32_t, std::unique_ptr<Request>> requests;
// Who waits for which answer.
inline std::unordered_map<uint32_t, uint32_t> calls;

inline bool Request::call(std::string_view service, const Headers &headers, uint32_t milliseconds) {
  const std::string list = encoded(headers), none = encoded({});
  uint32_t token = 0;
  if (proxy_http_call(service.data(), service.size(), list.data(), list.size(), nullptr, 0, none.data(), none.size(), milliseconds,
                      &token) != 0)
    return false;
  calls[token] = id;
  return true;
}

} // namespace proxy_wasm

CALLBACK(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

CALLBACK(proxy_on_context_create) void proxy_on_context_create(uint32_t id, uint32_t filter) {
  using namespace proxy_wasm;
  if (filter == 0) {
    filters[id] = make_filter();
  } else {
    requests[id] = filters.at(filter)->request();
    requests[id]->id = id;
  }
}

CALLBACK(proxy_on_configure) uint32_t proxy_on_configure(uint32_t id, size_t size) {
  using namespace proxy_wasm;
  return filters.at(id)->configure(buffer(Buffer::PluginConfiguration, size));
}

CALLBACK(proxy_on_request_headers) uint32_t proxy_on_request_headers(uint32_t id, uint32_t, uint32_t) {
  return uint32_t(proxy_wasm::requests.at(id)->onRequestHeaders());
}

CALLBACK(proxy_on_response_headers) uint32_t proxy_on_response_headers(uint32_t id, uint32_t, uint32_t) {
  return uint32_t(proxy_wasm::requests.at(id)->onResponseHeaders());
}

CALLBACK(proxy_on_http_call_response)
void proxy_on_http_call_response(uint32_t, uint32_t token, size_t headers, size_t body_size, size_t) {
  using namespace proxy_wasm;
  const auto call = calls.extract(token);
  const auto request = call.empty() ? requests.end() : requests.find(call.mapped());
  if (request == requests.end()) return;
  proxy_set_effective_context(request->first);
  request->second->onCallResponse(headers, body_size);
}

CALLBACK(proxy_on_delete) void proxy_on_delete(uint32_t id) {
  proxy_wasm::requests.erase(id);
  proxy_wasm::filters.erase(id);
}
