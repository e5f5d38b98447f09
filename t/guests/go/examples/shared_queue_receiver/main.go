// Example `shared_queue`, the module that reads: registers a queue of the name that is its configuration, and logs all
// that comes.
package main

import (
	"errors"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &receiver{} })
}

func main() {}

type receiver struct {
	types.DefaultPluginContext
	name string
}

func (r *receiver) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	r.name = string(text)
	queue, err := proxywasm.RegisterSharedQueue(r.name)
	if err != nil {
		proxywasm.LogErrorf("no queue %q: %v", r.name, err)
		return types.OnPluginStartStatusFailed
	}
	proxywasm.LogInfof("queue %q has number %d", r.name, queue)
	return types.OnPluginStartStatusOK
}

func (r *receiver) OnQueueReady(queue uint32) {
	for {
		item, err := proxywasm.DequeueSharedQueue(queue)
		if errors.Is(err, types.ErrorStatusEmpty) {
			return
		}
		if err != nil {
			proxywasm.LogErrorf("queue %q: %v", r.name, err)
			return
		}
		proxywasm.LogInfof("from queue %q: %s", r.name, item)
	}
}

// Requests pass.
func (r *receiver) NewHttpContext(uint32) types.HttpContext { return &types.DefaultHttpContext{} }
