// Runs the program once: it is given as sketch.ino beside this file.
#include "Arduino.h"
#include "sketch.ino"

int main() {
  setup();
  loop();
}
