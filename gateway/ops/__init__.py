"""Operations: detecting attacks on sign-ins, blocking addresses, health and figures."""
