// Command bundle makes what the browser downloads: it bundles web/src into static/dist with hashed names, a manifest and
// packed copies, and fails when a page's scripts outgrow their limit. With -tests it bundles the unit tests instead.
//
//	go run -C tools ./bundle
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Browsers since about 2023; light-dark() and nesting in the style sheet are newer and degrade.
const target = api.ES2022

func main() {
	tests := flag.Bool("tests", false, "bundle web/src/**/*.test.ts into web/.test instead")
	root := flag.String("root", "..", "the folder that holds web and static")
	flag.Parse()
	run := build
	if *tests {
		run = buildTests
	}
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// build fills static/dist. It makes everything in memory first, so that a failed build leaves the old one in place.
func build(root string) error {
	abs, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find the folder %s: %w", root, err)
	}
	out := filepath.Join(abs, "static", "dist")
	page, err := bundle(pageOptions(abs, out))
	if err != nil {
		return err
	}
	value, err := bundle(valueOptions(abs, out))
	if err != nil {
		return err
	}
	hub, err := bundle(hubOptions(abs, out))
	if err != nil {
		return err
	}
	away, err := bundle(awayOptions(abs, out))
	if err != nil {
		return err
	}
	names, err := manifestOf(page, away, value)
	if err != nil {
		return err
	}
	if err := errors.Join(weigh(page, hub), weighValue(value, hub)); err != nil {
		return err
	}
	return write(out, slices.Concat(page.files, away.files, value.files, besideWorker(hub.files)), names)
}

// pageOptions bundles what pages load. Chunks that come later, such as the developer view, are split off.
func pageOptions(root, out string) api.BuildOptions {
	o := common(root, out)
	o.EntryPoints = []string{"web/src/board.ts", "web/src/signin.ts", "web/src/enter.ts", "web/src/check.ts", "web/src/watch.ts", "web/src/buttons.ts", "web/src/settings.ts", "web/src/applied.ts", "web/src/css/trellis.css"}
	o.EntryNames, o.ChunkNames = "[name]-[hash]", "[name]-[hash]"
	o.Splitting = true
	return o
}

// awayOptions bundles what is for whoever comes back to a board. It is apart from the board: most of it is hardly ever loaded, and modules that
// both would share are half a kilobyte more for everybody.
func awayOptions(root, out string) api.BuildOptions {
	o := pageOptions(root, out)
	o.EntryPoints = []string{"web/src/away.ts"}
	return o
}

// valueOptions bundles the page of one value by itself: what it shares with the board would else be cut out of that, and the board is what has
// to be small.
func valueOptions(root, out string) api.BuildOptions {
	o := common(root, out)
	o.EntryPoints = []string{"web/src/value.ts", "web/src/moment.ts"}
	o.EntryNames = "[name]-[hash]"
	return o
}

// hubOptions bundles the worker under a stable name. paho-mqtt takes the global WebSocket: here that name becomes ours,
// so that the client speaks through web/src/carrier. Our own code says globalThis.WebSocket, which stays.
func hubOptions(root, out string) api.BuildOptions {
	o := common(root, out)
	o.EntryPoints = []string{"web/src/hub.ts"}
	o.EntryNames = "[name]"
	o.Format = api.FormatIIFE
	o.Define = map[string]string{"WebSocket": "__trellisSocket"}
	o.MangleProps, o.MangleQuoted = inside, api.MangleQuotedTrue
	o.Plugins = []api.Plugin{{Name: "untraced", Setup: untraced}}
	return o
}

// inside are names that paho-mqtt 1.1.0 uses for itself, and that neither a browser nor a page knows: short ones save half
// a kilobyte.
const inside = "^(_[^_].*|[A-Z_]{5,}|cancel|cleanSession|connected|connectOptions|destinationName|disconnect|" +
	"disconnectedBufferSize|disconnectedPublishing|duplicate|encodedMqtt|errorCode|errorMessage|getTraceLog|hostIndex|hosts|" +
	"invocationContext|isConnected|keepAliveInterval|maxMessageIdentifier|messageIdentifier|mqttVersion|mqttVersionExplicit|" +
	"onConnected|onConnectionLost|onFailure|onMessageArrived|onMessageDelivered|onSuccess|password|payloadBytes|payloadMessage|" +
	"payloadString|pubRecReceived|receiveBuffer|receivePinger|reconnect|remainingLength|replyCode|requestedQos|returnCode|" +
	"sendPinger|sequence|sessionPresent|startTrace|stopTrace|timeOut|timeout|topics|traceFunction|traceMask|unsubscribe|uris|" +
	"userName|useSSL|willMessage)$"

// trace is a statement of paho-mqtt that writes to a trace which nobody reads.
var trace = regexp.MustCompile(`(?m)^\s*(else )?(this|this\._client)\._trace\(.*\);$`)

// untraced takes these statements away.
func untraced(b api.PluginBuild) {
	b.OnLoad(api.OnLoadOptions{Filter: `paho-mqtt\.js$`}, func(file api.OnLoadArgs) (api.OnLoadResult, error) {
		source, err := os.ReadFile(file.Path)
		if err != nil {
			return api.OnLoadResult{}, fmt.Errorf("read the MQTT client: %w", err)
		}
		plain := trace.ReplaceAllString(string(source), ";")
		return api.OnLoadResult{Contents: &plain}, nil
	})
}

func common(root, out string) api.BuildOptions {
	return api.BuildOptions{
		AbsWorkingDir: root, Outdir: out, Bundle: true, Write: false, Metafile: true,
		Target: target, Engines: []api.Engine{{Name: api.EngineChrome, Version: "109"}, {Name: api.EngineFirefox, Version: "115"}, {Name: api.EngineSafari, Version: "16.4"}},
		Format:           api.FormatESModule,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		Sourcemap: api.SourceMapLinked, SourcesContent: api.SourcesContentInclude,
		LegalComments: api.LegalCommentsLinked, Charset: api.CharsetUTF8,
		LogLevel: api.LogLevelSilent,
	}
}

// bundled is one run of esbuild.
type bundled struct {
	files []api.OutputFile
	meta  string
	out   string
	root  string
}

func bundle(o api.BuildOptions) (bundled, error) {
	result := api.Build(o)
	if len(result.Errors) > 0 {
		return bundled{}, errors.New(strings.Join(api.FormatMessages(result.Errors, api.FormatMessagesOptions{}), ""))
	}
	for _, w := range api.FormatMessages(result.Warnings, api.FormatMessagesOptions{Kind: api.WarningMessage}) {
		fmt.Fprint(os.Stderr, w)
	}
	return bundled{files: result.OutputFiles, meta: result.Metafile, out: o.Outdir, root: o.AbsWorkingDir}, nil
}

// buildTests bundles each unit test for node, which strips no types in the versions we support.
func buildTests(root string) error {
	abs, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find the folder %s: %w", root, err)
	}
	entries, err := filepath.Glob(filepath.Join(abs, "web", "src", "*.test.ts"))
	if err != nil {
		return fmt.Errorf("find tests: %w", err)
	}
	deeper, err := filepath.Glob(filepath.Join(abs, "web", "src", "*", "*.test.ts"))
	if err != nil {
		return fmt.Errorf("find tests: %w", err)
	}
	entries = append(entries, deeper...)
	if len(entries) == 0 {
		return errors.New("no test was found under web/src")
	}
	out := filepath.Join(abs, "web", ".test")
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("empty %s: %w", out, err)
	}
	o := common(abs, out)
	o.EntryPoints, o.Write = entries, true
	o.Platform, o.Target, o.Engines = api.PlatformNode, api.DefaultTarget, []api.Engine{{Name: api.EngineNode, Version: "20"}}
	o.Define = map[string]string{"WebSocket": "__trellisSocket"}
	o.OutExtension = map[string]string{".js": ".mjs"}
	o.MinifyIdentifiers, o.MinifySyntax, o.MinifyWhitespace = false, false, false
	_, err = bundle(o)
	return err
}
