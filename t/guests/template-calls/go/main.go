// In the place of main.go of templates/go: the service `auth` knows which keys are good.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &request{} })
}

type request struct {
	types.DefaultHttpContext
}

func (*request) OnHttpRequestHeaders(int, bool) types.Action {
	key, _ := proxywasm.GetHttpRequestHeader("x-api-key")
	headers := [][2]string{{":method", "GET"}, {":path", "/check"}, {":authority", "auth"}, {"x-api-key", key}}
	if _, err := proxywasm.DispatchHttpCall("auth", headers, nil, nil, 2000, onAnswer); err != nil {
		proxywasm.LogErrorf("the service is not asked: %v", err)
		respond(503, "")
	}
	return types.ActionPause
}

func onAnswer(count, _, _ int) {
	headers, err := proxywasm.GetHttpCallResponseHeaders()
	if count == 0 || err != nil {
		respond(503, "") // There was no answer.
		return
	}
	for _, header := range headers {
		if header == [2]string{":status", "200"} {
			if err := proxywasm.ResumeHttpRequest(); err != nil {
				panic(err)
			}
			return
		}
	}
	respond(403, "a bad key\n")
}

func respond(status uint32, body string) {
	if err := proxywasm.SendHttpResponse(status, nil, []byte(body), -1); err != nil {
		panic(err)
	}
}
