// What people see at the provider: plain pages, each with forms that a browser or an HTTP client can send.

export function signInPage({ title, action, users, hint }) {
  const ordered = [...users].sort((one, other) => (other.email === hint) - (one.email === hint));
  const choices = ordered.map(
    (user) => `<p><button name="user" value="${safe(user.id)}">${safe(user.name)} &lt;${safe(user.email)}&gt;</button></p>`,
  );
  return page(title, `
    <h1>${safe(title)}</h1>
    <form method="post" action="${safe(action)}">
      <p><label><input type="checkbox" name="mfa" value="1"> With a second step</label></p>
      <p><label>Seconds to wait <input name="delay" type="number" value="0" min="0" max="60"></label></p>
      ${choices.join('\n')}
      <p><button name="cancel" value="1">Cancel</button></p>
    </form>`);
}

// `form` comes from oidc-provider: it has the action and a token against forgery.
export function signOutPage(form) {
  const button = '<p><button name="logout" value="yes">Sign out</button></p></form>';
  return page('Sign out', `<h1>Sign out?</h1>${form.replace('</form>', button)}`);
}

// Entra ID's: each application's sign-out URL in an invisible frame, then back.
export function leavingPage(urls, target) {
  const frames = urls.map((url) => `<iframe hidden src="${safe(url)}"></iframe>`);
  const next = `<meta http-equiv="refresh" content="1; url=${safe(target)}">`;
  return page('Signed out', `${next}<h1>Signed out</h1><p><a href="${safe(target)}">Go on</a></p>${frames.join('')}`);
}

export function errorPage(out) {
  const lines = Object.entries(out).map(([name, value]) => `<p>${safe(name)}: ${safe(value)}</p>`);
  return page('Error', `<h1>Error</h1>${lines.join('')}`);
}

export function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${safe(title)}</title>${body}</html>`;
}

function safe(text) {
  const marks = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(text ?? '').replace(/[&<>"']/g, (mark) => marks[mark]);
}
