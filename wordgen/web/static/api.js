// The requests of the page to its server. The message of an error is the sentence that the server sends.

async function errorSentence(response) {
  try {
    return (await response.json()).error || `The server answered ${response.status}.`;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

async function ask(place, options) {
  let response;
  try {
    response = await fetch(place, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is wordgen serve still running?");
  }
  if (!response.ok) throw new Error(await errorSentence(response));
  return response;
}

function postOptions(content, signal) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(content), signal };
}

export async function get(place) {
  return (await ask(place)).json();
}

export async function post(place, content) {
  return (await ask(place, postOptions(content))).json();
}

const INTERRUPTED = "The text was interrupted. Is wordgen serve still running?";

async function readChunk(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(INTERRUPTED);
  }
}

// Yields the events of a text. The server sends one per line.
export async function* streamText(content, signal) {
  const response = await ask("/api/write", postOptions(content, signal));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  let ended = false;
  while (true) {
    const { value, done } = await readChunk(reader);
    if (done) break;
    const lines = (waiting + value).split("\n");
    waiting = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.event === "error") throw new Error(event.error);
      ended = event.event === "end";
      yield event;
    }
  }
  if (!ended) throw new Error(INTERRUPTED);
}
