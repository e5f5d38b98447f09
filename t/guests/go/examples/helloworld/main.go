// Example `helloworld`: greets when it starts, and logs the time in nanoseconds at every tick. Configuration: the period
// in milliseconds.
package main

import (
	"strconv"
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(id uint32) types.PluginContext { return &clock{id: id} })
}

func main() {}

type clock struct {
	types.DefaultPluginContext
	id uint32
}

func (c *clock) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	period, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil {
		proxywasm.LogErrorf("the configuration must be a period in milliseconds: %v", err)
		return types.OnPluginStartStatusFailed
	}
	if err := proxywasm.SetTickPeriodMilliSeconds(uint32(period)); err != nil {
		return types.OnPluginStartStatusFailed
	}
	proxywasm.LogInfo("a Go filter says hello")
	return types.OnPluginStartStatusOK
}

func (c *clock) OnTick() {
	proxywasm.LogInfof("context %d: it is %d", c.id, time.Now().UnixNano())
}

// Requests pass.
func (c *clock) NewHttpContext(uint32) types.HttpContext { return &types.DefaultHttpContext{} }
