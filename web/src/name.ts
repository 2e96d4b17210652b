/** splitWord cuts "tempC_2" into temp, C, 2: at signs that join words and where small letters turn capital. */
export function splitWord(name: string): string[] {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .split(/[_\-: /]+/)
    .filter((p) => p !== "");
}
