// A machine that is on the network already.
#pragma once
enum { WL_CONNECTED = 3 };
struct {
  void begin(const char *, const char *) {}
  int status() { return WL_CONNECTED; }
} WiFi;
struct WiFiClient {};
