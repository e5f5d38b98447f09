// Example `foreign_call_on_tick`: has the configured text compressed by the host's foreign function `compress` at every
// tick, and logs the result in hexadecimal.
package main

import (
	"encoding/hex"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &compressor{} })
}

func main() {}

type compressor struct {
	types.DefaultPluginContext
	text  []byte
	calls int
}

func (c *compressor) OnPluginStart(int) types.OnPluginStartStatus {
	var err error
	if c.text, err = proxywasm.GetPluginConfiguration(); err != nil {
		return types.OnPluginStartStatusFailed
	}
	return proxywasm.SetTickPeriodMilliSeconds(10) == nil
}

func (c *compressor) OnTick() {
	c.calls++
	result, err := proxywasm.CallForeignFunction("compress", c.text)
	if err != nil {
		proxywasm.LogErrorf("call %d: %v", c.calls, err)
		return
	}
	proxywasm.LogInfof("call %d: compressed to %s", c.calls, hex.EncodeToString(result))
}

// Requests pass.
func (c *compressor) NewHttpContext(uint32) types.HttpContext { return &types.DefaultHttpContext{} }
