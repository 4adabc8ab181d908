"""What somebody does: changed, recorded and told together."""
