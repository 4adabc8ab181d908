"""The demo: the gateway with a stand-in application, a mail catcher and test accounts, started by one command."""

DESKTOP_TOKEN = "desktop-demo-token"  # for the application's desktop API
