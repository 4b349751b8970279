// Asks a URL once by net/http, and prints what came back. See canary.py.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"
)

func attempt(way, token, url string) map[string]any {
	found := map[string]any{"name": "net/http", "way": way}
	request, err := http.NewRequest("GET", url, nil)
	if err == nil {
		request.Header.Set("x-whygate-canary", token)
		var answer *http.Response
		answer, err = (&http.Client{Timeout: 10 * time.Second}).Do(request)
		if err == nil {
			found["status"] = answer.StatusCode
			found["echo"] = answer.Header.Get("x-whygate-canary")
			found["flow"] = answer.Header.Get("x-whygate-flow-id")
			answer.Body.Close()
		}
	}
	if err != nil {
		found["error"] = err.Error()
	}
	return found
}

func main() {
	token, url, base := os.Args[1], os.Args[2], os.Args[3]
	means := []map[string]any{attempt("proxy", token, url)}
	if base != "" {
		means = append(means, attempt("base_url", token, base+"/models"))
	}
	line, _ := json.Marshal(map[string]any{"whygate_canary": "Go " + runtime.Version()[2:], "means": means})
	fmt.Println(string(line))
}
