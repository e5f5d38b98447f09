// Requests need the right `x-api-key`, and responses get a tag.
package main

import (
	"encoding/json"
	"errors"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// A filter is a library: the host calls what init has set, and never main.
func main() {}

func init() { proxywasm.SetPluginContext(newFilter) }

func newFilter(uint32) types.PluginContext { return &filter{} }

type filter struct {
	types.DefaultPluginContext
	rules   rules
	refused proxywasm.MetricCounter
}

// The filter's configuration.
type rules struct {
	Key string `json:"key"`
	Tag string `json:"tag"`
}

func read(text []byte) (r rules, err error) {
	if err = json.Unmarshal(text, &r); err == nil && (r.Key == "" || r.Tag == "") {
		err = errors.New(`it must have "key" and "tag"`)
	}
	return r, err
}

func (f *filter) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		f.rules, err = read(text)
	}
	if err != nil {
		proxywasm.LogErrorf("bad configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	f.refused = proxywasm.DefineCounterMetric("my_filter_refused")
	return types.OnPluginStartStatusOK
}

func (f *filter) NewHttpContext(uint32) types.HttpContext { return &request{filter: f} }

// There is one of these for each request.
type request struct {
	types.DefaultHttpContext
	filter *filter
}

func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	key, err := proxywasm.GetHttpRequestHeader("x-api-key")
	if err == nil && key == r.filter.rules.Key {
		return types.ActionContinue
	}
	proxywasm.LogInfo("refused: no key, or a wrong one")
	r.filter.refused.Increment(1)
	headers := [][2]string{{"content-type", "text/plain"}}
	if err := proxywasm.SendHttpResponse(403, headers, []byte("no key\n"), -1); err != nil {
		panic(err)
	}
	return types.ActionPause
}

func (r *request) OnHttpResponseHeaders(int, bool) types.Action {
	if err := proxywasm.AddHttpResponseHeader("x-tag", r.filter.rules.Tag); err != nil {
		proxywasm.LogErrorf("the response has no tag: %v", err)
	}
	return types.ActionContinue
}
