// Example `http_body_chunk`: reads the request's body piece by piece as it comes, and answers 403 with the number of the
// piece in which `pattern` ends.
package main

import (
	"bytes"
	"fmt"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &searcher{} })
}

func main() {}

var wanted = []byte("pattern")

type searcher struct {
	types.DefaultHttpContext
	pieces, seen int
	// The last bytes of the piece before: what is looked for may lie across the border.
	tail []byte
}

func (s *searcher) OnHttpRequestBody(size int, endOfStream bool) types.Action {
	proxywasm.LogInfof("%d bytes are there, %d of them seen, end: %t", size, s.seen, endOfStream)
	if size > s.seen {
		piece, err := proxywasm.GetHttpRequestBody(s.seen, size-s.seen)
		if err != nil {
			proxywasm.LogErrorf("cannot read the body: %v", err)
			return types.ActionContinue
		}
		s.pieces++
		s.seen += len(piece)
		proxywasm.LogInfof("piece %d has %d bytes", s.pieces, len(piece))

		text := append(s.tail, piece...)
		if bytes.Contains(text, wanted) {
			answer := fmt.Sprintf("found in piece %d\n", s.pieces)
			if err := proxywasm.SendHttpResponse(403, [][2]string{{"x-example", "http_body_chunk"}}, []byte(answer), -1); err != nil {
				proxywasm.LogErrorf("cannot answer: %v", err)
			}
			return types.ActionPause
		}
		s.tail = text[max(0, len(text)-len(wanted)+1):]
	}
	if endOfStream {
		return types.ActionContinue
	}
	// Nothing goes on before all of it has been seen.
	return types.ActionPause
}
