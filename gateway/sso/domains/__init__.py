"""Email domains that a tenant proves itself: a random value, published in the domain's DNS."""
