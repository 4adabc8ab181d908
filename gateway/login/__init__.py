"""The sign-in flow: the evidence so far, the next factor, the guard against guessing, and the pages."""
