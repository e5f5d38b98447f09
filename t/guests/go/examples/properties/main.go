// Example `properties`: a property of the request, whose path is the configuration (words), names the header in which
// this route wants its credentials. Without that header the answer is 401; a route without the property is open.
package main

import (
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &guard{} })
}

func main() {}

type guard struct {
	types.DefaultPluginContext
	property []string
}

func (g *guard) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	g.property = strings.Fields(string(text))
	return len(g.property) > 0
}

func (g *guard) NewHttpContext(id uint32) types.HttpContext { return &request{guard: g, id: id} }

type request struct {
	types.DefaultHttpContext
	guard *guard
	id    uint32
}

func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	header, err := proxywasm.GetProperty(r.guard.property)
	if err != nil || len(header) == 0 {
		proxywasm.LogInfo("this route is open")
		return types.ActionContinue
	}
	proxywasm.LogInfof("this route wants %q", header)
	if value, err := proxywasm.GetHttpRequestHeader(string(header)); err == nil && value != "" {
		return types.ActionContinue
	}
	if err := proxywasm.SendHttpResponse(401, nil, nil, -1); err != nil {
		proxywasm.LogErrorf("cannot answer: %v", err)
	}
	return types.ActionPause
}

func (r *request) OnHttpStreamDone() { proxywasm.LogInfof("request %d is over", r.id) }
