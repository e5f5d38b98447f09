// Example `shared_queue`, the module that writes: puts the headers of requests and responses into two queues of another
// VM, whose name is the configuration. An item is a header as JSON.
package main

import (
	"encoding/json"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &sender{} })
}

func main() {}

type sender struct {
	types.DefaultPluginContext
	receiver string
}

func (s *sender) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	s.receiver = string(text)
	return err == nil && len(text) > 0
}

func (s *sender) NewHttpContext(uint32) types.HttpContext { return &stream{receiver: s.receiver} }

type stream struct {
	types.DefaultHttpContext
	receiver string
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	list, err := proxywasm.GetHttpRequestHeaders()
	s.send("http_request_headers", list, err)
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	list, err := proxywasm.GetHttpResponseHeaders()
	s.send("http_response_headers", list, err)
	return types.ActionContinue
}

func (s *stream) send(name string, list [][2]string, err error) {
	if err != nil {
		proxywasm.LogErrorf("no headers for %s: %v", name, err)
		return
	}
	queue, err := proxywasm.ResolveSharedQueue(s.receiver, name)
	if err != nil {
		proxywasm.LogErrorf("%s has no queue %s: %v", s.receiver, name, err)
		return
	}
	for _, header := range list {
		item, err := json.Marshal(map[string]string{"key": header[0], "value": header[1]})
		if err == nil {
			err = proxywasm.EnqueueSharedQueue(queue, item)
		}
		if err != nil {
			proxywasm.LogErrorf("queue %s does not take %s: %v", name, header[0], err)
			return
		}
		proxywasm.LogInfof("into %s: %s", name, item)
	}
}
