// An app that knows nothing of the gateway: net/http, as its users call it.
// One line of tab-separated fields for each call; one JSON line for each answer.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
)

func call(job []string) (int, []byte, error) {
	base := os.Getenv(job[2])
	if base == "" {
		base = job[3]
	}
	request, err := http.NewRequest("POST", base+job[4], strings.NewReader(job[6]))
	if err != nil {
		return 0, nil, err
	}
	for _, field := range strings.Split(job[5], "|") {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	if job[10] != "1" {
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, body, err
	}
	var body []byte
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		body = append(append(body, lines.Bytes()...), '\n')
	}
	return answer.StatusCode, body, lines.Err()
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		job := strings.Split(lines.Text(), "\t")
		said := map[string]any{"id": job[0], "version": strings.TrimPrefix(runtime.Version(), "go")}
		status, body, err := call(job)
		if err != nil {
			said["error"] = hex.EncodeToString([]byte(err.Error()))
		} else {
			said["status"], said["body"] = status, hex.EncodeToString(body)
		}
		line, _ := json.Marshal(said)
		fmt.Println(string(line))
	}
}
