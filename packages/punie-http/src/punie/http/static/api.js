// The hub's API, as /api/openapi.json describes it.

async function ask(method, path, body) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`/api/${path}`, request);
  } catch {
    throw new Error("the hub does not answer");
  }
  if (response.status === 204) return null;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

// One stream per page. `seen` is told to the hub when the stream is opened anew, so that the log
// goes on where it stopped; the browser does the same by itself after a lost connection.
export function stream(session, seen, handlers) {
  const query = session === null ? "" : `?session=${session}&after=${seen}`;
  const source = new EventSource(`/api/events${query}`);
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(event.data === undefined ? null : JSON.parse(event.data)));
  }
  return source;
}
