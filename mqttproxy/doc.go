// Package mqttproxy carries our own pages' MQTT sessions.
//
// A page speaks a small, strict part of MQTT 3.1.1 over a [Carrier]: a WebSocket ([Accept]), or a pipe ([Pipes]), which
// moves between a WebSocket and plain HTTP requests, as the network lets it, and loses nothing. The [Hub] is the other end of
// that session: it encodes a message once and hands the same bytes to every reader, keeps a bounded queue per reader,
// and sends the last values to whoever joins. Messages come from, and go to, one [Source].
//
// It never decides who somebody is: it is given a Grant and obeys it. Start at [Hub.Serve].
package mqttproxy
