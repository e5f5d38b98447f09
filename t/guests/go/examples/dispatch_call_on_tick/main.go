// Example `dispatch_call_on_tick`: calls another service at every tick, and logs what it answers. The configuration is the
// period in milliseconds, the service and the path to ask for.
package main

import (
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

func main() {}

type plugin struct {
	types.DefaultPluginContext
	service, path string
	calls         int
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	words := strings.Fields(string(text))
	if len(words) != 3 {
		return types.OnPluginStartStatusFailed
	}
	period, err := strconv.Atoi(words[0])
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	p.service, p.path = words[1], words[2]
	return proxywasm.SetTickPeriodMilliSeconds(uint32(period)) == nil
}

func (p *plugin) OnTick() {
	p.calls++
	number := strconv.Itoa(p.calls)
	headers := [][2]string{{":method", "GET"}, {":path", p.path}, {":authority", p.service}, {"x-call", number}}
	_, err := proxywasm.DispatchHttpCall(p.service, headers, nil, nil, 5000, func(headers, size, _ int) { tell(number, headers, size) })
	if err != nil {
		proxywasm.LogCriticalf("call %s cannot be made: %v", number, err)
	}
}

// tell logs the answer to a call.
func tell(number string, headers, size int) {
	if headers == 0 {
		proxywasm.LogInfof("call %s: no answer", number)
		return
	}
	all, err := proxywasm.GetHttpCallResponseHeaders()
	if err != nil {
		proxywasm.LogCriticalf("call %s: no headers: %v", number, err)
		return
	}
	for _, header := range all {
		if header[0] == ":status" {
			proxywasm.LogInfof("call %s: status %s, %d bytes", number, header[1], size)
		}
	}
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &types.DefaultHttpContext{} }
