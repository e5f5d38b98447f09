// Example `http_headers`: logs all headers of requests and responses, and adds two to each response: one that is always
// the same, and the one of the configuration, a JSON object with `header` and `value`.
package main

import (
	"encoding/json"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

func main() {}

type plugin struct {
	types.DefaultPluginContext
	addition struct{ Header, Value string }
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		err = json.Unmarshal(text, &p.addition)
	}
	if err != nil || p.addition.Header == "" {
		proxywasm.LogErrorf("the configuration must be JSON with header and value: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext {
	return &exchange{plugin: p, id: id}
}

type exchange struct {
	types.DefaultHttpContext
	plugin *plugin
	id     uint32
}

func (e *exchange) OnHttpRequestHeaders(int, bool) types.Action {
	list, err := proxywasm.GetHttpRequestHeaders()
	e.show("client sent", list, err)
	return types.ActionContinue
}

func (e *exchange) OnHttpResponseHeaders(int, bool) types.Action {
	for _, add := range [][2]string{
		{"x-example", "http_headers"},
		{e.plugin.addition.Header, e.plugin.addition.Value},
	} {
		if err := proxywasm.AddHttpResponseHeader(add[0], add[1]); err != nil {
			proxywasm.LogErrorf("cannot add %s: %v", add[0], err)
		}
	}
	list, err := proxywasm.GetHttpResponseHeaders()
	e.show("client gets", list, err)
	return types.ActionContinue
}

func (e *exchange) OnHttpStreamDone() {
	proxywasm.LogInfof("exchange %d is over", e.id)
}

func (e *exchange) show(what string, list [][2]string, err error) {
	if err != nil {
		proxywasm.LogErrorf("%s: %v", what, err)
	}
	for _, header := range list {
		proxywasm.LogInfof("%s %s: %s", what, header[0], header[1])
	}
}
