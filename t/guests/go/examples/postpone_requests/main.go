// Example `postpone_requests`: holds each request back for a random time, from nothing to the milliseconds of the
// configuration. A tick lets go what has waited long enough.
package main

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext {
		return &waitingRoom{due: map[uint32]time.Time{}}
	})
}

func main() {}

const period = 5 // milliseconds

type waitingRoom struct {
	types.DefaultPluginContext
	longest time.Duration
	// When each context that waits may go on.
	due map[uint32]time.Time
}

func (w *waitingRoom) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusFailed
	}
	longest, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || longest == 0 {
		proxywasm.LogError("the configuration must be a number of milliseconds")
		return types.OnPluginStartStatusFailed
	}
	w.longest = time.Duration(longest) * time.Millisecond
	return proxywasm.SetTickPeriodMilliSeconds(period) == nil
}

func (w *waitingRoom) OnTick() {
	now := time.Now()
	for id, due := range w.due {
		if due.After(now) {
			continue
		}
		delete(w.due, id)
		if err := proxywasm.SetEffectiveContext(id); err != nil {
			proxywasm.LogErrorf("request %d cannot be reached: %v", id, err)
			continue
		}
		proxywasm.LogInfof("request %d goes on", id)
		if err := proxywasm.ResumeHttpRequest(); err != nil {
			proxywasm.LogErrorf("request %d does not go on: %v", id, err)
		}
	}
}

func (w *waitingRoom) NewHttpContext(id uint32) types.HttpContext {
	return &request{room: w, id: id}
}

type request struct {
	types.DefaultHttpContext
	room *waitingRoom
	id   uint32
}

func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	r.room.due[r.id] = time.Now().Add(rand.N(r.room.longest))
	proxywasm.LogInfof("request %d waits", r.id)
	return types.ActionPause
}

// The client may have left.
func (r *request) OnHttpStreamDone() { delete(r.room.due, r.id) }
