const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A sample in JSON: a string when it is UTF-8 text, else `{"b64":"…"}`. The form that JSON mode takes as well. */
export type JsonSample = string | { b64: string };

export function sampleToJson(bytes: Uint8Array): JsonSample {
  try {
    const text = strictUtf8.decode(bytes);
    // Text that a terminal or an editor would choke on is bytes to us.
    if (!hasControlCharacters(text)) return text;
  } catch {
    // Not UTF-8.
  }
  return { b64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
}

function hasControlCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 && code !== 9 && code !== 10 && code !== 13) return true;
  }
  return false;
}
