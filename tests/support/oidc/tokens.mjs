// Signing keys, and JSON Web Tokens that oidc-provider itself would never sign.
import * as crypto from 'node:crypto';
import { promisify } from 'node:util';

const generate = promisify(crypto.generateKeyPair);
const KINDS = {
  RS256: () => generate('rsa', { modulusLength: 2048 }),
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
};
const MOST = 8; // of a kind
const made = { RS256: [], ES256: [] };
const strange = {};

// Return a key that the last realms didn't begin with. An RSA key takes a third of a second, so they go round.
export async function firstKey(alg) {
  const key = made[alg].length < MOST ? newKey(alg) : made[alg].shift();
  made[alg].push(key);
  return key;
}

// A key that no realm ever gets.
async function strangeKey(alg) {
  strange[alg] ??= newKey(alg);
  return strange[alg];
}

export async function newKey(alg) {
  const { privateKey } = await KINDS[alg]();
  const jwk = privateKey.export({ format: 'jwk' });
  const kid = crypto.createHash('sha1').update(jwk.n ?? jwk.x).digest('base64url');
  return { alg, kid, privateKey, jwk: { ...jwk, kid, alg, use: 'sig' } };
}

export function read(token) {
  const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  return { header, payload };
}

// `key` is a private key, a secret for HS256, or nothing for "none".
export function sign(header, payload, alg, key) {
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${signature(input, alg, key)}`;
}

function signature(input, alg, key) {
  if (alg.toLowerCase() === 'none') return '';
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('HS')) return crypto.createHmac(hash, key).update(input).digest('base64url');
  const options = { key };
  if (alg.startsWith('ES')) options.dsaEncoding = 'ieee-p1363';
  if (alg.startsWith('PS')) {
    options.padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
    options.saltLength = crypto.constants.RSA_PSS_SALTLEN_DIGEST;
  }
  return crypto.sign(hash, Buffer.from(input), options).toString('base64url');
}

// Return an object with changes: null takes a name away.
export function changed(object, changes = {}) {
  return Object.fromEntries(Object.entries({ ...object, ...changes }).filter(([, value]) => value !== null));
}

// Sign a token's header and payload as `how` says: {claims, header, alg, key, secret, raw}. `keys` are the realm's.
export async function forge({ header, payload }, how, keys) {
  if (how.raw !== undefined) return how.raw;
  const alg = how.alg ?? header.alg;
  const kid = how.key === 'unknown' ? header.kid : keyFor(keys, alg)?.kid;
  const shown = changed({ ...header, alg, ...(kid && { kid }) }, how.header);
  return sign(shown, changed(payload, how.claims), alg, how.secret ?? (await privateKey(how, alg, keys)));
}

async function privateKey(how, alg, keys) {
  if (alg.toLowerCase() === 'none') return undefined;
  if (how.key === 'unknown') return (await strangeKey(kindOf(alg))).privateKey;
  return keyFor(keys, alg)?.privateKey;
}

function keyFor(keys, alg) {
  return keys.find((key) => key.alg === kindOf(alg));
}

function kindOf(alg) {
  return alg.startsWith('ES') ? 'ES256' : 'RS256';
}
