// dockerfile FILE: what BuildKit makes of a Dockerfile, as JSON: warnings of `docker build --check`, the steps of
// each stage with variables expanded, and the image's configuration. Base images count as empty but for a PATH.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/opencontainers/go-digest"
)

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

type base struct{}

func (base) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os": "linux", "architecture": "amd64", "config": {"Env": ["PATH=` + path + `"]}}`), nil
}

type step struct {
	Kind    string   `json:"kind"`
	Words   []string `json:"words"`
	From    string   `json:"from,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Environ []string `json:"environ,omitempty"`
}

type stage struct {
	Name  string `json:"name"`
	Base  string `json:"base"`
	Steps []step `json:"steps"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	must(err)
	warnings := []string{}
	warn := func(rule, _, _, message string, at []parser.Range) {
		warnings = append(warnings, rule+": "+message)
	}
	options := dockerfile2llb.ConvertOpt{MetaResolver: base{}, SourceMap: llb.NewSourceMap(nil, "Dockerfile", "", text), Warn: warn}
	result, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, options)
	must(err)
	tree, err := parser.Parse(strings.NewReader(string(text)))
	must(err)
	parsed, arguments, err := instructions.Parse(tree.AST, linter.New(&linter.Config{}))
	must(err)
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"warnings": warnings, "stages": stages(parsed, arguments), "config": result.Image.Config,
	}))
}

func stages(parsed []instructions.Stage, arguments []instructions.ArgCommand) []stage {
	lex := shell.NewLex('\\')
	expand := func(word string, environ []string) string {
		expanded, _, err := lex.ProcessWord(word, shell.EnvsFromSlice(environ))
		must(err)
		return expanded
	}
	var global []string
	for _, command := range arguments {
		for _, argument := range command.Args {
			global = append(global, argument.Key+"="+argument.ValueString())
		}
	}
	made := []stage{}
	for _, one := range parsed {
		environ := []string{"PATH=" + path}
		next := stage{Name: one.Name, Base: expand(one.BaseName, global)}
		for _, command := range one.Commands {
			switch c := command.(type) {
			case *instructions.EnvCommand:
				before := environ
				for _, pair := range c.Env {
					environ = append(without(environ, pair.Key), pair.Key+"="+expand(pair.Value, before))
				}
			case *instructions.WorkdirCommand:
				next.Steps = append(next.Steps, step{Kind: "WORKDIR", Words: []string{expand(c.Path, environ)}})
			case *instructions.CopyCommand:
				words := []string{}
				for _, word := range append(c.SourcePaths, c.DestPath) {
					words = append(words, expand(word, environ))
				}
				next.Steps = append(next.Steps, step{Kind: "COPY", Words: words, From: c.From, Mode: c.Chmod})
			case *instructions.RunCommand:
				words := c.CmdLine
				if c.PrependShell {
					words = append([]string{"/bin/sh", "-c"}, words...)
				}
				next.Steps = append(next.Steps, step{Kind: "RUN", Words: words, Environ: environ})
			case *instructions.UserCommand, *instructions.ExposeCommand, *instructions.EntrypointCommand, *instructions.LabelCommand:
				// of the configuration only
			default:
				log.Fatalf("the rig does not know %s", command.Name())
			}
		}
		made = append(made, next)
	}
	return made
}

func without(environ []string, name string) []string {
	kept := []string{}
	for _, pair := range environ {
		if !strings.HasPrefix(pair, name+"=") {
			kept = append(kept, pair)
		}
	}
	return kept
}
