// Guest `extism`: a plugin for Extism hosts, with the PDK for Go: what a small service does with a body.
package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/extism/go-pdk"
)

func main() {}

//go:wasmexport hello
func hello() int32 {
	name := strings.TrimSpace(pdk.InputString())
	if name == "" {
		pdk.SetError(errors.New("nobody is there to be greeted"))
		return 1
	}
	pdk.OutputString("hello " + name + "\n")
	return 0
}

type request struct {
	Method  string              `json:"method"`
	URI     string              `json:"uri"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
	Base64  bool                `json:"base64"`
}

type response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// The same with envelopes: the greeting is in the configuration.
//
//go:wasmexport envelope
func envelope() int32 {
	var in request
	if err := pdk.InputJSON(&in); err != nil {
		pdk.SetError(err)
		return 1
	}
	greeting, found := pdk.GetConfig("greeting")
	if !found {
		greeting = "hello"
	}
	out := response{
		Status:  200,
		Headers: map[string]string{"content-type": "text/plain", "x-method": in.Method},
		Body:    fmt.Sprintf("%s %s at %s\n", greeting, in.Body, in.URI),
	}
	if err := pdk.OutputJSON(out); err != nil {
		pdk.SetError(err)
		return 1
	}
	return 0
}

//go:wasmexport crash
func crash() int32 {
	panic("as it was asked for")
}
