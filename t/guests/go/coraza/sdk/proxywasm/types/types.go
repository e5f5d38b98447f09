// Package types has the types that the Coraza plugin uses, under the names of the SDK for TinyGo.
package types

import sdk "github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

type (
	Action              = sdk.Action
	OnPluginStartStatus = sdk.OnPluginStartStatus

	VMContext     = sdk.VMContext
	PluginContext = sdk.PluginContext
	HttpContext   = sdk.HttpContext

	DefaultVMContext     = sdk.DefaultVMContext
	DefaultPluginContext = sdk.DefaultPluginContext
	DefaultHttpContext   = sdk.DefaultHttpContext
)

const (
	ActionContinue = sdk.ActionContinue
	ActionPause    = sdk.ActionPause

	OnPluginStartStatusOK     = sdk.OnPluginStartStatusOK
	OnPluginStartStatusFailed = sdk.OnPluginStartStatusFailed
)

var ErrorStatusNotFound = sdk.ErrorStatusNotFound
