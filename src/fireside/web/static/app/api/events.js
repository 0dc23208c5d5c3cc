/** Server-sent events over fetch (EventSource can neither POST nor send a bearer token), by the WHATWG parsing rules. */

/**
 * Read the events of a streaming response in order.
 * @yields {{id: string, type: string, data: object}} id is empty when the event itself had none
 */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let event = emptyEvent();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // a chunk may end between \r and \n: keep a last \r for the next one
      const text = rest + value;
      const cut = text.endsWith("\r") ? text.length - 1 : text.length;
      const lines = text.slice(0, cut).split(/\r\n|\r|\n/);
      rest = lines.pop() + text.slice(cut);
      for (const line of lines) {
        if (line) takeLine(event, line);
        else {
          if (event.lines.length) yield finish(event);
          event = emptyEvent();
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const emptyEvent = () => ({ id: "", type: "message", lines: [] });

function takeLine(event, line) {
  const colon = line.indexOf(":");
  if (colon === 0) return;
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "data") event.lines.push(value);
  else if (field === "event") event.type = value;
  else if (field === "id") event.id = value;
}

function finish(event) {
  return { id: event.id, type: event.type, data: parse(event.lines.join("\n")) };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
