// Guest `balancer`: shows the servers of the request's upstream, and chooses one, as the request header `x-balancer` says.
// The grammar is in t/guests/README.md.
package main

import (
	"fmt"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetVMContext(&vm{})
}

func main() {}

type vm struct {
	types.DefaultVMContext
}

func (*vm) NewPluginContext(uint32) types.PluginContext {
	return &plugin{}
}

type plugin struct {
	types.DefaultPluginContext
	waiting []*request
}

// OnPluginStart runs the statements of `@start` in the configuration.
func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	if size > 0 {
		configuration, err := proxywasm.GetPluginConfiguration()
		if err != nil {
			return types.OnPluginStartStatusFailed
		}
		(&request{}).run("start", string(configuration))
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext {
	return &request{id: id, plugin: p}
}

// OnTick goes on with the requests that wait for it.
func (p *plugin) OnTick() {
	waiting := p.waiting
	p.waiting = nil
	for _, r := range waiting {
		if err := proxywasm.SetEffectiveContext(r.id); err != nil {
			continue
		}
		r.run("tick", r.statements)
		if err := proxywasm.ResumeHttpRequest(); err != nil {
			proxywasm.LogErrorf("balancer: resume: %v", err)
		}
	}
}

type request struct {
	types.DefaultHttpContext
	id         uint32
	plugin     *plugin
	statements string
	results    []string
	answer     bool
}

// run runs the statements of this place.
func (r *request) run(place, statements string) {
	for _, statement := range strings.Split(statements, ";") {
		words := strings.Fields(statement)
		where := "headers"
		if len(words) > 0 && strings.HasPrefix(words[0], "@") {
			where, words = words[0][1:], words[1:]
		}
		if len(words) == 0 || where != place {
			continue
		}
		argument := strings.Join(words[1:], " ")
		var result string
		switch words[0] {
		case "hosts":
			hosts, err := proxywasm.GetUpstreamHosts()
			result = fmt.Sprint(err)
			if err == nil {
				var all []string
				for _, host := range hosts {
					all = append(all, host[0]+"="+host[1])
				}
				result = strings.Join(all, " ")
			}
		case "choose":
			result = fmt.Sprint(proxywasm.SetUpstreamOverrideHost([]byte(argument)))
		case "answer":
			r.answer = true
			continue
		default:
			result = "unknown statement"
		}
		r.results = append(r.results, words[0]+": "+result)
		proxywasm.LogInfof("balancer: %s: %s: %s", place, words[0], result)
	}
}

func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	// Without the header there is nothing to do.
	r.statements, _ = proxywasm.GetHttpRequestHeader("x-balancer")
	r.run("headers", r.statements)
	if r.answer {
		body := strings.Join(r.results, "\n") + "\n"
		if err := proxywasm.SendHttpResponse(200, nil, []byte(body), -1); err != nil {
			proxywasm.LogErrorf("balancer: answer: %v", err)
		}
		return types.ActionPause
	}
	if strings.Contains(r.statements, "@tick") {
		r.plugin.waiting = append(r.plugin.waiting, r)
		if err := proxywasm.SetTickPeriodMilliSeconds(20); err != nil {
			proxywasm.LogErrorf("balancer: tick: %v", err)
		}
		return types.HeaderStopAllIterationAndBuffer
	}
	return types.ActionContinue
}

func (r *request) OnHttpRequestBody(_ int, end bool) types.Action {
	if end {
		r.run("body", r.statements)
	}
	return types.ActionContinue
}

func (r *request) OnHttpResponseHeaders(int, bool) types.Action {
	r.run("response", r.statements)
	if len(r.results) > 0 {
		if err := proxywasm.AddHttpResponseHeader("x-balanced", strings.Join(r.results, " | ")); err != nil {
			proxywasm.LogErrorf("balancer: header: %v", err)
		}
	}
	return types.ActionContinue
}

func (r *request) OnHttpStreamDone() {
	r.run("done", r.statements)
}
