package main

import (
	"testing"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func start(t *testing.T, configuration string) (proxytest.HostEmulator, types.OnPluginStartStatus) {
	options := proxytest.NewEmulatorOption().
		WithPluginContext(newFilter).
		WithPluginConfiguration([]byte(configuration))
	host, reset := proxytest.NewHostEmulator(options)
	t.Cleanup(reset)
	return host, host.StartPlugin()
}

func TestOnlyTheRightKeyIsAllowed(t *testing.T) {
	host, _ := start(t, `{"key": "open-sesame", "tag": "blue"}`)
	for key, allowed := range map[string]bool{"open-sesame": true, "open": false, "": false} {
		id := host.InitializeHttpContext()
		action := host.CallOnRequestHeaders(id, [][2]string{{":method", "GET"}, {":path", "/"}, {"x-api-key", key}}, true)
		if (action == types.ActionContinue) != allowed {
			t.Errorf("key %q: action %v", key, action)
		}
		if response := host.GetSentLocalResponse(id); allowed != (response == nil) {
			t.Errorf("key %q: response %v", key, response)
		}
	}
	if count, err := host.GetCounterMetric("my_filter_refused"); count != 2 || err != nil {
		t.Errorf("refused: %v, %v", count, err)
	}
}

func TestResponsesGetTheTag(t *testing.T) {
	host, _ := start(t, `{"key": "open-sesame", "tag": "blue"}`)
	id := host.InitializeHttpContext()
	host.CallOnResponseHeaders(id, nil, true)
	if headers := host.GetCurrentResponseHeaders(id); len(headers) != 1 || headers[0] != [2]string{"x-tag", "blue"} {
		t.Errorf("headers: %v", headers)
	}
}

func TestABadConfigurationIsRefused(t *testing.T) {
	for _, text := range []string{"", "open-sesame", `{"key": "", "tag": "blue"}`, `{"kye": "open-sesame", "tag": "blue"}`} {
		t.Run(text, func(t *testing.T) {
			host, status := start(t, text)
			if status != types.OnPluginStartStatusFailed || len(host.GetErrorLogs()) != 1 {
				t.Errorf("status %v, log %q", status, host.GetErrorLogs())
			}
		})
	}
}
