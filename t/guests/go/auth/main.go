// Guest `auth`: names the consumer that a request comes from, by a key or by a signed token, and refuses the others. It has the
// configuration and the answers of Higress' key-auth and jwt-auth, and continues behind an answer, as they do. See
// t/guests/README.md.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const consumerHeader = "x-mse-consumer"

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

func main() {}

// consumer has a credential, or issues tokens.
type consumer struct {
	Name       string
	Credential string
	Issuer     string
	Keys       *keySet `json:"jwks"`
	Claims     []struct {
		Claim  string
		Header string
	} `json:"claims_to_headers"`
	KeepToken *bool `json:"keep_token"`
}

// rule says who may use some routes, or some hosts.
type rule struct {
	Routes []string `json:"_match_route_"`
	Hosts  []string `json:"_match_domain_"`
	Allow  []string
}

type plugin struct {
	types.DefaultPluginContext
	Consumers []consumer
	// Names of headers and of arguments, with a credential; without any, there are tokens.
	Keys     []string
	InQuery  bool   `json:"in_query"`
	InHeader bool   `json:"in_header"`
	Global   *bool  `json:"global_auth"`
	Rules    []rule `json:"_rules_"`
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		err = json.Unmarshal(text, p)
	}
	if err == nil {
		err = p.check()
	}
	if err != nil {
		proxywasm.LogErrorf("the configuration cannot be used: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) check() error {
	if len(p.Consumers) == 0 {
		return errors.New("there are no consumers")
	}
	if len(p.Keys) > 0 && !p.InQuery && !p.InHeader {
		return errors.New("keys are neither in_query nor in_header")
	}
	seen := map[string]bool{}
	for _, c := range p.Consumers {
		id := c.Credential
		if len(p.Keys) == 0 {
			id = c.Issuer
		}
		if c.Name == "" || id == "" || seen[id] {
			return fmt.Errorf("the consumer %q has no name, or nothing that is its own", c.Name)
		}
		if len(p.Keys) == 0 && c.Keys == nil {
			return fmt.Errorf("the consumer %q has no jwks", c.Name)
		}
		seen[id] = true
	}
	for _, r := range p.Rules {
		if len(r.Allow) == 0 || len(r.Routes)+len(r.Hosts) == 0 {
			return errors.New("a rule allows nobody, or is for nothing")
		}
	}
	return nil
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

// ruleFor is nil where no rule is for this request.
func (p *plugin) ruleFor(host, route string) *rule {
	if end := strings.LastIndexByte(host, ':'); end > strings.LastIndexByte(host, ']') {
		host = host[:end]
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		if slices.Contains(r.Routes, route) || slices.ContainsFunc(r.Hosts, func(pattern string) bool {
			if end, ok := strings.CutPrefix(pattern, "*"); ok {
				return strings.HasSuffix(host, end)
			}
			if start, ok := strings.CutSuffix(pattern, "*"); ok {
				return strings.HasPrefix(host, start)
			}
			return host == pattern
		}) {
			return r
		}
	}
	return nil
}

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
}

// refusal is an answer.
type refusal struct {
	status uint32
	reason string
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	if no := s.run(); no != nil {
		scheme := "JWT"
		if len(s.plugin.Keys) > 0 {
			scheme = "Key"
		}
		headers := [][2]string{{"www-authenticate", scheme + " realm=MSE Gateway"}}
		if err := proxywasm.SendHttpResponse(no.status, headers, []byte(no.reason+"\n"), -1); err != nil {
			proxywasm.LogErrorf("no local response: %v", err)
			return types.ActionPause
		}
	}
	return types.ActionContinue
}

func (s *stream) run() *refusal {
	p := s.plugin
	// Nobody but this filter says who somebody is.
	if err := proxywasm.RemoveHttpRequestHeader(consumerHeader); err != nil {
		return &refusal{500, "no headers"}
	}
	host, err := proxywasm.GetHttpRequestHeader(":authority")
	if err != nil && err != types.ErrorStatusNotFound {
		return &refusal{500, "no host"}
	}
	route, err := proxywasm.GetProperty([]string{"route_name"})
	if err != nil && err != types.ErrorStatusNotFound {
		return &refusal{500, "no route"}
	}
	r := p.ruleFor(host, string(route))
	everywhere := len(p.Rules) == 0
	if p.Global != nil {
		everywhere = *p.Global
	}
	if !everywhere && r == nil {
		return nil
	}
	var c *consumer
	var no *refusal
	if len(p.Keys) > 0 {
		c, no = p.byKey()
	} else {
		c, no = p.byToken(time.Now())
	}
	if no != nil {
		return no
	}
	if r != nil && !slices.Contains(r.Allow, c.Name) {
		return &refusal{403, "unauthorized consumer"}
	}
	if err := proxywasm.AddHttpRequestHeader(consumerHeader, c.Name); err != nil {
		return &refusal{500, "the name of the consumer cannot be a header"}
	}
	return nil
}
