// Feeds the responses of a file to gomuks' hicli and prints as JSON what that took.
//
//	hicli BODIES FOLDER
//
// FOLDER must exist: the database is made there.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/gomuks/pkg/hicli"
	"go.mau.fi/gomuks/pkg/hicli/database"
	"go.mau.fi/util/dbutil"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"
)

const user = id.UserID("@me:example.org")

// offline refuses every request and counts them: one that was made would show in the times.
type offline struct{ asked int }

func (o *offline) RoundTrip(*http.Request) (*http.Response, error) {
	o.asked++
	return nil, errors.New("there is no server")
}

type moment struct {
	cpu  time.Duration // of all threads of this process
	wall time.Time
}

func now() moment {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return moment{time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), time.Now()}
}

func (m moment) since(start moment) []float64 {
	return []float64{(m.cpu - start.cpu).Seconds(), m.wall.Sub(start.wall).Seconds()}
}

func main() {
	if len(os.Args) != 3 {
		must(errors.New("usage: hicli BODIES FOLDER"))
	}
	bodies := read(os.Args[1])
	ctx := context.Background()
	client, network := open(ctx, os.Args[2])

	start := now()
	since := apply(ctx, client, bodies[0], "")
	first := now()
	for _, body := range bodies[1:] {
		since = apply(ctx, client, body, since)
	}
	end := now()

	if network.asked > 0 {
		must(fmt.Errorf("%d requests were made: the times are not those of the store", network.asked))
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string][]float64{
		"first sync":    first.since(start),
		"small batches": end.since(first),
		"both":          end.since(start),
	}))
}

// apply does what the client does with the body of a response: it decodes it and gives it to its syncer.
func apply(ctx context.Context, client *hicli.HiClient, body []byte, since string) string {
	var response *mautrix.RespSync
	must(json.Unmarshal(body, &response))
	must(client.Client.Syncer.ProcessResponse(ctx, response, since))
	return response.NextBatch
}

// open makes a logged in client that has never synced, on a database as gomuks opens its own.
func open(ctx context.Context, folder string) (*hicli.HiClient, *offline) {
	raw, err := dbutil.NewFromConfig("gomuks", dbutil.Config{PoolConfig: dbutil.PoolConfig{
		Type:         "sqlite3-fk-wal",
		URI:          fmt.Sprintf("file:%s/gomuks.db?_txlock=immediate", folder),
		MaxOpenConns: 5,
		MaxIdleConns: 1,
	}}, nil)
	must(err)
	client := hicli.New(raw, nil, zerolog.Nop(), []byte("key"), func(any) {})
	network := &offline{}
	client.Client.Client.Transport = network
	client.Client.DefaultHTTPRetries = 0
	// What HiClient.Start does, without its questions to the server.
	must(client.DB.Upgrade(ctx))
	must(client.CryptoStore.DB.Upgrade(ctx))
	account := &database.Account{UserID: user, DeviceID: "BENCH", AccessToken: "none", HomeserverURL: "http://localhost"}
	must(client.DB.Account.Put(ctx, account))
	client.Account = account
	client.CryptoStore.AccountID = account.UserID.String()
	client.CryptoStore.DeviceID = account.DeviceID
	client.Client.UserID = account.UserID
	client.Client.DeviceID = account.DeviceID
	must(client.Crypto.Load(ctx))
	return client, network
}

// read splits a file into its bodies: before each stands its length, eight bytes, the highest first.
func read(path string) [][]byte {
	data, err := os.ReadFile(path)
	must(err)
	var bodies [][]byte
	for len(data) > 0 {
		length := binary.BigEndian.Uint64(data) + 8
		bodies = append(bodies, data[8:length])
		data = data[length:]
	}
	return bodies
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
