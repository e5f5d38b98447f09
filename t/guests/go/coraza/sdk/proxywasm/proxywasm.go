// Package proxywasm has the host calls that the Coraza plugin makes, under the names of the SDK for TinyGo. That SDK
// exports its callbacks in a way that only TinyGo understands; these come from the SDK for Go.
package proxywasm

import sdk "github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"

type MetricCounter = sdk.MetricCounter

var (
	SetVMContext = sdk.SetVMContext

	GetPluginConfiguration = sdk.GetPluginConfiguration
	GetProperty            = sdk.GetProperty

	GetHttpRequestHeader   = sdk.GetHttpRequestHeader
	GetHttpRequestHeaders  = sdk.GetHttpRequestHeaders
	GetHttpRequestBody     = sdk.GetHttpRequestBody
	GetHttpResponseHeader  = sdk.GetHttpResponseHeader
	GetHttpResponseHeaders = sdk.GetHttpResponseHeaders
	GetHttpResponseBody    = sdk.GetHttpResponseBody

	ReplaceHttpResponseBody = sdk.ReplaceHttpResponseBody
	SendHttpResponse        = sdk.SendHttpResponse

	DefineCounterMetric = sdk.DefineCounterMetric

	LogTracef    = sdk.LogTracef
	LogDebug     = sdk.LogDebug
	LogDebugf    = sdk.LogDebugf
	LogInfo      = sdk.LogInfo
	LogInfof     = sdk.LogInfof
	LogWarn      = sdk.LogWarn
	LogWarnf     = sdk.LogWarnf
	LogError     = sdk.LogError
	LogErrorf    = sdk.LogErrorf
	LogCritical  = sdk.LogCritical
	LogCriticalf = sdk.LogCriticalf
)
