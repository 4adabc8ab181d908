"""When someone else uses an account: shows what happened, and ends whatever could still act for it."""
