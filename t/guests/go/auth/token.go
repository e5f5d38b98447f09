package main

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
)

// skew is how far the clocks of others may be wrong.
const skew = 60

// keySet has the keys of an issuer.
type keySet struct {
	Keys []struct {
		Kty, Kid string
		// A secret; a public key.
		K, N, E bytes
	}
}

// bytes are written as base64url.
type bytes []byte

func (b *bytes) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

// part reads a part of a token that is JSON.
func part(text string, into any) bool {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(decoded, into) == nil
}

// verifies tells whether a key that is for the algorithm has made the signature.
func (s *keySet) verifies(algorithm, kid, signed string, signature []byte) bool {
	sum := sha256.Sum256([]byte(signed))
	for _, key := range s.Keys {
		if kid != "" && key.Kid != kid {
			continue
		}
		switch {
		case algorithm == "HS256" && key.Kty == "oct" && len(key.K) > 0:
			mac := hmac.New(sha256.New, key.K)
			mac.Write([]byte(signed))
			if hmac.Equal(mac.Sum(nil), signature) {
				return true
			}
		case algorithm == "RS256" && key.Kty == "RSA" && len(key.N) > 0:
			public := rsa.PublicKey{N: new(big.Int).SetBytes(key.N), E: int(new(big.Int).SetBytes(key.E).Int64())}
			if rsa.VerifyPKCS1v15(&public, crypto.SHA256, sum[:], signature) == nil {
				return true
			}
		}
	}
	return false
}

// byToken is the consumer that has issued the token of the header `authorization`.
func (p *plugin) byToken(now time.Time) (*consumer, *refusal) {
	header, err := proxywasm.GetHttpRequestHeader("authorization")
	token, ok := strings.CutPrefix(header, "Bearer ")
	if err != nil || !ok {
		return nil, &refusal{401, "no token"}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, &refusal{401, "this is no token"}
	}
	var head struct{ Alg, Kid string }
	var body struct {
		Iss      string
		Exp, Nbf float64
	}
	claims := map[string]any{}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !part(parts[0], &head) || !part(parts[1], &body) || !part(parts[1], &claims) {
		return nil, &refusal{401, "the token cannot be read"}
	}
	var c *consumer
	for i := range p.Consumers {
		if p.Consumers[i].Issuer == body.Iss {
			c = &p.Consumers[i]
		}
	}
	if c == nil || !c.Keys.verifies(head.Alg, head.Kid, parts[0]+"."+parts[1], signature) {
		return nil, &refusal{401, "invalid token"}
	}
	if seconds := float64(now.Unix()); body.Exp < seconds-skew || body.Nbf > seconds+skew {
		return nil, &refusal{401, "the token is too old, or too new"}
	}
	for _, claim := range c.Claims {
		if err := proxywasm.RemoveHttpRequestHeader(claim.Header); err != nil {
			return nil, &refusal{500, "no headers"}
		}
		if value, ok := claims[claim.Claim]; ok {
			if err := proxywasm.AddHttpRequestHeader(claim.Header, fmt.Sprint(value)); err != nil {
				return nil, &refusal{401, "a claim cannot be a header"}
			}
		}
	}
	if c.KeepToken != nil && !*c.KeepToken {
		if err := proxywasm.RemoveHttpRequestHeader("authorization"); err != nil {
			return nil, &refusal{500, "no headers"}
		}
	}
	return c, nil
}
