package hostile

import (
	"io"
	"net/http"
)

// portal answers in the server's place, as the login page of a hotel does.
func portal(w http.ResponseWriter, r *http.Request, how string) {
	if how == "redirect" {
		http.Redirect(w, r, "/login-of-the-hotel", http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title><p>Welcome to our network. Please log in.")
}
