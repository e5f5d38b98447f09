// Example `shared_data`: counts requests in a value that all workers share, and logs the count. Whoever was overtaken by
// another writer reads the value again.
package main

import (
	"encoding/binary"
	"errors"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &request{} })
}

func main() {}

const key = "example-requests"

type request struct {
	types.DefaultHttpContext
}

func (*request) OnHttpRequestHeaders(int, bool) types.Action {
	for {
		count, err := increment()
		if err == nil {
			proxywasm.LogInfof("the count is %d", count)
			return types.ActionContinue
		}
		if !errors.Is(err, types.ErrorStatusCasMismatch) {
			proxywasm.LogErrorf("cannot count: %v", err)
			return types.ActionContinue
		}
	}
}

func increment() (uint64, error) {
	value, version, err := proxywasm.GetSharedData(key)
	if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
		return 0, err
	}
	count := uint64(1)
	if len(value) == 8 {
		count += binary.LittleEndian.Uint64(value)
	}
	return count, proxywasm.SetSharedData(key, binary.LittleEndian.AppendUint64(nil, count), version)
}
