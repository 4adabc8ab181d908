// A realm is one issuer: its people, clients, keys, and switches that make it misbehave. All of OpenID Connect is done by
// oidc-provider; what is done here comes before it (faults, the clock), after it (changed answers), or is asked by it.
import { AsyncLocalStorage } from 'node:async_hooks';
import * as crypto from 'node:crypto';

import Provider, { errors } from 'oidc-provider';

import * as entra from './entra.mjs';
import { spoil } from './faults.mjs';
import { request, text } from './outgoing.mjs';
import { errorPage, leavingPage, page, signInPage, signOutPage } from './pages.mjs';
import { SCOPES, acrsWanted, grantEverything, policy } from './policy.mjs';
import { Stored } from './stored.mjs';
import { changed, firstKey, forge, newKey, read } from './tokens.mjs';

const ROUTES = {
  authorization: '/auth',
  token: '/token',
  jwks: '/jwks',
  userinfo: '/userinfo',
  end_session: '/logout',
  pushed_authorization_request: '/par',
};
const DISCOVERY = '/.well-known/openid-configuration';
const DAY = 86400;

// Each realm has a clock of its own: whatever runs within `clock` sees the time shifted by that many seconds.
const clock = new AsyncLocalStorage();
const realNow = Date.now;
Date.now = () => realNow() + 1000 * (clock.getStore() ?? 0);

export class Realm {
  // `base` is the server's origin. `settings` as tests/support/identity_provider.py sends them.
  static async make(base, name, settings, keys) {
    const isEntra = settings.kind === 'entra';
    keys ??= { all: await Promise.all(isEntra ? [newKey('RS256')] : ['RS256', 'ES256'].map(firstKey)) };
    return new Realm(base, name, settings, keys);
  }

  constructor(base, name, settings, keys) {
    this.base = base;
    this.name = name;
    this.isEntra = settings.kind === 'entra';
    this.keys = keys; // an object, since the tenants of a cloud share it
    this.issuer = `${base}/${name}${this.isEntra ? '/v2.0' : ''}`;
    this.routes = this.isEntra ? entra.ROUTES : ROUTES;
    this.store = new Map();
    this.cookieKeys = [crypto.randomBytes(16).toString('hex')];
    this.requests = [];
    this.sent = []; // logout tokens: where to, what was answered
    this.state = {
      users: [], clients: [], via: {}, par: 'offered', acr_values: [], claims_in: 'id_token', optional_claims: [],
      clock: 0, faults: {}, signs_in: null, acr: 'truthful', amr: 'truthful',
      id_token: null, logout_token: null, callback: null,
      ...settings,
    };
    this.build();
  }

  change(settings) {
    Object.assign(this.state, settings);
    this.build();
  }

  // New keys sign from now on; the former ones stay published if they are kept.
  async rotate(isKept) {
    const former = this.keys.all;
    const fresh = await Promise.all([...new Set(former.map(({ alg }) => alg))].map(newKey));
    this.keys.all = [...fresh, ...(isKept ? former : [])];
  }

  // oidc-provider takes its settings once: any change makes a new one, over the same store.
  build() {
    this.builtWith = this.keys.all;
    this.provider = new Provider(this.issuer, this.configuration());
    this.provider.use(async (ctx, next) => {
      await next();
      await this.finish(ctx);
    });
    this.provider.on('server_error', (_, error) => console.error(error));
    this.callback = this.provider.callback();
  }

  configuration() {
    const { clients, par, acr_values: acrValues, claims_in: place, users } = this.state;
    const extra = users.flatMap((user) => Object.keys(user.claims ?? {}));
    return {
      adapter: (model) => new Stored(this.store, model),
      acrValues,
      claims: {
        openid: ['sub', 'acr', 'amr', 'roles', ...extra],
        profile: ['name', 'preferred_username'],
        email: ['email', 'email_verified'],
        groups: ['groups'],
        auth_time: null,
        sid: null,
      },
      clients: clients.map((client) => this.registered(client)),
      conformIdTokenClaims: place !== 'id_token',
      cookies: {
        keys: this.cookieKeys,
        names: { session: `${this.name}_session`, interaction: `${this.name}_step`, resume: `${this.name}_resume` },
        long: { path: `/${this.name}` },
      },
      enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'], clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
      extraClientMetadata: { properties: ['frontchannel_logout_uri', 'certificate_thumbprint'] },
      extraParams: ['domain_hint'],
      features: {
        backchannelLogout: { enabled: !this.isEntra },
        claimsParameter: { enabled: true },
        devInteractions: { enabled: false },
        dPoP: { enabled: false },
        pushedAuthorizationRequests: {
          enabled: !this.isEntra && par !== 'off',
          requirePushedAuthorizationRequests: par === 'required',
        },
        rpInitiatedLogout: {
          enabled: true,
          logoutSource: (ctx, form) => { ctx.body = signOutPage(form); },
          postLogoutSuccessSource: (ctx) => { ctx.body = page('Signed out', '<h1>Signed out</h1>'); },
        },
      },
      findAccount: (_, id) => this.account(id),
      interactions: { policy: policy(), url: (_, { uid }) => `/${this.name}/interaction/${uid}` },
      jwks: { keys: this.keys.all.map(({ jwk }) => jwk) },
      loadExistingGrant: grantEverything,
      pairwiseIdentifier: (_, id, client) => entra.subject(this.name, client.clientId, id),
      renderError: (ctx, out) => { ctx.type = 'html'; ctx.body = errorPage(out); },
      responseTypes: ['code'],
      routes: this.routes,
      scopes: SCOPES,
      subjectTypes: [this.isEntra ? 'pairwise' : 'public'],
      ttl: {
        AccessToken: 3600, AuthorizationCode: 60, Grant: DAY, IdToken: 3600, Interaction: DAY, Session: DAY,
        PushedAuthorizationRequest: 60,
      },
      clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
      assertJwtClientAuthClaimsAndHeader: (_, claims, header, client) => this.checkAssertion(claims, header, client),
      fetch: (url, options) => this.fetch(url, options),
    };
  }

  // Entra ID sends people back to any address that it may send answers to.
  registered(client) {
    if (!this.isEntra) return client;
    const after = [...new Set([...client.redirect_uris, ...(client.post_logout_redirect_uris ?? [])])];
    return { ...client, subject_type: 'pairwise', post_logout_redirect_uris: after };
  }

  user(id) {
    return this.state.users.find((user) => user.id === id);
  }

  account(id) {
    const user = this.user(id);
    if (!user) return undefined;
    const { email, email_verified: verified, name, groups, roles } = user;
    const claims = {
      sub: id, email, email_verified: email ? verified : null, name, preferred_username: email || null,
      groups: groups?.length ? groups : null, roles: roles?.length ? roles : null,
    };
    return { accountId: id, claims: () => ({ ...changed(claims, user.claims), sub: id }) };
  }

  // Entra ID knows an application's key by its certificate, and only takes assertions for the token endpoint itself.
  checkAssertion(claims, header, client) {
    if (!this.isEntra) return;
    const isOurs = header['x5t#S256'] === client.certificate_thumbprint;
    if (!isOurs || claims.aud !== `${this.base}/${this.name}${entra.ROUTES.token}`) throw new errors.InvalidClientAuth('AADSTS700027');
  }

  // ---- Requests.

  // `path` is what follows the realm's name.
  async handle(req, res, path) {
    const url = new URL(path, this.base);
    const endpoint = this.endpoint(url.pathname);
    this.note(endpoint, req, url);
    const fault = this.takeFault(endpoint);
    if (fault && (await spoil(fault, () => Object.values(this.state.faults).includes(fault), res))) return undefined;
    return clock.run(this.state.clock, () => this.answer(endpoint, req, res, url));
  }

  endpoint(pathname) {
    if ([DISCOVERY, entra.DISCOVERY].includes(pathname)) return 'discovery';
    if (pathname.startsWith('/interaction/')) return 'interaction';
    const found = Object.entries(this.routes).find(([, route]) => `${pathname}/`.startsWith(`${route}/`));
    return found?.[0] ?? 'other';
  }

  // Keep what was asked, for tests to look at. The body is overheard as it comes in.
  note(endpoint, req, url) {
    const entry = { endpoint, method: req.method, query: Object.fromEntries(url.searchParams), form: {} };
    entry.authorization = req.headers.authorization ?? '';
    this.requests.push(entry);
    const pieces = [];
    const push = req.push;
    req.push = function overheard(piece, ...rest) {
      if (piece) pieces.push(piece);
      else entry.form = Object.fromEntries(new URLSearchParams(Buffer.concat(pieces).toString()));
      return push.call(this, piece, ...rest);
    };
  }

  fail(endpoint, fault) {
    this.state.faults = { ...this.state.faults, [endpoint]: fault };
  }

  takeFault(endpoint) {
    const { faults } = this.state;
    const name = endpoint in faults ? endpoint : '*';
    const fault = faults[name];
    if (fault?.times && (fault.times -= 1) === 0) delete faults[name];
    return fault;
  }

  async answer(endpoint, req, res, url) {
    if (this.builtWith !== this.keys.all) this.build();
    if (endpoint === 'interaction') return this.interact(req, res);
    if (this.isEntra && endpoint === 'discovery') return json(res, entra.discovery(this.base, this.name));
    if (this.isEntra && endpoint === 'jwks') return json(res, entra.jwks(this.keys.all, this.issuer));
    if (this.isEntra && endpoint === 'end_session') this.nameClient(url);
    req.baseUrl = `/${this.name}`;
    req.url = url.pathname + url.search;
    return this.callback(req, res);
  }

  // Who signs out at Entra ID need not say from where: the address to return to is enough.
  nameClient({ searchParams }) {
    const target = searchParams.get('post_logout_redirect_uri');
    if (!target || searchParams.has('client_id') || searchParams.has('id_token_hint')) return;
    const client = this.state.clients.map((one) => this.registered(one))
      .find((one) => one.post_logout_redirect_uris.includes(target));
    if (client) searchParams.set('client_id', client.client_id);
  }

  // The page where people choose an account. `signs_in` is a person who needs no page.
  async interact(req, res) {
    const { params } = await this.provider.interactionDetails(req, res);
    const form = req.method === 'POST' ? new URLSearchParams(await text(req)) : new URLSearchParams();
    const user = this.user(form.get('user') ?? this.state.signs_in);
    await new Promise((resolve) => { setTimeout(resolve, 1000 * Number(form.get('delay') ?? 0)); });
    if (form.has('cancel')) {
      const result = { error: 'access_denied', error_description: 'The person cancelled.' };
      return this.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
    }
    if (!user) {
      const title = `Sign in at ${this.name}`;
      res.setHeader('content-type', 'text/html; charset=utf-8');
      return res.end(signInPage({ title, action: req.url, users: this.state.users, hint: params.login_hint }));
    }
    const result = { login: this.login(user, params, form.has('mfa')), consent: {}, select_account: {} };
    return this.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  }

  // How somebody signed in: with two factors if they say so or were asked to, unless a switch says what to say.
  login(user, params, isDouble) {
    const wanted = acrsWanted(params);
    const isStrong = isDouble || wanted.length > 0;
    const amr = ['pwd', ...(isStrong ? ['otp', 'mfa'] : [])];
    const said = (value, truth) => (value === 'truthful' ? truth : value ?? undefined);
    return { accountId: user.id, acr: said(this.state.acr, wanted[0]), amr: said(this.state.amr, amr) };
  }

  // ---- Answers.

  async finish(ctx) {
    const route = ctx.oidc?.route;
    if (route === 'token') await this.finishTokens(ctx);
    if (route === 'authorization' || route === 'resume') await this.finishCallback(ctx);
    if (route === 'userinfo' && this.isEntra && ctx.status === 200) delete ctx.body.email_verified;
    if (route === 'end_session_confirm' && this.isEntra) this.finishLeaving(ctx);
  }

  async finishTokens(ctx) {
    if (this.isEntra && ctx.status >= 400) ctx.body = entra.refusal(ctx.body);
    if (!ctx.body?.id_token) return;
    const token = read(ctx.body.id_token);
    if (this.isEntra) {
      token.payload = this.entraClaims(ctx, token.payload);
      ctx.body.id_token = await forge(token, {}, this.keys.all);
    }
    if (this.state.id_token) ctx.body.id_token = await forge(token, this.state.id_token, this.keys.all);
  }

  entraClaims({ oidc }, payload) {
    const { acr, authTime, scopes, sessionUid } = oidc.entities.AuthorizationCode;
    return entra.idToken(payload, this.user(oidc.account.accountId), {
      tid: this.name, optional: this.state.optional_claims, scopes, authTime, sid: entra.guid(sessionUid),
      acrs: acr ? [acr] : [],
    });
  }

  // Change the answer that goes to the client with the browser.
  async finishCallback(ctx) {
    const target = ctx.response.get('location');
    const uris = ctx.oidc.client?.redirectUris ?? [];
    if (!target || !uris.some((uri) => target.startsWith(uri))) return;
    const url = new URL(target);
    const answer = Object.fromEntries(url.searchParams);
    const changes = { ...(this.isEntra && this.entraAnswer(ctx, answer)), ...this.state.callback };
    if (Object.keys(changes).length === 0) return;
    url.search = new URLSearchParams(changed(answer, changes));
    ctx.set('location', url.href);
  }

  // Entra ID names no issuer here.
  entraAnswer(ctx, { error, error_description: description }) {
    if (!error) return { iss: null, session_state: entra.guid(ctx.oidc.session.uid) };
    const subcode = error === 'access_denied' ? 'cancel' : null;
    return { iss: null, error_description: entra.errorText(error, description).text, error_subcode: subcode };
  }

  // Only `sid` comes with Entra ID's front-channel logout, without an issuer.
  finishLeaving(ctx) {
    if (ctx.status !== 303) return;
    const { uid, authorizations = {} } = ctx.oidc.session;
    const urls = this.state.clients.filter((one) => one.client_id in authorizations && one.frontchannel_logout_uri)
      .map((one) => `${one.frontchannel_logout_uri}?sid=${entra.guid(uid)}`);
    const target = ctx.response.get('location');
    ctx.remove('location');
    ctx.status = 200;
    ctx.type = 'html';
    ctx.body = leavingPage(urls, target);
  }

  // ---- Commands.

  // End a person's sessions here, and tell their clients. Returns how many sessions there were.
  async logOut(user) {
    const sessions = [...this.store].filter(([key, kept]) => key.startsWith('Session:') && kept.accountId === user);
    for (const [key, { authorizations = {} }] of sessions) {
      this.store.delete(key);
      await Promise.all(Object.entries(authorizations).map(([id, { sid }]) => this.tell(id, user, sid)));
    }
    return sessions.length;
  }

  async tell(id, user, sid) {
    const client = await this.provider.Client.find(id);
    if (client?.backchannelLogoutUri) await client.backchannelLogout(user, sid).catch(() => {}); // it is in `sent`
  }

  run(work) {
    return clock.run(this.state.clock, work);
  }

  // oidc-provider's requests to clients: their keys, and logout tokens. `via` maps an origin to where it really is.
  async fetch(url, options) {
    const form = options.body instanceof URLSearchParams ? options.body : null;
    const token = form?.get('logout_token');
    if (token && this.state.logout_token) {
      form.set('logout_token', await forge(read(token), this.state.logout_token, this.keys.all));
    }
    const answer = await request(url, this.state.via[new URL(url).origin], options, form?.toString());
    if (token) this.sent.push({ url, status: answer.status, token: form.get('logout_token') });
    return answer;
  }
}

function json(res, content) {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(content));
}
