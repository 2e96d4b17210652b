/** packetID reads the number of a PUBLISH at QoS 1 or 2 from its bytes; 0 for anything else. */
export function packetID(bytes: Uint8Array): number {
  const first = bytes[0] ?? 0;
  if (first >> 4 !== 3 || (first & 0x06) === 0) return 0;
  let at = 1;
  while (at < 5 && ((bytes[at] ?? 0) & 0x80) !== 0) at++;
  at++;
  const topic = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  at += 2 + topic;
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** pingRequest asks the other side for a sign of life. */
export const pingRequest: Uint8Array<ArrayBuffer> = new Uint8Array([0xc0, 0x00]);
