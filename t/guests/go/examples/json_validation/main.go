// Example `json_validation`: lets a request pass when its body is a JSON object with all the keys of the configuration
// (`{"requiredKeys": ["id"]}`), and answers 403 otherwise.
package main

import (
	"encoding/json"
	"fmt"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &validator{} })
}

func main() {}

type validator struct {
	types.DefaultPluginContext
	RequiredKeys []string
}

func (v *validator) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		proxywasm.LogErrorf("the configuration cannot be read: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (v *validator) NewHttpContext(uint32) types.HttpContext { return &request{validator: v} }

type request struct {
	types.DefaultHttpContext
	validator *validator
}

func (r *request) OnHttpRequestHeaders(_ int, endOfStream bool) types.Action {
	if endOfStream {
		return refuse("there is no body")
	}
	return types.ActionContinue
}

func (r *request) OnHttpRequestBody(size int, endOfStream bool) types.Action {
	if !endOfStream {
		return types.ActionPause
	}
	body, err := proxywasm.GetHttpRequestBody(0, size)
	if err != nil {
		return refuse(fmt.Sprintf("the body cannot be read: %v", err))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return refuse(err.Error())
	}
	for _, key := range r.validator.RequiredKeys {
		if _, there := object[key]; !there {
			return refuse(fmt.Sprintf("there is no %q", key))
		}
	}
	return types.ActionContinue
}

func refuse(reason string) types.Action {
	proxywasm.LogInfof("refused: %s", reason)
	if err := proxywasm.SendHttpResponse(403, nil, []byte("not the JSON that is wanted\n"), -1); err != nil {
		proxywasm.LogErrorf("cannot answer: %v", err)
	}
	return types.ActionPause
}
