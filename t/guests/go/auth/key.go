package main

import (
	"crypto/subtle"
	"net/url"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
)

// byKey is the consumer whose credential is in a header or in the query.
func (p *plugin) byKey() (*consumer, *refusal) {
	var found []string
	if p.InHeader {
		for _, name := range p.Keys {
			if value, err := proxywasm.GetHttpRequestHeader(name); err == nil && value != "" {
				found = append(found, value)
			}
		}
	}
	if p.InQuery {
		path, err := proxywasm.GetHttpRequestHeader(":path")
		if err != nil {
			return nil, &refusal{500, "no path"}
		}
		_, query, _ := strings.Cut(path, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil, &refusal{401, "the query cannot be read"}
		}
		for _, name := range p.Keys {
			found = append(found, values[name]...)
		}
	}
	switch len(found) {
	case 0:
		return nil, &refusal{401, "no key"}
	case 1:
	default:
		return nil, &refusal{401, "more than one key"}
	}
	for i := range p.Consumers {
		if subtle.ConstantTimeCompare([]byte(p.Consumers[i].Credential), []byte(found[0])) == 1 {
			return &p.Consumers[i], nil
		}
	}
	return nil, &refusal{401, "invalid key"}
}
