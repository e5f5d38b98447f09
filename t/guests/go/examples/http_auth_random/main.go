// Example `http_auth_random`: asks another service whether a request may pass. The configuration is the service and the path
// to ask for; when a checksum of the answer is even the request goes on, otherwise, and when there is no answer, it is
// refused.
package main

import (
	"hash/crc32"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &judge{} })
}

func main() {}

// judge is whom to ask.
type judge struct {
	types.DefaultPluginContext
	service, path string
}

func (j *judge) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	var found bool
	j.service, j.path, found = strings.Cut(string(text), " ")
	return types.OnPluginStartStatus(found)
}

func (j *judge) NewHttpContext(uint32) types.HttpContext { return &request{judge: j} }

type request struct {
	types.DefaultHttpContext
	judge *judge
}

func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	headers := [][2]string{{":method", "GET"}, {":path", r.judge.path}, {":authority", r.judge.service}}
	if _, err := proxywasm.DispatchHttpCall(r.judge.service, headers, nil, nil, 5000, decide); err != nil {
		refuse()
	}
	return types.ActionPause
}

func decide(headers, size, _ int) {
	body, err := proxywasm.GetHttpCallResponseBody(0, size)
	if headers == 0 || err != nil || crc32.ChecksumIEEE(body)%2 != 0 {
		refuse()
		return
	}
	if err := proxywasm.ResumeHttpRequest(); err != nil {
		proxywasm.LogCriticalf("the request cannot go on: %v", err)
	}
}

func refuse() {
	headers := [][2]string{{"x-example", "http_auth_random"}}
	if err := proxywasm.SendHttpResponse(403, headers, []byte("not this time\n"), -1); err != nil {
		proxywasm.LogCriticalf("the request cannot be refused: %v", err)
	}
}
