// Guest `cgi`: a web program for any CGI host, with the standard library's own package and nothing that is about WebAssembly.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"sort"
	"strconv"
	"strings"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", index)
	mux.HandleFunc("POST /form", form)
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/query", query)
	mux.HandleFunc("/cookies", cookies)
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("/download", download)
	mux.HandleFunc("/missing", http.NotFound)
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, os.Getenv("SCRIPT_NAME")+"/", http.StatusFound)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) {
		panic("as it was asked for")
	})
	// Where the program is, the server knows.
	if err := cgi.Serve(http.StripPrefix(os.Getenv("SCRIPT_NAME"), mux)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s from %s by %s\n", r.Method, r.URL.Path, r.Host, r.Proto)
}

// The fields of a form, in the order of their names.
func form(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	names := make([]string, 0, len(r.PostForm))
	for name := range r.PostForm {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.PostForm[name], " and "))
	}
}

// What came in the header fields whose names the query has, and a field of an answer that is there twice.
func headers(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("X-Twice", "one")
	w.Header().Add("X-Twice", "two")
	for _, name := range r.URL.Query()["name"] {
		fmt.Fprintf(w, "%s: %s\n", name, r.Header.Get(name))
	}
}

func query(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%q %q\n", r.URL.RawQuery, r.URL.Query().Get("a"))
}

func cookies(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "first", Value: "1", Path: "/"})
	http.SetCookie(w, &http.Cookie{Name: "second", Value: "2", HttpOnly: true})
	for _, cookie := range r.Cookies() {
		fmt.Fprintf(w, "%s is %s\n", cookie.Name, cookie.Value)
	}
}

func upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	count, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d bytes of %d, %x\n", count, r.ContentLength, sum.Sum(nil))
}

func download(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		http.Error(w, "n is no number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	piece := []byte(strings.Repeat("g", 10_000))
	for count > 0 {
		written, err := w.Write(piece[:min(count, len(piece))])
		if err != nil {
			return
		}
		count -= written
	}
}
