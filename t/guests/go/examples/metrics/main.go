// Example `metrics`: counts requests by the value of their header `my-custom-header`, in one counter for each value. The
// counter's name holds the value as a tag.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &request{} })
}

func main() {}

// One for each value; clients choose the values, so there is an end to them.
var counters = map[string]proxywasm.MetricCounter{}

const most = 100

type request struct {
	types.DefaultHttpContext
}

func (*request) OnHttpRequestHeaders(int, bool) types.Action {
	value, err := proxywasm.GetHttpRequestHeader("my-custom-header")
	if err != nil {
		return types.ActionContinue
	}
	name := "example_requests_value=" + value + "_reporter=go"
	counter, known := counters[value]
	if !known {
		if len(counters) == most {
			return types.ActionContinue
		}
		counter = proxywasm.DefineCounterMetric(name)
		counters[value] = counter
	}
	counter.Increment(1)
	proxywasm.LogInfof("%s is %d", name, counter.Value())
	return types.ActionContinue
}
