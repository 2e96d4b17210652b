// The little of Arduino that the program on the page uses, on an ordinary machine.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <string>

class String : public std::string {
 public:
  String() {}
  String(const char *s) : std::string(s) {}
  String(const std::string &s) : std::string(s) {}
  int indexOf(const char *what) const {
    size_t at = find(what);
    return at == npos ? -1 : (int)at;
  }
  String substring(int from, int to) const { return String(substr(from, to - from)); }
};
inline String operator+(const String &a, const char *b) { return String((const std::string &)a + b); }

struct {
  void begin(long) {}
  void println(const String &s) { std::printf("%s\n", s.c_str()); }
  void printf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    std::vprintf(format, args);
    va_end(args);
  }
} Serial;

inline void delay(long) {}
