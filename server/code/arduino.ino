// ESP32. secrets.h, beside this file and for nobody else, defines WIFI_NAME, WIFI_PASSWORD and KEY{{ROOT}}.
#include <HTTPClient.h>
#include <WiFi.h>
{{INCLUDE}}#include "secrets.h"

{{NEAR}}const char *ADDRESS = "{{ADDRESS}}/api/history/latest?{{QUERY}}";
{{CLIENT}} client;

// newest is the value as the answer writes it: 21.5, true or "open"; empty when there is none.
String newest(const String &answer) {
  int from = answer.indexOf("\"value\":");
  if (from < 0) return "";
  from += 8;
  bool word = answer[from] == '"';
  int to = from + 1;
  while (to < (int)answer.length() && !(word ? answer[to] == '"' : answer[to] == ',')) {
    if (answer[to] == '\\') to++;
    to++;
  }
  return answer.substring(from, word ? to + 1 : to);
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(500);
{{TRUST}}}

void loop() {
  HTTPClient http;
  http.begin(client, ADDRESS);
  http.addHeader("Authorization", String("Bearer ") + KEY);
  int status = http.GET();
  if (status == 200) {
    Serial.println(newest(http.getString()));
  } else {
    Serial.printf("not answered: %d\n", status);
  }
  http.end();
  delay(60000);
}
