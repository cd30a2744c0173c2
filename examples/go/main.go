// Scores a pull request over gRPC: go run . HOST:PORT FILE
//
// The code below ./prowl is made from Prowl's own protocol, once, in this folder:
//
//	go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.9
//	go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1
//	buf generate ../../proto --path ../../proto/proto/prowl
//	go mod tidy
//
// FILE holds a pull request as GitHub's REST API writes it. Where the server asks for a token, PROWL_TOKEN holds it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	prowl "example.org/prowl-score/prowl/v1"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go run . HOST:PORT FILE")
	}
	document, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if token := os.Getenv("PROWL_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	request := &prowl.ScoreRequest{Source: &prowl.ScoreRequest_GithubJson{GithubJson: document}}
	answer, err := prowl.NewScoringClient(connection).Score(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	if answer.Percentile == nil {
		log.Fatalf("%s#%d says too little to be judged", answer.Repository, answer.Number)
	}
	fmt.Printf("%s#%d %s, more unusual than %.1f%%\n", answer.Repository, answer.Number, answer.Band, answer.GetPercentile())
	for _, reason := range answer.Reasons {
		fmt.Println("  it", reason.Sentence)
	}
}
