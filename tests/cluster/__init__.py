"""Several servers on one Redis behind a real proxy, with clients that record what they receive."""
