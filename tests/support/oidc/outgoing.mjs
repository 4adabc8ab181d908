// Requests of the provider to its clients.
import * as http from 'node:http';
import * as https from 'node:https';

// `via` is the real origin of `url`, whose host stays in the Host line. The library's limit of 2.5 seconds is left out:
// a client on a busy machine may take longer.
export function request(url, via, { method, headers }, body) {
  const asked = new URL(url);
  const real = new URL(via ?? asked.origin);
  const lines = { ...Object.fromEntries(new Headers(headers)), host: asked.host };
  const { request: send } = real.protocol === 'https:' ? https : http;
  const options = { method, headers: lines, path: asked.pathname + asked.search, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const sent = send(real, options, async (answer) => {
      const content = await text(answer);
      const isEmpty = [204, 304].includes(answer.statusCode);
      resolve(new Response(isEmpty ? null : content, { status: answer.statusCode, headers: plain(answer.headers) }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function plain(headers) {
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
}

export async function text(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
