// Example `http_routing`: gives each request one of the hosts of the configuration (words), at random. Which upstream that
// means is the matter of nginx.conf.
package main

import (
	"math/rand/v2"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &router{} })
}

func main() {}

type router struct {
	types.DefaultPluginContext
	hosts []string
}

func (r *router) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	r.hosts = strings.Fields(string(text))
	return len(r.hosts) > 0
}

func (r *router) NewHttpContext(uint32) types.HttpContext { return &request{hosts: r.hosts} }

type request struct {
	types.DefaultHttpContext
	hosts []string
}

func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	host := r.hosts[rand.IntN(len(r.hosts))]
	if err := proxywasm.ReplaceHttpRequestHeader(":authority", host); err != nil {
		proxywasm.LogErrorf("the request stays with its host: %v", err)
	}
	return types.ActionContinue
}
