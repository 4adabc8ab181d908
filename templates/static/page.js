// Of every page. The gateway writes times in the time zone that this cookie names, unless the person has chosen another.
"use strict";

const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
if (timeZone) {
  document.cookie = `__Host-otium_zone=${timeZone}; Path=/; Max-Age=34560000; Secure; SameSite=Lax`;
}

document.getElementById("problem")?.focus();
