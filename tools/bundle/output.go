package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
)

// metafile is the part of esbuild's report that we read.
type metafile struct {
	Outputs map[string]struct {
		EntryPoint string `json:"entryPoint"`
		Imports    []struct {
			Path string `json:"path"`
			Kind string `json:"kind"`
		} `json:"imports"`
	} `json:"outputs"`
}

func (b bundled) report() (metafile, error) {
	var m metafile
	if err := json.Unmarshal([]byte(b.meta), &m); err != nil {
		return m, fmt.Errorf("read esbuild's report: %w", err)
	}
	return m, nil
}

// manifestOf maps plain names to hashed ones: "board.js" to "board-3FQ2A7KX.js".
func manifestOf(all ...bundled) (map[string]string, error) {
	names := map[string]string{}
	for _, b := range all {
		m, err := b.report()
		if err != nil {
			return nil, err
		}
		for path, output := range m.Outputs {
			if output.EntryPoint == "" {
				continue
			}
			plain := strings.TrimSuffix(filepath.Base(output.EntryPoint), filepath.Ext(output.EntryPoint))
			names[plain+filepath.Ext(path)] = filepath.Base(path)
		}
	}
	return names, nil
}

// besideWorker gives what belongs to the worker, its source map and the licences it names, hashed names under /static/,
// since only the worker itself has an address of its own.
func besideWorker(files []api.OutputFile) []api.OutputFile {
	worker := slices.IndexFunc(files, func(f api.OutputFile) bool { return filepath.Base(f.Path) == "hub.js" })
	if worker < 0 {
		return files
	}
	for i, f := range files {
		if i == worker {
			continue
		}
		plain := filepath.Base(f.Path)
		hashed := "hub-" + hash(f.Contents) + strings.TrimPrefix(plain, "hub")
		files[i].Path = filepath.Join(filepath.Dir(f.Path), hashed)
		files[worker].Contents = bytes.ReplaceAll(files[worker].Contents, []byte(plain), []byte("/static/"+hashed))
	}
	return files
}

// write replaces static/dist by the files, their packed copies, the icons and the manifest.
func write(out string, files []api.OutputFile, names map[string]string) error {
	if err := empty(out); err != nil {
		return err
	}
	icons, err := filepath.Glob(filepath.Join(out, "..", "..", "web", "src", "icons", "*.svg"))
	if err != nil {
		return fmt.Errorf("find icons: %w", err)
	}
	for _, icon := range icons {
		body, err := os.ReadFile(icon)
		if err != nil {
			return fmt.Errorf("read an icon: %w", err)
		}
		plain := strings.TrimSuffix(filepath.Base(icon), ".svg")
		names[plain+".svg"] = plain + "-" + hash(body) + ".svg"
		files = append(files, api.OutputFile{Path: filepath.Join(out, names[plain+".svg"]), Contents: body})
	}
	for _, f := range files {
		if err := writePacked(f); err != nil {
			return fmt.Errorf("write %s: %w", filepath.Base(f.Path), err)
		}
	}
	manifest, err := json.MarshalIndent(names, "", "  ")
	if err != nil {
		return fmt.Errorf("make the manifest: %w", err)
	}
	return os.WriteFile(filepath.Join(out, "manifest.json"), append(manifest, '\n'), 0o644)
}

// empty removes an earlier build but keeps .gitkeep, which is committed so that the program compiles without one.
func empty(out string) error {
	old, err := os.ReadDir(out)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("read %s: %w", out, err)
	}
	for _, f := range old {
		if f.Name() == ".gitkeep" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(out, f.Name())); err != nil {
			return fmt.Errorf("remove an earlier build: %w", err)
		}
	}
	return os.MkdirAll(out, 0o755)
}

// writePacked writes a file and, except for source maps, which only developers load, its packed copies.
func writePacked(f api.OutputFile) error {
	if err := os.WriteFile(f.Path, f.Contents, 0o644); err != nil {
		return err
	}
	if strings.HasSuffix(f.Path, ".map") {
		return nil
	}
	if err := os.WriteFile(f.Path+".br", packBrotli(f.Contents), 0o644); err != nil {
		return err
	}
	return os.WriteFile(f.Path+".gz", packGzip(f.Contents), 0o644)
}

func packBrotli(body []byte) []byte {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

func packGzip(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = w.Write(body)
	_ = w.Close()
	return b.Bytes()
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return base32.StdEncoding.EncodeToString(sum[:5])
}
