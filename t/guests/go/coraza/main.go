// Guest `coraza`: the Coraza WAF with the OWASP Core Rule Set, which is in the module. The plugin's own main package
// is for TinyGo; this one builds it with Go. Configuration: docs/coraza.md.
package main

import (
	"github.com/corazawaf/coraza-proxy-wasm/wasmplugin"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
)

func init() {
	// 'SecAuditLogType Serial' writes to a file, and a filter has none.
	plugins.RegisterAuditLogWriter("serial", func() plugintypes.AuditLogWriter { return &auditLog{} })
	proxywasm.SetVMContext(wasmplugin.NewVMContext())
}

func main() {}

// auditLog writes audit entries to the error log, each in a line at level info.
type auditLog struct {
	formatter plugintypes.AuditLogFormatter
}

func (a *auditLog) Init(config plugintypes.AuditLogConfig) error {
	a.formatter = config.Formatter
	return nil
}

func (a *auditLog) Write(entry plugintypes.AuditLog) error {
	text, err := a.formatter.Format(entry)
	if err != nil {
		return err
	}
	if len(text) > 0 {
		proxywasm.LogInfo("audit: " + string(text))
	}
	return nil
}

func (a *auditLog) Close() error { return nil }
