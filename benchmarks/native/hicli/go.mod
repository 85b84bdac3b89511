module syncstore/benchmarks/native/hicli

go 1.25.0

require (
	github.com/rs/zerolog v1.34.0
	go.mau.fi/gomuks v0.2601.0
	go.mau.fi/util v0.9.5
	maunium.net/go/mautrix v0.26.2
)

require (
	filippo.io/edwards25519 v1.1.0 // indirect
	github.com/alecthomas/chroma/v2 v2.22.0 // indirect
	github.com/dlclark/regexp2 v1.11.5 // indirect
	github.com/lucasb-eyer/go-colorful v1.3.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/mattn/go-sqlite3 v1.14.33 // indirect
	github.com/petermattis/goid v0.0.0-20260113132338-7c7de50cc741 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/tidwall/gjson v1.18.0 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.1 // indirect
	github.com/tidwall/sjson v1.2.5 // indirect
	github.com/yuin/goldmark v1.7.16 // indirect
	golang.org/x/crypto v0.47.0 // indirect
	golang.org/x/exp v0.0.0-20260112195511-716be5621a96 // indirect
	golang.org/x/net v0.49.0 // indirect
	golang.org/x/sys v0.40.0 // indirect
	golang.org/x/text v0.33.0 // indirect
	mvdan.cc/xurls/v2 v2.6.0 // indirect
)
