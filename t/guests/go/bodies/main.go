// Guest `bodies`: holds bodies of requests and responses until their end, puts them in upper case and appends " go". The
// AssemblyScript guest of this name behaves the same; the Rust one is another.
package main

import (
	"bytes"

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
}

func (*plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{}
}

// stream is one request.
type stream struct {
	types.DefaultHttpContext
}

func (*stream) OnHttpRequestBody(size int, end bool) types.Action {
	return hold(size, end, proxywasm.GetHttpRequestBody, proxywasm.ReplaceHttpRequestBody, proxywasm.AppendHttpRequestBody)
}

func (*stream) OnHttpResponseBody(size int, end bool) types.Action {
	return hold(size, end, proxywasm.GetHttpResponseBody, proxywasm.ReplaceHttpResponseBody, proxywasm.AppendHttpResponseBody)
}

func hold(
	size int, end bool, get func(int, int) ([]byte, error), replace func([]byte) error, appendTo func([]byte) error,
) types.Action {
	if !end {
		return types.ActionPause
	}
	body, err := get(0, size)
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogCriticalf("no body: %v", err)
		return types.ActionContinue
	}
	if err := replace(bytes.ToUpper(body)); err != nil {
		proxywasm.LogCriticalf("replace: %v", err)
	}
	if err := appendTo([]byte(" go")); err != nil {
		proxywasm.LogCriticalf("append: %v", err)
	}
	proxywasm.LogInfof("changed a body of %d bytes", size)
	return types.ActionContinue
}
