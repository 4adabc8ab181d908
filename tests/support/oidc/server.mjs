// The test provider's process. One argument, JSON: {host, port, control, key, certificate}: where to listen, the Unix
// socket of the control endpoint, and PEM files for TLS. Says "ready" when it listens, and ends when its standard input
// does, so that it never outlives who started it. tests/support/identity_provider.py starts it and says how it is used.
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';

URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null); // not in every Node.js 20
const { Realm } = await import('./realm.mjs');
const { discovery, jwks } = await import('./entra.mjs');
const { text } = await import('./outgoing.mjs');
const { forge } = await import('./tokens.mjs');

const { host, port, control, key, certificate } = JSON.parse(process.argv[2]);
const base = `${key ? 'https' : 'http'}://${host}:${port}`;
const realms = new Map();

async function serve(req, res) {
  const [, name, path] = /^\/([^/?]*)(.*)$/.exec(req.url) ?? [];
  if (realms.has(name)) return realms.get(name).handle(req, res, path || '/');
  const cloud = [...realms.values()].find((realm) => realm.isEntra);
  if (cloud && ['common', 'organizations'].includes(name)) {
    const isKeys = path.startsWith('/discovery/');
    return answer(res, 200, isKeys ? jwks(cloud.keys.all, `${base}/{tenantid}/v2.0`) : discovery(base, name));
  }
  return answer(res, 404, {});
}

// PUT /name makes a realm, PATCH changes it, GET says what it was asked, DELETE removes it. POST /name/COMMAND does that.
async function obey(req, res) {
  const [, name, command] = req.url.split('/');
  const content = JSON.parse((await text(req)) || '{}');
  const realm = realms.get(name);
  if (req.method === 'PUT') {
    const made = await Realm.make(base, name, content, realms.get(content.shares_keys_with)?.keys);
    realms.set(name, made);
    return answer(res, 200, { issuer: made.issuer });
  }
  if (!realm) return answer(res, 404, { error: `no realm ${name}` });
  const does = {
    PATCH: () => realm.change(content),
    GET: () => ({ requests: realm.requests, sent: realm.sent }),
    DELETE: () => realms.delete(name),
    'POST fail': () => realm.fail(content.endpoint, content.fault),
    'POST keys': () => realm.rotate(content.keep),
    'POST logout': () => realm.run(() => realm.logOut(content.user)),
    'POST sign': () => forge({ header: { alg: 'RS256', typ: 'JWT' }, payload: content.claims }, content.how, realm.keys.all),
  }[command ? `${req.method} ${command}` : req.method];
  return answer(res, 200, { result: (await does()) ?? null });
}

function answer(res, status, content) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(content));
}

// What a test asks for may be nonsense: it is told so, and the server goes on.
function safely(handler) {
  return async (req, res) => {
    try {
      await handler(req, res);
    } catch (error) {
      console.error(error);
      if (res.headersSent) res.destroy();
      else answer(res, 500, { error: String(error) });
    }
  };
}

const server = key
  ? https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, safely(serve))
  : http.createServer(safely(serve));
await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
await new Promise((resolve) => { http.createServer(safely(obey)).listen(control, resolve); });
process.stdin.on('end', () => process.exit(0)).resume();
process.on('SIGTERM', () => process.exit(0));
console.log('ready');
