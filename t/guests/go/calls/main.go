// Guest `calls`: calls the services that its configuration and the request header `x-calls` name, all at once, and answers
// with what came. The grammar is in t/guests/README.md; the AssemblyScript guest of this name behaves the same.
package main

import (
	"fmt"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

func main() {}

type plugin struct {
	types.DefaultPluginContext
	words string
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	words, err := proxywasm.GetPluginConfiguration()
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogCriticalf("no configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	p.words = string(words)
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{words: p.words} }

// stream is one request.
type stream struct {
	types.DefaultHttpContext
	words string
	// What came of each call.
	lines []string
	open  int
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	if words, err := proxywasm.GetHttpRequestHeader("x-calls"); err == nil {
		s.words = words
	}
	if strings.HasPrefix(s.words, "log ") {
		return types.ActionContinue
	}
	s.begin(s.words, s.answer)
	if s.open == 0 {
		s.answer()
	}
	return types.ActionPause
}

func (s *stream) OnHttpStreamDone() {
	if words, late := strings.CutPrefix(s.words, "log "); late {
		s.begin(words, func() { proxywasm.LogInfof("late: %s", strings.Join(s.lines, "")) })
	}
}

func (s *stream) begin(words string, all func()) {
	for _, call := range strings.Split(words, ";") {
		parts := strings.Fields(call)
		if len(parts) != 3 {
			continue
		}
		number := len(s.lines)
		s.lines = append(s.lines, "refused\n")
		headers := [][2]string{{":method", parts[1]}, {":path", parts[2]}, {":authority", parts[0]}, {"x-from", "go"}}
		_, err := proxywasm.DispatchHttpCall(parts[0], headers, nil, nil, 20000, func(headers, size, _ int) {
			s.lines[number] = result(headers, size)
			s.open--
			if s.open == 0 {
				all()
			}
		})
		if err == nil {
			s.open++
		}
	}
}

// result is a line about the call whose callback runs.
func result(headers, size int) string {
	if headers == 0 {
		return "none\n"
	}
	all, err := proxywasm.GetHttpCallResponseHeaders()
	if err != nil {
		return fmt.Sprintf("no headers: %v\n", err)
	}
	body, err := proxywasm.GetHttpCallResponseBody(0, size)
	if err != nil && size > 0 {
		return fmt.Sprintf("no body: %v\n", err)
	}
	for _, header := range all {
		if header[0] == ":status" {
			return header[1] + " " + string(body) + "\n"
		}
	}
	return "no status\n"
}

func (s *stream) answer() {
	err := proxywasm.SendHttpResponse(200, [][2]string{{"x-answered", "go"}}, []byte(strings.Join(s.lines, "")), -1)
	if err != nil {
		proxywasm.LogCriticalf("no answer: %v", err)
	}
}
