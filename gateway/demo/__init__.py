"""A stand-in upstream and a mail catcher, so that one command shows everything."""
