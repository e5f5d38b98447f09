// Example `multiple_dispatches`: holds a response until ten calls to another service have been answered, and tells in
// headers how many there were, and how many were answered. The configuration is the service and the path to ask for.
package main

import (
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const calls = 10

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

func main() {}

type plugin struct {
	types.DefaultPluginContext
	service, path string
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	var found bool
	p.service, p.path, found = strings.Cut(string(text), " ")
	return types.OnPluginStartStatus(found)
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &exchange{plugin: p} }

// exchange is a request and its response.
type exchange struct {
	types.DefaultHttpContext
	plugin         *plugin
	open, answered int
}

func (e *exchange) OnHttpResponseHeaders(int, bool) types.Action {
	headers := [][2]string{{":method", "GET"}, {":path", e.plugin.path}, {":authority", e.plugin.service}}
	for range calls {
		if _, err := proxywasm.DispatchHttpCall(e.plugin.service, headers, nil, nil, 5000, e.came); err != nil {
			proxywasm.LogCriticalf("a call cannot be made: %v", err)
			continue
		}
		e.open++
	}
	if e.open == 0 {
		return types.ActionContinue
	}
	return types.ActionPause
}

func (e *exchange) came(headers, _, _ int) {
	if headers > 0 {
		e.answered++
	}
	e.open--
	proxywasm.LogInfof("%d calls are under way", e.open)
	if e.open > 0 {
		return
	}
	for name, number := range map[string]int{"x-calls": calls, "x-answered": e.answered} {
		if err := proxywasm.AddHttpResponseHeader(name, strconv.Itoa(number)); err != nil {
			proxywasm.LogCriticalf("the header %s cannot be added: %v", name, err)
		}
	}
	if err := proxywasm.ResumeHttpResponse(); err != nil {
		proxywasm.LogCriticalf("the response cannot go on: %v", err)
	}
}
