"""A stand-in upstream and a mail catcher, so that one command shows everything."""

DESKTOP_TOKEN = "desktop-demo-token"  # what the application asks of its desktop client, printed for you to try
