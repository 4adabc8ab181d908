// Tells the browser's password manager which passkeys still work here, so that it doesn't offer others (the signal
// methods of WebAuthn L3 §5.1.10). A browser without them goes on offering what it has.
"use strict";

const told = document.querySelector("[data-passkeys]").dataset;
const { rpId, userId } = told;

if ("unknown" in told) {
  signal("signalUnknownCredential", { rpId, credentialId: told.unknown });
}
if ("accepted" in told) {
  const allAcceptedCredentialIds = told.accepted.split(" ").filter(Boolean);
  signal("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
  signal("signalCurrentUserDetails", { rpId, userId, name: told.name, displayName: told.displayName });
}

async function signal(method, options) {
  try {
    await window.PublicKeyCredential?.[method]?.(options);
  } catch {
    // Nothing here depends on it.
  }
}
