// Being broken on purpose: connections that are closed, answers that are slow, endless, wrong or from elsewhere.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const PIECE = Buffer.alloc(65536, ' ');

// Carry a fault out. Returns whether that answered the request; a mere delay does not.
//   close: no answer · held: wait until it is healed · seconds: wait before going on · status, headers, body: answer that · size: so many more bytes of
//   white space after the body · drip: seconds between the single bytes of the body
export async function spoil(fault, stands, res) {
  if (fault.close) {
    res.socket.destroy();
    return true;
  }
  while (fault.held && stands()) await sleep(20);
  if (fault.seconds) await sleep(fault.seconds * 1000);
  if (fault.status === undefined && fault.body === undefined && fault.size === undefined) return false;
  res.writeHead(fault.status ?? 200, { 'content-type': 'application/json', ...fault.headers });
  await pour(fault, res);
  res.end();
  return true;
}

async function pour({ body = '', size = 0, drip = 0 }, res) {
  if (!drip) res.write(body);
  for (const byte of drip ? Buffer.from(body) : []) {
    if (res.destroyed) return;
    res.write(Buffer.of(byte));
    await sleep(drip * 1000);
  }
  for (let left = size; left > 0 && !res.destroyed; left -= PIECE.length) {
    if (!res.write(PIECE.subarray(0, left))) await Promise.race([once(res, 'drain'), once(res, 'close')]);
  }
}
