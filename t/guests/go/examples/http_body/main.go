// Example `http_body`: puts text before a body, behind it, or in its place. The request says what to do in the header
// `buffer-operation` (prepend, append, replace), and with `buffer-replace-at: response` that it is about the response.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &editor{} })
}

func main() {}

// edit changes the body that is there.
type edit func([]byte) error

type editor struct {
	types.DefaultHttpContext
	request, response edit
	text              []byte
}

func (e *editor) OnHttpRequestHeaders(_ int, endOfStream bool) types.Action {
	operation, err := proxywasm.GetHttpRequestHeader("buffer-operation")
	if err != nil {
		return types.ActionContinue
	}
	target, err := proxywasm.GetHttpRequestHeader("buffer-replace-at")
	ofResponse := err == nil && target == "response"

	switch {
	case operation == "prepend" && ofResponse:
		e.response, e.text = proxywasm.PrependHttpResponseBody, []byte("front|")
	case operation == "prepend":
		e.request, e.text = proxywasm.PrependHttpRequestBody, []byte("front|")
	case operation == "append" && ofResponse:
		e.response, e.text = proxywasm.AppendHttpResponseBody, []byte("|back")
	case operation == "append":
		e.request, e.text = proxywasm.AppendHttpRequestBody, []byte("|back")
	case operation == "replace" && ofResponse:
		e.response, e.text = proxywasm.ReplaceHttpResponseBody, []byte("something else")
	case operation == "replace":
		e.request, e.text = proxywasm.ReplaceHttpRequestBody, []byte("something else")
	default:
		proxywasm.LogErrorf("unknown buffer-operation %q", operation)
	}
	if e.request != nil && !endOfStream {
		// The length that the client told will not be true any more.
		if err := proxywasm.RemoveHttpRequestHeader("content-length"); err != nil {
			proxywasm.LogErrorf("content-length of the request: %v", err)
		}
	}
	return types.ActionContinue
}

func (e *editor) OnHttpRequestBody(_ int, endOfStream bool) types.Action {
	return e.body(e.request, endOfStream)
}

func (e *editor) OnHttpResponseHeaders(_ int, endOfStream bool) types.Action {
	if e.response != nil && !endOfStream {
		if err := proxywasm.RemoveHttpResponseHeader("content-length"); err != nil {
			proxywasm.LogErrorf("content-length of the response: %v", err)
		}
	}
	return types.ActionContinue
}

func (e *editor) OnHttpResponseBody(_ int, endOfStream bool) types.Action {
	return e.body(e.response, endOfStream)
}

// body holds a body back until all of it is there, and edits it then.
func (e *editor) body(change edit, endOfStream bool) types.Action {
	if change == nil {
		return types.ActionContinue
	}
	if !endOfStream {
		return types.ActionPause
	}
	if err := change(e.text); err != nil {
		proxywasm.LogErrorf("the body stays as it is: %v", err)
	}
	return types.ActionContinue
}
