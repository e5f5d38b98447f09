// What the Coraza plugin uses of the Proxy-Wasm SDK for TinyGo, by way of the SDK for Go.
module github.com/tetratelabs/proxy-wasm-go-sdk

go 1.24

require github.com/proxy-wasm/proxy-wasm-go-sdk v0.0.0-20260105142703-44c7d5847745
