// Guest `ticker`: counts its ticks in the log and in a response header. Configuration: `PERIOD` in milliseconds, then
// any of `stop N` (no more after tick N) and `trap N` (panics at tick N). The Rust guest of this name behaves the same.
package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetVMContext(&vm{})
}

func main() {}

type vm struct {
	types.DefaultVMContext
}

func (*vm) NewPluginContext(uint32) types.PluginContext {
	return &plugin{}
}

type plugin struct {
	types.DefaultPluginContext
	ticks, stop, trap int
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	configuration, err := proxywasm.GetPluginConfiguration()
	words := strings.Fields(string(configuration))
	if err != nil || len(words)%2 == 0 {
		return types.OnPluginStartStatusFailed
	}
	period, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil || proxywasm.SetTickPeriodMilliSeconds(uint32(period)) != nil {
		return types.OnPluginStartStatusFailed
	}
	for n := 1; n < len(words); n += 2 {
		number, err := strconv.Atoi(words[n+1])
		if err != nil {
			return types.OnPluginStartStatusFailed
		}
		switch words[n] {
		case "stop":
			p.stop = number
		case "trap":
			p.trap = number
		}
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnTick() {
	p.ticks++
	proxywasm.LogInfo(fmt.Sprintf("go tick %d", p.ticks))
	if p.ticks == p.trap {
		panic("trap")
	}
	if p.ticks == p.stop {
		if err := proxywasm.SetTickPeriodMilliSeconds(0); err != nil {
			panic(err)
		}
		proxywasm.LogInfo("go stopped")
	}
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{plugin: p}
}

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	if err := proxywasm.ReplaceHttpResponseHeader("x-ticks", strconv.Itoa(s.plugin.ticks)); err != nil {
		panic(err)
	}
	return types.ActionContinue
}
