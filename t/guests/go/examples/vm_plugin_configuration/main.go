// Example `vm_plugin_configuration`: logs the VM configuration and the plugin configuration when it starts.
package main

import (
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

func (*vm) OnVMStart(size int) types.OnVMStartStatus {
	text, err := proxywasm.GetVMConfiguration()
	if err != nil || len(text) != size {
		proxywasm.LogCriticalf("no VM configuration of %d bytes: %v", size, err)
		return types.OnVMStartStatusFailed
	}
	proxywasm.LogInfof("the VM is told: %s", text)
	return types.OnVMStartStatusOK
}

func (*vm) NewPluginContext(uint32) types.PluginContext { return &plugin{} }

type plugin struct {
	types.DefaultPluginContext
}

func (*plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil || len(text) != size {
		proxywasm.LogCriticalf("no plugin configuration of %d bytes: %v", size, err)
		return types.OnPluginStartStatusFailed
	}
	proxywasm.LogInfof("the plugin is told: %s", text)
	return types.OnPluginStartStatusOK
}

// Requests pass.
func (*plugin) NewHttpContext(uint32) types.HttpContext { return &types.DefaultHttpContext{} }
