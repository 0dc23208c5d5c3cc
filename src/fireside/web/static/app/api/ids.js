/** UUIDs of version 7 made in the browser, so that sending a message twice makes one message. */

/** A new id, ordered by time (RFC 9562, section 5.7). crypto.randomUUID is absent on plain http addresses. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const milliseconds = Date.now();
  for (let index = 0; index < 6; index += 1) bytes[index] = Math.floor(milliseconds / 256 ** (5 - index)) % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
