// Guest `files`: does with Go's own library what statements say about files, and answers with what came of each. The
// grammar is in t/guests/README.md; the Rust guest of this name knows more of it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
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
	// What the statements of the configuration gave.
	atStart string
}

func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	if size > 0 {
		text, err := proxywasm.GetPluginConfiguration()
		if err != nil {
			return types.OnPluginStartStatusFailed
		}
		p.atStart = run(string(text))
		proxywasm.LogInfo("at start: " + p.atStart)
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{plugin: p}
}

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	report := s.plugin.atStart
	if statements, err := proxywasm.GetHttpRequestHeader("x-files"); err == nil {
		report = run(statements)
	}
	if err := proxywasm.SendHttpResponse(200, nil, []byte(report), -1); err != nil {
		panic(err)
	}
	return types.ActionPause
}

// run answers with a line for each statement: its verb, and the result or the error.
func run(statements string) string {
	var report strings.Builder
	for _, statement := range strings.Split(statements, ";") {
		statement = strings.TrimSpace(statement)
		if statement == "" {
			continue
		}
		words := strings.SplitN(statement, " ", 3)
		result, err := act(words)
		if err != nil {
			var number syscall.Errno
			if errors.As(err, &number) {
				result = fmt.Sprintf("error %d %v", number, number)
			} else {
				result = "error " + err.Error()
			}
		}
		fmt.Fprintf(&report, "%s: %s\n", words[0], result)
	}
	return report.String()
}

func act(words []string) (string, error) {
	var first, second string
	if len(words) > 1 {
		first = words[1]
	}
	if len(words) > 2 {
		second = words[2]
	}
	switch words[0] {
	case "read":
		text, err := os.ReadFile(first)
		return strings.TrimRight(string(text), "\n"), err
	case "size":
		text, err := os.ReadFile(first)
		return strconv.Itoa(len(text)), err
	case "from":
		file, err := os.Open(second)
		if err != nil {
			return "", err
		}
		defer file.Close()
		start, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return "", err
		}
		// Both ways to read from a place: with an offset, and after a seek.
		byOffset := make([]byte, 4)
		n, err := file.ReadAt(byOffset, start)
		if err != nil && err != io.EOF {
			return "", err
		}
		at, err := file.Seek(start, io.SeekStart)
		if err != nil {
			return "", err
		}
		rest, err := io.ReadAll(file)
		return fmt.Sprintf("%d %s %s", at, byOffset[:n], strings.TrimRight(string(rest), "\n")), err
	case "list", "count":
		entries, err := os.ReadDir(first)
		var names []string
		for _, entry := range entries {
			name := entry.Name()
			if entry.IsDir() {
				name += "/"
			}
			names = append(names, name)
		}
		sort.Strings(names)
		if words[0] == "count" {
			return strconv.Itoa(len(names)), err
		}
		return strings.Join(names, " "), err
	case "stat":
		known, err := os.Stat(first)
		if err != nil {
			return "", err
		}
		if known.IsDir() {
			return "directory", nil
		}
		return fmt.Sprintf("file %d %t", known.Size(), known.ModTime().Unix() > 0), nil
	case "target":
		return os.Readlink(first)
	case "write":
		return done(os.WriteFile(first, []byte(second), 0o666))
	case "append":
		file, err := os.OpenFile(first, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return "", err
		}
		defer file.Close()
		_, err = file.WriteString(second)
		return done(err)
	case "mkdir":
		return done(os.Mkdir(first, 0o777))
	case "rmdir", "remove":
		return done(os.Remove(first))
	case "rename":
		return done(os.Rename(first, second))
	case "link":
		return done(os.Link(first, second))
	case "env":
		value, ok := os.LookupEnv(first)
		if !ok {
			return "", errors.New("not set")
		}
		return value, nil
	case "symlink":
		return done(os.Symlink(first, second))
	}
	return "unknown statement", nil
}

func done(err error) (string, error) {
	return "done", err
}
