"""Page views: which requests each session made, for tenants whose owner has switched that on."""
