// Guest `rootid`: filters that are registered under root ids, as the C++ SDK has them. A root context whose id nobody has
// registered does nothing, and neither do its streams. t/guests/README.md says what the filters do.
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#define IMPORT(name) extern "C" __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

IMPORT(proxy_get_property)
uint32_t proxy_get_property(const char *path, size_t path_size, char **value, size_t *value_size);
IMPORT(proxy_get_buffer_bytes)
uint32_t proxy_get_buffer_bytes(uint32_t buffer, size_t start, size_t size, char **value, size_t *value_size);
IMPORT(proxy_get_header_map_value)
uint32_t proxy_get_header_map_value(uint32_t map, const char *name, size_t name_size, char **value, size_t *value_size);
IMPORT(proxy_add_header_map_value)
uint32_t proxy_add_header_map_value(uint32_t map, const char *name, size_t name_size, const char *value, size_t value_size);
IMPORT(proxy_send_local_response)
uint32_t proxy_send_local_response(uint32_t status, const char *details, size_t details_size, const char *body,
                                   size_t body_size, const char *headers, size_t headers_size, int32_t grpc_status);

namespace {

constexpr uint32_t kOk = 0, kContinue = 0, kPause = 1;
constexpr uint32_t kPluginConfiguration = 7, kRequestHeaders = 0, kResponseHeaders = 2;

// What the host has put into memory that it took from our allocator.
template <typename... Arguments>
std::string given(uint32_t (*function)(Arguments..., char **, size_t *), Arguments... arguments) {
  char *value = nullptr;
  size_t size = 0;
  if (function(arguments..., &value, &size) != kOk || value == nullptr) return {};
  std::string text(value, size);
  std::free(value);
  return text;
}

std::string rootId() {
  constexpr std::string_view path = "plugin_root_id";
  return given<const char *, size_t>(proxy_get_property, path.data(), path.size());
}

std::string requestHeader(std::string_view name) {
  return given<uint32_t, const char *, size_t>(proxy_get_header_map_value, kRequestHeaders, name.data(), name.size());
}

struct Root;

struct Stream {
  explicit Stream(Root *root) : root(root) {}
  virtual ~Stream() = default;
  virtual uint32_t onRequestHeaders() { return kContinue; }
  virtual uint32_t onResponseHeaders() { return kContinue; }
  Root *root;
};

struct Root {
  virtual ~Root() = default;
  virtual bool onConfigure(size_t) { return true; }
  virtual std::unique_ptr<Stream> createStream() { return std::make_unique<Stream>(this); }
};

// Made by the first registration: constructors of other variables run in no certain order.
std::unordered_map<std::string, std::function<std::unique_ptr<Root>()>> &registry() {
  static auto *known = new std::unordered_map<std::string, std::function<std::unique_ptr<Root>()>>;
  return *known;
}

template <typename Kind> struct Registration {
  explicit Registration(const std::string &id) {
    registry()[id] = [] { return std::make_unique<Kind>(); };
  }
};

// A root whose streams are of this kind, and know its configuration.
template <typename Kind> struct Configured : Root {
  bool onConfigure(size_t size) override {
    configuration = given<uint32_t, size_t, size_t>(proxy_get_buffer_bytes, kPluginConfiguration, 0, size);
    return configuration.size() == size;
  }
  std::unique_ptr<Stream> createStream() override { return std::make_unique<Kind>(this); }
  std::string configuration;
};

struct Guard : Stream {
  using Stream::Stream;
  uint32_t onRequestHeaders() override {
    if (requestHeader("x-key") == static_cast<Configured<Guard> *>(root)->configuration) return kContinue;
    constexpr std::string_view body = "no key\n";
    proxy_send_local_response(403, nullptr, 0, body.data(), body.size(), nullptr, 0, -1);
    return kPause;
  }
};

struct Tag : Stream {
  using Stream::Stream;
  uint32_t onResponseHeaders() override {
    constexpr std::string_view name = "x-tag";
    const std::string &value = static_cast<Configured<Tag> *>(root)->configuration;
    proxy_add_header_map_value(kResponseHeaders, name.data(), name.size(), value.data(), value.size());
    return kContinue;
  }
};

const Registration<Configured<Guard>> guard("guard");
const Registration<Configured<Tag>> tag("a root id with blanks, longer than others");

std::unordered_map<uint32_t, std::unique_ptr<Root>> roots;
std::unordered_map<uint32_t, std::unique_ptr<Stream>> streams;

} // namespace

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

EXPORT(proxy_on_context_create) void proxy_on_context_create(uint32_t id, uint32_t parent) {
  if (parent != 0) {
    streams[id] = roots.at(parent)->createStream();
    return;
  }
  const auto found = registry().find(rootId());
  roots[id] = found == registry().end() ? std::make_unique<Root>() : found->second();
}

EXPORT(proxy_on_configure) uint32_t proxy_on_configure(uint32_t id, size_t size) { return roots.at(id)->onConfigure(size); }

EXPORT(proxy_on_request_headers) uint32_t proxy_on_request_headers(uint32_t id, uint32_t, uint32_t) {
  return streams.at(id)->onRequestHeaders();
}

EXPORT(proxy_on_response_headers) uint32_t proxy_on_response_headers(uint32_t id, uint32_t, uint32_t) {
  return streams.at(id)->onResponseHeaders();
}

EXPORT(proxy_on_delete) void proxy_on_delete(uint32_t id) {
  streams.erase(id);
  roots.erase(id);
}
