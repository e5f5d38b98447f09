// Guest `headers`: edits request and response headers, denies paths and logs, as its configuration says.
// The grammar is in t/guests/README.md; the Rust and AssemblyScript guests of this name behave the same.
package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const language = "go"

func init() {
	proxywasm.SetVMContext(&vm{})
}

func main() {}

var loggers = map[string]func(string){
	"trace":    proxywasm.LogTrace,
	"debug":    proxywasm.LogDebug,
	"info":     proxywasm.LogInfo,
	"warn":     proxywasm.LogWarn,
	"error":    proxywasm.LogError,
	"critical": proxywasm.LogCritical,
}

// part is a piece of a VALUE: a text, or the name of a request header.
type part struct {
	text   string
	header bool
}

// statement is one parsed statement: run is what it does, in requests or in responses. It tells whether it has
// answered the request.
type statement struct {
	response bool
	run      func() bool
}

type vm struct {
	types.DefaultVMContext
}

func (*vm) NewPluginContext(uint32) types.PluginContext {
	return &plugin{}
}

type plugin struct {
	types.DefaultPluginContext
	statements []statement
}

func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	p.statements = nil
	if size == 0 {
		return types.OnPluginStartStatusOK
	}
	configuration, err := proxywasm.GetPluginConfiguration()
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("no configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	for _, text := range strings.FieldsFunc(string(configuration), func(r rune) bool { return r == ';' || r == '\n' }) {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		s, ok := parse(text)
		if !ok {
			proxywasm.LogError("bad statement: " + text)
			return types.OnPluginStartStatusFailed
		}
		p.statements = append(p.statements, s)
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{statements: p.statements}
}

type stream struct {
	types.DefaultHttpContext
	statements []statement
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	return s.run(false)
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	return s.run(true)
}

func (s *stream) run(response bool) types.Action {
	for _, statement := range s.statements {
		if statement.response == response && statement.run() {
			return types.ActionPause
		}
	}
	return types.ActionContinue
}

// word is the first word of the text and what follows it.
func word(text string) (string, string) {
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimSpace(text[end:])
}

// parse is false when the statement is wrong.
func parse(text string) (statement, bool) {
	verb, rest := word(text)
	first, others := word(rest)
	switch verb {
	case "deny":
		status, err := strconv.Atoi(others)
		if err != nil || status < 200 || status > 599 {
			return statement{}, false
		}
		return statement{run: func() bool { return deny(first, uint32(status)) }}, true
	case "log":
		logger := loggers[first]
		if logger == nil || others == "" {
			return statement{}, false
		}
		return statement{run: func() bool { logger(others); return false }}, true
	}
	side, operation, _ := strings.Cut(verb, ".")
	if side != "request" && side != "response" || first == "" || (others == "") != (operation == "remove") {
		return statement{}, false
	}
	value, ok := parts(others)
	if !ok {
		return statement{}, false
	}
	edit := edits[verb]
	if edit == nil {
		return statement{}, false
	}
	run := func() bool {
		if err := edit(first, expand(value)); err != nil {
			proxywasm.LogErrorf("%s: %v", text, err)
		}
		return false
	}
	return statement{response: side == "response", run: run}, true
}

var edits = map[string]func(name, value string) error{
	"request.add":      proxywasm.AddHttpRequestHeader,
	"request.replace":  proxywasm.ReplaceHttpRequestHeader,
	"request.remove":   func(name, _ string) error { return proxywasm.RemoveHttpRequestHeader(name) },
	"response.add":     proxywasm.AddHttpResponseHeader,
	"response.replace": proxywasm.ReplaceHttpResponseHeader,
	"response.remove":  func(name, _ string) error { return proxywasm.RemoveHttpResponseHeader(name) },
}

// parts is false when a %{ is not closed.
func parts(value string) ([]part, bool) {
	var found []part
	for {
		text, rest, more := strings.Cut(value, "%{")
		found = append(found, part{text: text})
		if !more {
			return found, true
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, false
		}
		found = append(found, part{text: name, header: true})
		value = after
	}
}

func expand(parts []part) string {
	var value strings.Builder
	for _, p := range parts {
		if p.header {
			value.WriteString(requestHeader(p.text))
		} else {
			value.WriteString(p.text)
		}
	}
	return value.String()
}

// requestHeader is empty when there is no such header.
func requestHeader(name string) string {
	value, err := proxywasm.GetHttpRequestHeader(name)
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("request header %s: %v", name, err)
	}
	return value
}

func deny(prefix string, status uint32) bool {
	if !strings.HasPrefix(requestHeader(":path"), prefix) {
		return false
	}
	headers := [][2]string{{"x-denied-by", language}}
	body := fmt.Sprintf("denied by %s\n", language)
	if err := proxywasm.SendHttpResponse(status, headers, []byte(body), -1); err != nil {
		proxywasm.LogErrorf("no local response: %v", err)
		return false
	}
	return true
}
