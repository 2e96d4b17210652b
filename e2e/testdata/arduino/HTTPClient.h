// HTTPClient as the program uses it, over a plain socket: what is asked and what is read of the answer are the program's own.
#pragma once
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "Arduino.h"
#include "WiFi.h"

class HTTPClient {
 public:
  bool begin(WiFiClient &, const char *url) {
    std::string rest(url);
    if (rest.compare(0, 7, "http://") != 0) return false;
    rest = rest.substr(7);
    size_t slash = rest.find('/');
    host = rest.substr(0, slash);
    path = rest.substr(slash);
    return true;
  }
  void addHeader(const String &name, const String &value) { headers += name + ": " + value + "\r\n"; }
  int GET() {
    size_t colon = host.rfind(':');
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host.substr(0, colon).c_str(), host.substr(colon + 1).c_str(), &wanted, &found) != 0) return -1;
    int to = socket(found->ai_family, SOCK_STREAM, 0);
    if (connect(to, found->ai_addr, found->ai_addrlen) != 0) return -1;
    std::string asked = "GET " + path + " HTTP/1.0\r\nHost: " + host + "\r\n" + headers + "\r\n";
    if (write(to, asked.data(), asked.size()) != (ssize_t)asked.size()) return -1;
    char part[4096];
    for (ssize_t n; (n = read(to, part, sizeof part)) > 0;) answer.append(part, n);
    close(to);
    freeaddrinfo(found);
    return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : -1;
  }
  String getString() { return String(answer.substr(answer.find("\r\n\r\n") + 4)); }
  void end() {}

 private:
  std::string host, path, headers, answer;
};
